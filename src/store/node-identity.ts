import { ClusterError } from '../base/errors.ts';
import { nodeId, type NodeId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';

/** Which cluster a database belongs to, and as which node: what the database itself says. */
export interface NodeIdentity {
  readonly clusterId: string;
  readonly node: NodeId;
}

/** Undefined when the database is no node of any cluster. */
export async function readNodeIdentity(connection: NodeConnection, options?: CallOptions): Promise<NodeIdentity | undefined> {
  const exists = await connection.query({ text: `SELECT pg_catalog.to_regclass('shardwright.node_identity') IS NOT NULL` }, options);
  if (exists.rows[0]?.[0] !== 't') return undefined;
  const { rows } = await connection.query({ text: 'SELECT cluster_id, node_id FROM shardwright.node_identity' }, options);
  const [clusterId, id] = rows[0] ?? [];
  return typeof clusterId === 'string' ? { clusterId, node: nodeId(Number(id)) } : undefined;
}

/** Whether the database can be, or is, this node of this cluster. `nodeExists` when it is another one already (perhaps under another address); `nodeOfAnotherCluster`. */
export async function checkUnclaimed(connection: NodeConnection, identity: NodeIdentity, options?: CallOptions): Promise<void> {
  const known = await readNodeIdentity(connection, options);
  if (known?.clusterId === identity.clusterId) {
    if (known.node === identity.node) return;
    throw new ClusterError('nodeExists', `the database is node ${known.node} of this cluster already`, {
      hint: 'The same database can be reached under two addresses; add it once.',
    });
  }
  if (known !== undefined) {
    throw new ClusterError('nodeOfAnotherCluster', 'the database stores shards of another cluster', {
      detail: `It is node ${known.node} of cluster ${known.clusterId}.`,
      hint: 'Remove it there first, or use another database.',
    });
  }
}

/** Writes down that the database is this node of this cluster. Errors as of `checkUnclaimed`. */
export async function claimNode(connection: NodeConnection, identity: NodeIdentity, options?: CallOptions): Promise<void> {
  await checkUnclaimed(connection, identity, options);
  const create = `DO $$ BEGIN IF to_regnamespace('shardwright') IS NULL THEN CREATE SCHEMA shardwright; END IF; END $$;
    CREATE TABLE IF NOT EXISTS shardwright.node_identity (
      one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row), cluster_id uuid NOT NULL, node_id integer NOT NULL)`;
  await connection.query({ text: create, simple: true }, options);
  const insert = 'INSERT INTO shardwright.node_identity (cluster_id, node_id) VALUES ($1, $2) ON CONFLICT DO NOTHING';
  await connection.query({ text: insert, values: [identity.clusterId, identity.node] }, options);
}

export async function disownNode(connection: NodeConnection, options?: CallOptions): Promise<void> {
  await connection.query({ text: 'DELETE FROM shardwright.node_identity' }, options);
}
