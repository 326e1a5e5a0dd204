import { ClusterError } from '../base/errors.ts';
import type { NodeId } from '../catalog/ids.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { deleteTable } from '../store/catalog-changes.ts';
import { lookupAbove } from '../store/unique-lookups.ts';
import { type CatalogChange, changeTable } from './change-catalog.ts';
import type { DdlContext } from './ddl-context.ts';
import { runOnNodes } from './on-nodes.ts';
import { readPlacements } from './placements.ts';
import { readTree } from './read-definition.ts';
import { onCoordinator } from './shell.ts';
import type { TableDefinition } from './table-definition.ts';
import { checkDistributed } from './undistribute-table.ts';

export interface DropOptions extends CallOptions {
  /** Drops what depends on it too: views, foreign keys of other tables. Without it such a table is not dropped (2BP01). */
  readonly cascade?: boolean | undefined;
}

/** Drops a distributed or reference table with its shards. `undefinedTable`, `notDistributed`, and PostgreSQL's own errors. */
export function dropDistributedTable(context: DdlContext, table: string, options: DropOptions = {}): Promise<void> {
  return changeTable(context, {
    table,
    signal: options.signal,
    body: async (change, definition) => {
      checkDistributed(definition);
      await checkNoLookupAbove(change, definition);
      const { schema, name } = definition;
      const placements = await readPlacements(change, definition);
      const tree = await readTree(change.coordinator, definition, change);
      const drop = (relation: string): string => `DROP TABLE ${quoteQualified(schema, relation)}${options.cascade === true ? ' CASCADE' : ''}`;
      // The shell first: it knows of the views, and its error names what the user knows.
      await onCoordinator(change, drop(name));
      const statements = new Map<NodeId, string[]>();
      for (const { shard, node } of placements) statements.set(node, [...(statements.get(node) ?? []), drop(shardName(name, shard))]);
      await runOnNodes(change, statements);
      for (const { oid } of tree) await deleteTable(change, oid);
    },
  });
}

/** `tableHasLookup` for a partition whose rows have keys in a unique lookup of the table above. */
async function checkNoLookupAbove(change: CatalogChange, { oid, schema, name }: TableDefinition): Promise<void> {
  const lookup = await lookupAbove(change, oid);
  if (lookup === undefined) return;
  throw new ClusterError('tableHasLookup', `the rows of partition "${name}" have keys in the unique lookup "${lookup}"`, { hint: 'Use the statement DROP TABLE, which takes them out.', schema, table: name });
}
