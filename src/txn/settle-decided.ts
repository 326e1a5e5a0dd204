import { setTimeout as wait } from 'node:timers/promises';
import { orAborted } from '../base/abort.ts';
import { sqlStateOf } from '../base/errors.ts';
import { inTime } from '../base/in-time.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { finishPrepared } from './decision.ts';
import { listTransactions } from './list-transactions.ts';

interface Settling {
  readonly pools: NodePools;
  readonly clusterId: string;
  /** All by default. */
  readonly nodes?: readonly NodeId[] | undefined;
}

/** Thrown when it took too long, or a node has not answered. What was asked for may still be done later, and does no harm then. */
export const notSettled = new Error('what is decided was not committed everywhere in time');

const settleMsMax = 2_000;
const settleAgainMs = 1;
/** A shared connection may be at a statement that waits for a lock, whose owner waits for the caller, as the cut-over of a move does for the gate of snapshots. */
const answerMsMax = 500;
/** Somebody else is finishing the prepared transaction. */
const notInPrerequisiteState = '55000';

/**
 * Commits what is decided and still prepared, in case nobody else is left to do it. Its owner, if it is, finds that done, or is in the middle of it, which takes a moment. A transaction is listed until everybody can see
 * it: what was decided before the call is committed on these nodes afterwards. Over shared connections, without a signal: exclusive ones may all be held by transactions that wait for the caller. `notSettled`.
 */
export async function settleDecided({ pools, clusterId, nodes }: Settling, { signal }: CallOptions): Promise<void> {
  const deadline = performance.now() + settleMsMax;
  for (;;) {
    const decided = (await orAborted(answered(listTransactions(pools, { clusterId, nodes })), signal)).filter(({ outcome }) => outcome === 'commit');
    if (decided.length === 0) return;
    if (performance.now() > deadline) throw notSettled;
    await orAborted(answered(Promise.all(decided.map(({ node, gid }) => finishPrepared(pools.get(node), { gid, outcome: 'commit' }).catch(passOverBusy)))), signal);
    await wait(settleAgainMs);
  }
}

function answered<T>(promise: Promise<T>): Promise<T> {
  return inTime(promise, answerMsMax, notSettled);
}

function passOverBusy(error: unknown): void {
  if (sqlStateOf(error) !== notInPrerequisiteState) throw error;
}
