import { ClusterError } from '../base/errors.ts';
import type { ClusterNode } from '../catalog/catalog-snapshot.ts';
import { shardId, type NodeId } from '../catalog/ids.ts';
import { isAtAddress } from '../catalog/node-address.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { countShards, deleteNode, type NodeAddress } from '../store/catalog-changes.ts';
import { moveEmptyGroups } from '../store/distributed-schemas.ts';
import { hasJobs } from '../store/jobs.ts';
import { disownNode } from '../store/node-identity.ts';
import { changeCatalog, type CatalogChange } from './change-catalog.ts';
import type { DdlContext } from './ddl-context.ts';
import { handOverPublications } from './hand-over-publications.ts';
import { publishingNode } from './publications.ts';
import { onCoordinator } from './shell.ts';

/**
 * Takes a node out of the cluster, and its copies of reference tables off it. `undefinedNode`; `nodeInUse` while it holds shards of
 * distributed tables, or the only copy of a reference table.
 */
export async function removeNode(context: DdlContext, which: NodeAddress | NodeId, options: CallOptions = {}): Promise<void> {
  const removed = await changeCatalog(context, {
    signal: options.signal,
    lockFirst: () => Promise.resolve(),
    body: async (change) => {
      const node = findNode(change, which);
      const other = change.nodes.find(({ id }) => id !== node.id);
      if (other !== undefined) await moveEmptyGroups(change, { from: node.id, to: other.id });
      await checkUnused(change, node);
      if (other !== undefined && publishingNode(change.nodes) === node.id) await handOverPublications(change, { from: node.id, to: other.id });
      await clearNode(change, node);
      await deleteNode(change, node.id);
      return node;
    },
  });
  context.dismissNode(removed.id);
}

/** `undefinedNode`. */
export function findNode(change: CatalogChange, which: NodeAddress | NodeId): ClusterNode {
  const isIt = (node: ClusterNode): boolean =>
    typeof which === 'number' ? node.id === which : isAtAddress(node, which);
  const found = change.nodes.find(isIt);
  if (found !== undefined) return found;
  const name = typeof which === 'number' ? `${which}` : addressOf(which);
  throw new ClusterError('undefinedNode', `node ${name} does not exist`);
}

function addressOf({ host, port, database }: NodeAddress): string {
  return `${host}:${port}/${database}`;
}

async function checkUnused(change: CatalogChange, node: ClusterNode): Promise<void> {
  const { shards, tables } = await countShards(change, node.id);
  if (shards > 0) {
    throw new ClusterError('nodeInUse', `node ${addressOf(node)} still holds ${shards} ${shards === 1 ? 'shard' : 'shards'}`, {
      detail: `They are of ${tables.length === 1 ? 'table' : 'tables'} ${tables.join(', ')}.`,
      hint: 'Move the shards to other nodes, or undistribute or drop the tables.',
    });
  }
  if (await hasJobs(change.coordinator, node.id, { signal: change.signal })) {
    throw new ClusterError('nodeInUse', `node ${addressOf(node)} takes part in a move`, { hint: 'cluster.jobs() lists those under way.' });
  }
  if (change.nodes.length > 1) return;
  const references = await onCoordinator(change, `SELECT relation::text FROM shardwright.distributed_table WHERE kind = 'reference' ORDER BY 1`);
  if (references.length === 0) return;
  throw new ClusterError('nodeInUse', `node ${addressOf(node)} is the last one, and holds the only copy of reference tables`, {
    detail: `They are ${references.map(([name]) => name ?? '').join(', ')}.`,
    hint: 'Undistribute or drop them, or add another node first.',
  });
}

async function clearNode(change: CatalogChange, node: ClusterNode): Promise<void> {
  const { signal } = change;
  const rows = await onCoordinator(
    change,
    `SELECT n.nspname, c.relname, s.shard_id FROM shardwright.shard s
     JOIN pg_class c ON c.oid = s.relation JOIN pg_namespace n ON n.oid = c.relnamespace WHERE s.shard_group_id IS NULL`,
  );
  const shards = rows.map(([schema, name, id]) => quoteQualified(schema ?? '', shardName(name ?? '', shardId(Number(id)))));
  const connection = await change.transaction.join(node.id, 'write', { signal });
  // One statement, since they may refer to each other.
  if (shards.length > 0) await connection.query({ text: `DROP TABLE ${shards.join(', ')}` }, { signal });
  await disownNode(connection, { signal });
}
