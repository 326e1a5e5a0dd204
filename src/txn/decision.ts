import type { CallOptions, NodeConnections, NodeQuery } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { isConnectionFailure } from '../cluster/translate-error.ts';
import { AssertionError } from '../base/assert.ts';
import { sqlStateOf } from '../base/errors.ts';
import type { NodeId } from '../catalog/ids.ts';
import { isUnclaimedSql } from './claim.ts';
import { nameOn } from './participant.ts';
import { setTimeout as delay } from 'node:timers/promises';

export type Outcome = 'commit' | 'abort';

/** A transaction, and where its outcome is written. */
export interface Decision {
  readonly node: NodeId;
  readonly transactionId: string;
}

/** Commits the last agent's work together with the decision: one message, and nothing of it without the other. */
export function decideAndCommit({ node, transactionId }: Decision): readonly NodeQuery[] {
  return [{ name: nameOn(node, 'shardwright_decide'), text: decideSql, values: [transactionId] }, { text: 'COMMIT' }];
}

const decideSql = "INSERT INTO shardwright.decision (transaction_id, outcome) VALUES ($1, 'commit')";

/**
 * For the owner, whose connection is lost: learns the outcome, deciding for abort if nothing is decided: the row's unique key lets only one of the two in. It waits for a
 * COMMIT that is still under way. Throws what the node throws.
 */
export async function learnOutcome(pools: NodePools, { node, transactionId }: Decision, options?: CallOptions): Promise<Outcome> {
  const connections = pools.get(node);
  const abort = await connections.query(
    {
      text: "INSERT INTO shardwright.decision (transaction_id, outcome) VALUES ($1, 'abort') ON CONFLICT DO NOTHING",
      values: [transactionId],
    },
    options,
  );
  if (abort.rowCount === 1) return 'abort';
  const decided = await connections.query(
    { text: 'SELECT outcome FROM shardwright.decision WHERE transaction_id = $1', values: [transactionId] },
    options,
  );
  return decided.rows[0]?.[0] === 'commit' ? 'commit' : 'abort';
}

/**
 * For whoever is not the owner: the outcomes of transactions that this node decides, deciding for abort those that nobody claims any more. One that is missing in the answer has
 * an owner who may still decide. Never waits for one. Throws what the node throws.
 */
export async function settleOutcomes(connections: NodeConnections, transactionIds: readonly string[], options?: CallOptions): Promise<Map<string, Outcome>> {
  const values = [transactionIds];
  await connections.query({ text: abortUnclaimedSql, values: [...values, connections.node] }, options);
  const { rows } = await connections.query({ text: 'SELECT transaction_id, outcome FROM shardwright.decision WHERE transaction_id = ANY ($1::text[])', values }, options);
  return new Map(rows.map(([id, outcome]) => [id ?? '', outcome === 'commit' ? 'commit' : 'abort']));
}

const abortUnclaimedSql = `
INSERT INTO shardwright.decision (transaction_id, outcome)
SELECT id, 'abort' FROM pg_catalog.unnest($1::text[]) AS id WHERE ${isUnclaimedSql('id', '$2')} ON CONFLICT DO NOTHING`;

/** As `learnOutcome`, but gives a server that went away some seconds to come back. Undefined if it did not. */
export async function learnOutcomePatiently(pools: NodePools, decision: Decision): Promise<Outcome | undefined> {
  return untilBack(() => learnOutcome(pools, decision)).catch(() => undefined);
}

/** A server that crashed is back within seconds; one that is not is left to recovery. */
const attemptsAfterMs = [0, 50, 200, 500, 1000, 2000];

/** Asks a server that may have gone away again, until it is back. Throws what it throws otherwise, and the last failure where it stays away. */
export async function untilBack<T>(ask: () => Promise<T>): Promise<T> {
  const began = performance.now();
  for (const [i, waitMs] of attemptsAfterMs.entries()) {
    if (waitMs > 0) await delay(waitMs);
    try {
      return await ask();
    } catch (error) {
      // A node with replicas has waited for a new primary already.
      const isLast = i === attemptsAfterMs.length - 1 || performance.now() - began > awayMsMax;
      if (isLast || !isConnectionFailure(error)) throw error;
    }
  }
  throw new AssertionError('the last attempt throws');
}

const awayMsMax = 5_000;

/** Finishes a prepared transaction. False for one that is not there any more: it was finished by another, or went with a server that was replaced. Throws what else the node throws. */
export async function finishPrepared(
  connections: { query(query: { readonly text: string; readonly simple: true }, options?: CallOptions): Promise<unknown> },
  { gid, outcome }: { readonly gid: string; readonly outcome: Outcome },
  options?: CallOptions,
): Promise<boolean> {
  try {
    await connections.query({ text: `${outcome === 'commit' ? 'COMMIT' : 'ROLLBACK'} PREPARED '${gid}'`, simple: true }, options);
    return true;
  } catch (error) {
    if (sqlStateOf(error) !== undefinedObject) throw error;
    return false;
  }
}

const undefinedObject = '42704';
