import type { ClusterNode } from '../catalog/catalog-snapshot.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { insertNode, type NodeAddress } from '../store/catalog-changes.ts';
import { probe } from '../cluster/probe.ts';
import { claimNode } from '../store/node-identity.ts';
import { notePrimary } from '../store/node-servers.ts';
import { checkServer, readServerProperties } from '../store/node-requirements.ts';
import { nodeSchemaSql } from '../store/node-schema.ts';
import { changeCatalog, type CatalogChange } from './change-catalog.ts';
import { copyReferenceTables } from './copy-reference-tables.ts';
import type { DdlContext } from './ddl-context.ts';
import { sendAllObjects } from './objects/send-objects.ts';

/**
 * Adds a server to the cluster; from then on it can hold shards, and has all types, functions and other objects beside tables, and a copy of every
 * reference table. All or nothing.
 *
 * Errors: `nodeExists`, `nodeOfAnotherCluster`, `nodeUnreachable`, `unsupportedNode` (version, settings, encoding, locale, objects that differ;
 * the hint has the command), and the server's own when it refuses user, password or database.
 */
export async function addNode(context: DdlContext, address: NodeAddress, options: CallOptions = {}): Promise<ClusterNode> {
  let added: NodeId | undefined;
  try {
    return await changeCatalog(context, {
      signal: options.signal,
      lockFirst: () => Promise.resolve(),
      body: async (change) => {
        const node = await insertNode(change, address);
        added = node.id;
        context.admitNodes([node]);
        await prepareNode(change, node);
        await sendAllObjects(change, node.id);
        await copyReferenceTables(change, node);
        return node;
      },
    });
  } catch (error) {
    if (added !== undefined) context.dismissNode(added);
    throw error;
  }
}

async function prepareNode(change: CatalogChange, node: ClusterNode): Promise<void> {
  const { coordinator, transaction, clusterId, signal } = change;
  const connection = await transaction.join(node.id, 'write', { signal });
  const ours = await readServerProperties(coordinator, { signal });
  checkServer(await readServerProperties(connection, { signal }), ours);
  await claimNode(connection, { clusterId, node: node.id }, { signal });
  if (node.hosts !== undefined) await notePrimary(coordinator, node.id, await probe(connection));
  await connection.query({ text: `SET LOCAL client_min_messages = warning; ${nodeSchemaSql}`, simple: true }, { signal });
}
