import type { ClusterNode } from '../catalog/catalog-snapshot.ts';
import { probe } from '../cluster/probe.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import { checkHosts, insertNode } from '../store/catalog-changes.ts';
import { checkUnclaimed, claimNode } from '../store/node-identity.ts';
import { checkServer, readServerProperties } from '../store/node-requirements.ts';
import { nodeSchemaSql } from '../store/node-schema.ts';
import { notePrimary } from '../store/node-servers.ts';
import type { CatalogChange } from './change-catalog.ts';
import { checkPublicationsOfNode } from './check-publications.ts';
import { copyReferenceTables } from './copy-reference-tables.ts';
import { sendAllObjects } from './objects/send-objects.ts';

/** What concerns a server that is to be a node. */
export type Joining = Pick<CatalogChange, 'coordinator' | 'clusterId' | 'signal'>;

/**
 * Whether a server can become a node. Reads only. Errors: `nodeExists`, `nodeOfAnotherCluster`, `nodeUnreachable`, `unsupportedNode` (version, settings, encoding, locale; the hint has the
 * command), `unsupportedTable` (a publication of all tables, in the coordinator database), and the server's own when it refuses user, password or database.
 */
export async function checkNewNode({ coordinator, clusterId, signal }: Joining, connection: NodeConnection, node: ClusterNode): Promise<void> {
  await checkHosts({ coordinator, signal }, node.id, node);
  checkServer(await readServerProperties(connection, { signal }), await readServerProperties(coordinator, { signal }));
  await checkUnclaimed(connection, { clusterId, node: node.id }, { signal });
  await checkPublicationsOfNode({ coordinator, clusterId }, connection, { signal });
}

/** Lets a server say that it is a node, which it must be fit to be, and gives it what distributed transactions need there. */
export async function claimServer({ clusterId, signal }: Joining, connection: NodeConnection, node: ClusterNode): Promise<void> {
  await claimNode(connection, { clusterId, node: node.id }, { signal });
  await connection.query({ text: `SET LOCAL client_min_messages = warning; ${nodeSchemaSql}`, simple: true }, { signal });
}

/** Writes a new node down. `nodeExists`. */
export async function listNode({ coordinator, signal }: Joining, connection: NodeConnection, node: ClusterNode): Promise<void> {
  await insertNode({ coordinator, signal }, node);
  if (node.hosts !== undefined) await notePrimary(coordinator, node.id, await probe(connection));
}

/**
 * Makes a server a node, all of it in the transaction of the change: it has all types, functions and other objects beside tables then, and a copy of every reference table, which nobody can use
 * while it is copied. `unsupportedNode` also where an object differs.
 */
export async function joinNode(change: CatalogChange, node: ClusterNode): Promise<void> {
  const connection = await change.transaction.join(node.id, 'write', { signal: change.signal });
  await checkNewNode(change, connection, node);
  await listNode(change, connection, node);
  await claimServer(change, connection, node);
  await sendAllObjects(change, node.id);
  await copyReferenceTables(change, node);
}
