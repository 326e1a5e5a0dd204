import { ClusterError } from '../base/errors.ts';
import type { ClusterNode } from '../catalog/catalog-snapshot.ts';
import { nodeId, shardId } from '../catalog/ids.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import { isConnectionFailure } from '../cluster/translate-error.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { type NodeAddress, updateAddress } from '../store/catalog-changes.ts';
import { probe } from '../cluster/probe.ts';
import { readNodeIdentity } from '../store/node-identity.ts';
import { notePrimary } from '../store/node-servers.ts';
import { checkServer, readServerProperties } from '../store/node-requirements.ts';
import { readServerIdentity } from '../store/server-identity.ts';
import { changeCatalog, type CatalogChange } from './change-catalog.ts';
import type { DdlContext } from './ddl-context.ts';
import { findNode } from './remove-node.ts';
import { onCoordinator } from './shell.ts';

/**
 * Gives a node another address, where its database is now: the same server under another name, a replica that was promoted, a backup that was restored. Nothing is copied. The database there must say that it is this
 * node, and have all its shards. What the old address leads to must be that same server, or take no writes any more: a process that has not heard of the change would lose what it writes there.
 *
 * Errors: `undefinedNode`, `nodeExists` (the address is another node's), `nodeOfAnotherCluster`, `nodeInUse` (the old server still takes writes), `unsupportedNode`, `nodeUnreachable`.
 */
export async function replaceNode(context: DdlContext, which: NodeAddress | ClusterNode['id'], { address, signal }: CallOptions & { readonly address: NodeAddress }): Promise<ClusterNode> {
  return changeCatalog(context, {
    signal,
    lockFirst: () => Promise.resolve(),
    body: async (change) => {
      const node = findNode(change, which);
      await updateAddress(change, node.id, address);
      // Under a number that no node has: statements of this process still go to the old address.
      const trial = { ...address, id: nodeId(Math.max(...change.nodes.map(({ id }) => id)) + 1) };
      context.admitNodes([trial]);
      try {
        const connection = await change.transaction.join(trial.id, 'read', { signal });
        await checkIdentity(change, node, connection);
        checkServer(await readServerProperties(connection, { signal }), await readServerProperties(change.coordinator, { signal }));
        await checkShards(change, node, connection);
        await checkOldServer(change, node, connection);
        if (address.hosts !== undefined) await notePrimary(change.coordinator, node.id, await probe(connection));
      } finally {
        context.dismissNode(trial.id);
      }
      return { id: node.id, ...address };
    },
  });
}

async function checkIdentity({ clusterId, signal }: CatalogChange, node: ClusterNode, connection: NodeConnection): Promise<void> {
  const identity = await readNodeIdentity(connection, { signal });
  if (identity?.clusterId === clusterId && identity.node === node.id) return;
  throw new ClusterError('nodeOfAnotherCluster', `the database is not node ${node.id} of this cluster`, {
    detail: identity === undefined ? 'It is no node of any cluster.' : `It is node ${identity.node} of cluster ${identity.clusterId}.`,
    hint: 'Restore a backup of the node there, or promote a replica of it.',
  });
}

/** How many names of what is missing are told. */
const toldMax = 10;

async function checkShards(change: CatalogChange, node: ClusterNode, connection: NodeConnection): Promise<void> {
  const rows = await onCoordinator(change, `
    SELECT n.nspname, c.relname, s.shard_id FROM shardwright.shard s JOIN pg_class c ON c.oid = s.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN shardwright.shard_group g USING (shard_group_id) WHERE s.shard_group_id IS NULL OR g.node_id = $1 ORDER BY s.shard_id`, [node.id]);
  const names = rows.map(([schema, name, id]) => quoteQualified(schema ?? '', shardName(name ?? '', shardId(Number(id)))));
  const { rows: missing } = await connection.query({ text: 'SELECT name FROM unnest($1::text[]) AS name WHERE pg_catalog.to_regclass(name) IS NULL', values: [names] }, { signal: change.signal });
  if (missing.length === 0) return;
  const told = missing.slice(0, toldMax).map(([name]) => name ?? '');
  throw new ClusterError('unsupportedNode', `the database lacks ${missing.length} of the ${names.length} shards of node ${node.id}`, {
    detail: `They are ${told.join(', ')}${missing.length > told.length ? ' and more' : ''}.`,
    hint: 'Restore a backup that is newer than the last change of definitions and the last move.',
  });
}

async function checkOldServer({ transaction, signal }: CatalogChange, node: ClusterNode, replacing: NodeConnection): Promise<void> {
  let takesWrites: boolean;
  try {
    const old = await transaction.join(node.id, 'read', { signal });
    const { inRecovery } = await readServerProperties(old, { signal });
    takesWrites = !inRecovery && (await readServerIdentity(old, { signal })) !== (await readServerIdentity(replacing, { signal }));
  } catch (error) {
    if (!isConnectionFailure(error)) throw error;
    return;
  }
  if (!takesWrites) return;
  throw new ClusterError('nodeInUse', `the server at ${node.host}:${node.port}/${node.database} still takes writes`, {
    detail: 'Processes that have not heard of the new address would go on writing there.',
    hint: 'Stop it for good, then replace the node.',
  });
}
