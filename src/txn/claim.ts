import type { NodeQuery, RawResult } from '../cluster/node-connection.ts';
import type { NodeId } from '../catalog/ids.ts';
import { nameOn, type Participant } from './participant.ts';
import { numberSql, readNumber } from './transaction-id.ts';

/**
 * An advisory lock on the node that is to decide, from before the first PREPARE TRANSACTION until the deciding part has ended, however it ends: who gets the lock knows that nobody
 * will decide any more. A server ends the part of a process that is gone, so no clock tells the dead from the slow. The node is a part of the key, since one database may be two nodes.
 */
const lockKey = (id: string, node: string): string => `pg_catalog.hashtextextended(${id}, ${node}::bigint)`;

/**
 * Takes the lock and tells the transaction's number, for `noteClaim`. It takes a snapshot, so in levels that have only one it must not come before the first statement.
 */
export function claiming(transactionId: string, node: NodeId): NodeQuery {
  const text = `SELECT ${numberSql}, pg_catalog.pg_advisory_xact_lock(${lockKey('$1', '$2')})`;
  return { name: nameOn(node, 'shardwright_claim'), text, values: [transactionId, node] };
}

export function noteClaim(participant: Participant, { rows }: Pick<RawResult, 'rows'>): void {
  participant.number = readNumber(rows[0]?.[0]);
  participant.claimed = true;
}

/** True for a transaction whose claim nobody holds, which it then keeps from being made until the statement's own transaction ends. */
export const isUnclaimedSql = (id: string, node: string): string => `pg_catalog.pg_try_advisory_xact_lock(${lockKey(id, node)})`;
