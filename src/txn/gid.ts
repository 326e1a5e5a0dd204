import { type NodeId, nodeId } from '../catalog/ids.ts';

/** The name of a prepared transaction: enough for anyone to finish it. */
export interface Gid {
  /** The first eight characters of the cluster's id, dashes left out. */
  readonly cluster: string;
  /** The node whose `shardwright.decision` has the outcome. */
  readonly decisionNode: NodeId;
  readonly transactionId: string;
  readonly participant: NodeId;
}

const pattern = /^shardwright:([0-9a-z]{1,8}):(\d+):([0-9a-z]+):(\d+)$/;

/** Below 200 bytes, of letters, digits and colons only. */
export function formatGid({ cluster, decisionNode, transactionId, participant }: Gid): string {
  return `shardwright:${cluster}:${decisionNode}:${transactionId}:${participant}`;
}

/** Undefined for a name that is not ours. */
export function parseGid(text: string): Gid | undefined {
  const [, cluster, decisionNode, transactionId, participant] = pattern.exec(text) ?? [];
  if (cluster === undefined || transactionId === undefined) return undefined;
  return { cluster, decisionNode: nodeId(Number(decisionNode)), transactionId, participant: nodeId(Number(participant)) };
}

/** How gids name a cluster. */
export function gidCluster(clusterId: string): string {
  return clusterId.replaceAll('-', '').slice(0, 8).toLowerCase();
}
