import { at, present } from '../../base/assert.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { CreatedSlot } from '../../cluster/replication-connection.ts';
import type { NodeConnection } from '../../cluster/node-connection.ts';
import { definitionSettings } from '../../ddl/definition-settings.ts';
import type { DistributionColumn } from '../../ddl/check-distribution-column.ts';
import { distributeRows, type DistributionTarget, placedRows } from '../../ddl/move-rows.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import type { DistributedTable } from '../../store/jobs.ts';
import { type MoveContext, namesOf } from '../move-context.ts';
import { type MovedGroups, type MovedShard, nodesOf, shardsWithRows } from '../moved-tables.ts';
import { acquireAll } from '../steps/attempts.ts';
import { shardsOn } from '../steps/create.ts';
import { withSnapshot } from '../steps/with-snapshot.ts';
import { groupOf } from './read-local-table.ts';

interface TableCopy {
  readonly distributed: DistributedTable;
  /** Whose snapshot is read. */
  readonly slot: CreatedSlot;
  readonly onBytes: (bytes: number) => void;
}

/**
 * Fills all shards in one reading of the table, whose rows are dealt out here: a reading for each shard would be many. A connection and a transaction for each node; all of it is done again when the step is.
 */
export async function copyTable(context: MoveContext, groups: MovedGroups, { distributed, slot, onBytes }: TableCopy): Promise<void> {
  const { pools, signal, job } = context;
  const connections = await acquireAll(pools, nodesOf(groups.targets), signal);
  try {
    for (const [node, connection] of connections) await begin(context, connection, shardsWithRows(shardsOn(groups.targets, node)));
    await withSnapshot(pools.get(coordinatorNodeId), slot, signal, async (reading) => {
      for (const [i, table] of shardsWithRows(at(groups.sources, 0).tables).entries()) {
        const shardIds = groups.targets.map(({ tables }) => at(shardsWithRows(tables), i).shard);
        const target: DistributionTarget = { table: table.definition, distribution: distributionOf(groups, table), group: groupOf({ ...job, distributed }), shardIds };
        const rows = passing(context, reading.copyOut(`COPY (${placedRows(target, table.sql)}) TO STDOUT`, { signal }), onBytes);
        await distributeRows({ transaction: { join: (node) => Promise.resolve(connectionTo(connections, node)) }, coordinator: reading, signal }, target, { rows, schema: namesOf(context).staging, freeze: true });
      }
    });
    for (const connection of connections.values()) await connection.query({ text: 'COMMIT' }, { signal });
  } finally {
    // One that is in a transaction is closed.
    for (const connection of connections.values()) connection.release();
  }
}

async function begin(context: MoveContext, connection: NodeConnection, shards: readonly MovedShard[]): Promise<void> {
  const names = shards.map(({ name }) => quoteQualified(namesOf(context).staging, name));
  await connection.query({ text: `BEGIN; ${definitionSettings}; TRUNCATE ONLY ${names.join(', ONLY ')}`, simple: true }, { signal: context.signal });
}

function connectionTo(connections: ReadonlyMap<NodeId, NodeConnection>, node: NodeId): NodeConnection {
  return present(connections.get(node), 'connection');
}

function distributionOf({ hash }: MovedGroups, { definition }: MovedShard): DistributionColumn | undefined {
  return hash === undefined ? undefined : { column: present(definition.columns.find(({ name }) => name === hash.columns.get(definition.oid))), type: hash.type };
}

async function* passing({ rate, signal }: MoveContext, rows: AsyncIterable<Uint8Array>, onBytes: TableCopy['onBytes']): AsyncGenerator<Uint8Array> {
  for await (const chunk of rows) {
    await rate.pass(chunk.length, signal);
    onBytes(chunk.length);
    yield chunk;
  }
}
