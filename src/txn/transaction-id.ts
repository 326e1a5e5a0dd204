import { type NodeId, nodeId } from '../catalog/ids.ts';

/** What a transaction is called towards programs: enough for any process of its cluster to ask for its outcome. */
export interface TransactionId {
  /** As in gids. */
  readonly cluster: string;
  /** The node whose part of the transaction decides about all of it: the only one that writes, or the last agent. */
  readonly node: NodeId;
  /** The number of that part on its node, a `xid8`; undefined where it was never heard. */
  readonly xid: string | undefined;
  /** As in gids and decision rows. */
  readonly transactionId: string;
}

const pattern = /^([0-9a-z]{1,8})\.(\d{1,9})\.(\d{0,19})\.([0-9a-z]{1,64})$/;

export function formatTransactionId({ cluster, node, xid = '', transactionId }: TransactionId): string {
  return `${cluster}.${node}.${xid}.${transactionId}`;
}

/** Undefined for a text that is none. */
export function parseTransactionId(text: string): TransactionId | undefined {
  const [, cluster, node, xid, transactionId] = pattern.exec(text) ?? [];
  if (cluster === undefined || transactionId === undefined) return undefined;
  return { cluster, node: nodeId(Number(node)), xid: xid === '' ? undefined : xid, transactionId };
}
