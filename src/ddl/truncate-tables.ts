import { ClusterError } from '../base/errors.ts';
import type { NodeId, ShardId } from '../catalog/ids.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import { copyWrite } from '../catalog/reference-copies.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import type { DistributedTransaction } from '../txn/distributed-transaction.ts';
import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';
import { allOrAbort } from '../base/abort.ts';
import { present } from '../base/assert.ts';

export interface LocalTable {
  readonly schema: string;
  readonly name: string;
}

export interface TruncateOptions extends CallOptions {
  readonly cascade?: boolean | undefined;
  /** Of local tables; those of others are drawn from sequences that are not restarted here. */
  readonly restartIdentity?: boolean | undefined;
}

/**
 * Empties distributed and reference tables on all their nodes, within the caller's transaction. Without `cascade`, a table that others
 * refer to is refused by the nodes, unless these are listed too. Reference tables: on every node, and before that in the coordinator database where their shells are copies, which
 * refuses it while local tables refer to them that are not among `locals`.
 */
export async function truncateTables(
  transaction: DistributedTransaction,
  target: { readonly snapshot: CatalogSnapshot; readonly tables: readonly CatalogTable[]; readonly locals?: readonly LocalTable[] },
  options: TruncateOptions = {},
): Promise<void> {
  await truncateHere(transaction, target, options);
  const shards = new Map<NodeId, string[]>();
  for (const table of target.tables) addShards(shards, table, target.snapshot);
  if (shards.size === 0) throw new ClusterError('noNodes', 'the tables have no shards');
  const cascade = options.cascade === true ? ' CASCADE' : '';
  await allOrAbort(
    options.signal,
    [...shards].map(([node, names]) => async (signal) => {
      const connection = await transaction.join(node, 'write', { signal });
      await connection.query({ text: `TRUNCATE ${names.join(', ')}${cascade}`, simple: true }, { signal });
    }),
  );
}

/** What has rows in the coordinator database. Shells without rows are emptied, too: a statement must name all tables that refer to others in it. */
async function truncateHere(transaction: DistributedTransaction, { tables, locals = [] }: { readonly tables: readonly CatalogTable[]; readonly locals?: readonly LocalTable[] }, { restartIdentity = false, signal }: TruncateOptions): Promise<void> {
  if (locals.length === 0 && !tables.some((table) => table.kind === 'reference' && table.shellIsCopy)) return;
  const coordinator = await transaction.join(coordinatorNodeId, 'write', { signal });
  const names = [...tables, ...locals].map(({ schema, name }) => quoteQualified(schema, name));
  await coordinator.query({ text: copyWrite(`TRUNCATE ${names.join(', ')}${restartIdentity ? ' RESTART IDENTITY' : ''}`, coordinatorNodeId), simple: true }, { signal });
}

function addShards(shards: Map<NodeId, string[]>, table: CatalogTable, snapshot: CatalogSnapshot): void {
  const add = (node: NodeId, id: ShardId): void => {
    shards.set(node, [...(shards.get(node) ?? []), quoteQualified(table.schema, shardName(table.name, id))]);
  };
  if (table.kind === 'reference') {
    for (const node of snapshot.nodes) add(node.id, table.shardId);
    return;
  }
  const group = present(snapshot.colocationGroups.get(table.colocationId), 'colocation group');
  for (const [i, id] of table.shardIds.entries()) add(present(group.shardGroups[i]).node, id);
}
