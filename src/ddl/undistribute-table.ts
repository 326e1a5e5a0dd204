import { assert } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { NodeId, ShardId } from '../catalog/ids.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { deleteTable } from '../store/catalog-changes.ts';
import { changeTable, type CatalogChange } from './change-catalog.ts';
import { unsupportedTable } from './check-table.ts';
import { columnList } from './column-list.ts';
import type { DdlContext } from './ddl-context.ts';
import { runOnNodes } from './on-nodes.ts';
import { readPlacements, type Placement } from './placements.ts';
import { unfenceShell, withoutTriggers } from './shell.ts';
import type { TableDefinition } from './table-definition.ts';

/**
 * Brings a distributed or reference table's rows back into the coordinator database and drops its shards, in one distributed transaction.
 * `notDistributed`; `unsupportedTable` while foreign keys connect it to other tables that are distributed.
 */
export function undistributeTable(context: DdlContext, table: string, options: CallOptions = {}): Promise<void> {
  return changeTable(context, {
    table,
    signal: options.signal,
    body: async (change, definition) => {
      checkDistributed(definition);
      checkUnconnected(definition);
      const placements = await readPlacements(change, definition);
      await runOnNodes(change, perNode(placements, (id) => `LOCK TABLE ${shardSql(definition, id)} IN ACCESS EXCLUSIVE MODE`));
      await unfenceShell(change, definition);
      await withoutTriggers(change, definition, async () => {
        for (const placement of oncePerShard(placements)) await bringBack(change, definition, placement);
      });
      await runOnNodes(change, perNode(placements, (id) => `DROP TABLE ${shardSql(definition, id)}`));
      await deleteTable(change, definition.oid);
    },
  });
}

export function checkDistributed(table: TableDefinition): void {
  if (table.distribution !== null) return;
  const fields = { schema: table.schema, table: table.name };
  throw new ClusterError('notDistributed', `table "${table.name}" is not distributed`, fields);
}

/** Its rows would be checked against empty shells, or other tables' rows against rows that went away. */
function checkUnconnected(table: TableDefinition): void {
  const outward = table.constraints?.find(({ foreign }) => foreign !== null && foreign.table.oid !== table.oid && foreign.table.distribution !== null);
  if (outward?.foreign) throw connected(table, outward.name, `to "${outward.foreign.table.name}"`);
  const inward = table.referencedBy?.find(({ table: referrer }) => referrer.distribution !== null);
  if (inward !== undefined) throw connected(table, inward.constraint, `from "${inward.table.name}"`);
}

function connected(table: TableDefinition, constraint: string, where: string): ClusterError {
  return unsupportedTable(table, {
    message: `foreign key "${constraint}" ${where} connects it to a distributed table`,
    hint: 'Drop the foreign key, or undistribute the table that refers to the other first.',
  }, 'undistribute');
}

/** A reference table has the same rows on every node. */
function oncePerShard(placements: readonly Placement[]): Placement[] {
  const seen = new Set<ShardId>();
  return placements.filter(({ shard }) => !seen.has(shard) && seen.add(shard));
}

function perNode(placements: readonly Placement[], statement: (id: ShardId) => string): Map<NodeId, string[]> {
  const statements = new Map<NodeId, string[]>();
  for (const { shard, node } of placements) statements.set(node, [...(statements.get(node) ?? []), statement(shard)]);
  return statements;
}

async function bringBack(change: CatalogChange, table: TableDefinition, placement: Placement): Promise<void> {
  const columns = columnList(table);
  if (columns === '') return;
  const source = await change.transaction.join(placement.node, 'write', change);
  const sink = await change.coordinator.copyIn(`COPY ${quoteQualified(table.schema, table.name)} (${columns}) FROM STDIN`, change);
  let bytes = 0;
  try {
    const rows = source.copyOut(`COPY (SELECT ${columns} FROM ONLY ${shardSql(table, placement.shard)}) TO STDOUT`, change);
    for await (const chunk of rows) {
      bytes += chunk.length;
      await sink.write(chunk);
    }
  } catch (error) {
    await sink.fail('reading the shard failed').catch(() => undefined);
    throw error;
  }
  const taken = await sink.end();
  assert(bytes === 0 || taken > 0, `the shell took no rows of shard ${placement.shard}`);
}

function shardSql(table: TableDefinition, id: ShardId): string {
  return quoteQualified(table.schema, shardName(table.name, id));
}
