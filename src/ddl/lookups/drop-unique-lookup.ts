import { ClusterError } from '../../base/errors.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { shardName } from '../../catalog/shard-name.ts';
import type { CallOptions } from '../../cluster/node-connection.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { deleteTable } from '../../store/catalog-changes.ts';
import { deleteLookup, findLookup, type StoredLookup } from '../../store/unique-lookups.ts';
import { type CatalogChange, changeTable } from '../change-catalog.ts';
import type { DdlContext } from '../ddl-context.ts';
import { runOnNodes } from '../on-nodes.ts';
import { readPlacements } from '../placements.ts';
import { readDefinition } from '../read-definition.ts';
import { onCoordinator } from '../shell.ts';
import type { TableDefinition } from '../table-definition.ts';
import { checkLookup, type LookupColumns } from './check-lookup.ts';
import { lookupTriggers } from './lookup-triggers.ts';
import { lockTimeoutMs, shellLockTimeoutMs, withLockRetries } from './with-lock-retries.ts';

/** Drops a lookup, whole or half made, in one transaction. `unknownLookup`, `undefinedTable`, `undefinedColumn`, `notDistributed`, `lockNotAvailable`. */
export function dropUniqueLookup(context: DdlContext, table: string, names: readonly string[], { signal }: CallOptions = {}): Promise<void> {
  return withLockRetries(signal, () => changeTable(context, {
    table,
    signal,
    lockTimeoutMs: shellLockTimeoutMs,
    body: async (change, definition) => {
      const { columns, distributionColumn } = checkLookup({ ...definition, rowSecurity: false }, names);
      const lookup = await findLookup(change, { table: definition.oid, columns });
      if (lookup === undefined) throw new ClusterError('unknownLookup', `table "${definition.name}" has no unique lookup of (${columns.join(', ')})`, { schema: definition.schema, table: definition.name });
      await deleteLookup(change, lookup.id);
      await dropTriggers(change, definition, { lookup, columns, distributionColumn });
      await dropLookupTable(change, lookup);
    },
  }));
}

async function dropTriggers(change: CatalogChange, table: TableDefinition, { lookup, columns, distributionColumn }: LookupColumns & { readonly lookup: StoredLookup }): Promise<void> {
  const names = lookupTriggers(table, { id: lookup.id, columns: [...columns, distributionColumn] }).map(({ name }) => name);
  const drop = (relation: string): string[] => names.map((name) => `DROP TRIGGER ${quoteIdentifier(name)} ON ${quoteQualified(table.schema, relation)}`);
  for (const text of drop(table.name)) await onCoordinator(change, text);
  const statements = new Map<NodeId, string[]>();
  for (const { shard, node } of await readPlacements(change, table)) {
    statements.set(node, [...(statements.get(node) ?? [`SET LOCAL lock_timeout = ${lockTimeoutMs}`]), ...drop(shardName(table.name, shard))]);
  }
  await runOnNodes(change, statements);
}

async function dropLookupTable(change: CatalogChange, { lookupTable }: StoredLookup): Promise<void> {
  const { oid, schema, name } = await readDefinition(change.coordinator, lookupTable, change);
  const statements = new Map<NodeId, string[]>();
  for (const { shard, node } of await readPlacements(change, { oid })) statements.set(node, [...(statements.get(node) ?? []), `DROP TABLE ${quoteQualified(schema, shardName(name, shard))}`]);
  await onCoordinator(change, `DROP TABLE ${quoteQualified(schema, name)}`);
  await runOnNodes(change, statements);
  await deleteTable(change, oid);
}
