import { type NodeId, nodeId } from '../catalog/ids.ts';
import { randomUUID } from 'node:crypto';

/** What a transaction is called towards programs: enough for any process of its cluster to ask for its outcome. */
export interface TransactionId {
  /** As in gids. */
  readonly cluster: string;
  /** The node whose part of the transaction decides about all of it: the only one that writes, or the last agent. */
  readonly node: NodeId;
  /** That part's number; undefined where it was never heard. */
  readonly number: TransactionNumber | undefined;
  /** As in gids and decision rows. */
  readonly transactionId: string;
}

/** The number of a transaction on one server. After a crash the server may give the numbers again that it had not written down yet. */
export interface TransactionNumber {
  /** A `xid8`. */
  readonly xid: string;
  /** Since when the server had not crashed: microseconds since 1970. */
  readonly run: string;
}

/** When the server last came up from a crash, or was made: it forgets its statistics then, and only then, unless somebody has them reset. */
export const runSql = '(extract(epoch FROM pg_catalog.pg_stat_get_bgwriter_stat_reset_time()) * 1000000)::bigint';

/** 122 random bits, in hexadecimal digits. Node makes many UUIDs' bits at a time, where 16 random bytes cost a call to the system. */
export function newTransactionId(): string {
  return randomUUID().replaceAll('-', '');
}

/** A column that gives the transaction its number, if it has none yet, as `readNumber` reads it. */
export const numberSql = `pg_catalog.concat_ws('.', pg_catalog.pg_current_xact_id(), ${runSql})`;

/** As `numberSql`, but what has written nothing gets no number. */
export const numberIfAnySql = `pg_catalog.pg_current_xact_id_if_assigned()::text || '.' || ${runSql}`;

export function readNumber(text: string | null | undefined): TransactionNumber | undefined {
  const [xid, run] = (text ?? '').split('.');
  return xid === undefined || run === undefined ? undefined : { xid, run };
}

const pattern = /^([0-9a-z]{1,8})\.(\d{1,9})\.(?:(\d{1,19})\.(\d{1,19}))?\.([0-9a-z]{1,64})$/;

export function formatTransactionId({ cluster, node, number, transactionId }: TransactionId): string {
  return `${cluster}.${node}.${number === undefined ? '' : `${number.xid}.${number.run}`}.${transactionId}`;
}

/** Undefined for a text that is none. */
export function parseTransactionId(text: string): TransactionId | undefined {
  const [, cluster, node, xid, run, transactionId] = pattern.exec(text) ?? [];
  if (cluster === undefined || transactionId === undefined) return undefined;
  return { cluster, node: nodeId(Number(node)), number: xid === undefined || run === undefined ? undefined : { xid, run }, transactionId };
}
