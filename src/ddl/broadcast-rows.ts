import { assert } from '../base/assert.ts';
import { allOrAbort } from '../base/abort.ts';
import type { ClusterNode } from '../catalog/catalog-snapshot.ts';
import type { ShardId } from '../catalog/ids.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { CopySink, NodeConnection } from '../cluster/node-connection.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import type { CatalogChange } from './change-catalog.ts';
import { columnList } from './column-list.ts';
import type { TableDefinition } from './table-definition.ts';

export interface Broadcast {
  readonly table: TableDefinition;
  /** The reference table's shard, which exists on `nodes`. */
  readonly id: ShardId;
  /** Where the rows are: in the shell, or in a node's shard. */
  readonly source: { readonly connection: NodeConnection; readonly relation: 'shell' | 'shard' };
  readonly nodes: readonly ClusterNode[];
}

/** Copies the rows of a reference table to nodes, in one reading, at the pace of the slowest. */
export async function broadcastRows(change: CatalogChange, broadcast: Broadcast): Promise<void> {
  const { table, id, source, nodes } = broadcast;
  const columns = columnList(table);
  if (columns === '') return;
  const shard = quoteQualified(table.schema, shardName(table.name, id));
  const relation = source.relation === 'shard' ? shard : quoteQualified(table.schema, table.name);
  const rows = source.connection.copyOut(`COPY (SELECT ${columns} FROM ONLY ${relation}) TO STDOUT`, change);
  const sinks = await allOrAbort(
    change.signal,
    nodes.map((node) => async (signal) => {
      const connection = await change.transaction.join(node.id, 'write', { signal });
      return connection.copyIn(`COPY ${shard} (${columns}) FROM STDIN`, { signal: change.signal });
    }),
  );
  const counts = await copyAll(rows, sinks);
  assert(counts.every((count) => count === counts[0]), `nodes took different numbers of rows: ${counts.join(', ')}`);
}

/** A sink that fails ends the whole: the transaction is rolled back, and with it what the others took. */
async function copyAll(rows: AsyncIterable<Uint8Array>, sinks: readonly CopySink[]): Promise<number[]> {
  try {
    for await (const chunk of rows) await Promise.all(sinks.map((sink) => sink.write(chunk)));
  } catch (error) {
    await Promise.allSettled(sinks.map((sink) => sink.fail('another copy failed')));
    throw error;
  }
  const ended = await Promise.allSettled(sinks.map((sink) => sink.end()));
  return ended.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
