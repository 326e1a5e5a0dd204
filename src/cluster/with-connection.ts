import { setTimeout as delay } from 'node:timers/promises';
import { sqlStateOf } from '../base/errors.ts';
import type { NodeConnection, NodeConnections } from './node-connection.ts';

/** Runs work on an exclusive connection, which is closed when the work fails or leaves a transaction open. */
export async function withConnection<T>(node: NodeConnections, signal: AbortSignal | undefined, work: (connection: NodeConnection) => Promise<T>): Promise<T> {
  const connection = await node.acquire({ signal });
  let failure: { readonly error: unknown } | undefined;
  try {
    return await work(connection);
  } catch (error) {
    failure = { error };
    throw error;
  } finally {
    connection.release(failure);
  }
}

/** How long statements of others may wait behind a lock that we wait for. */
const lockTimeoutMs = 50;
const backOffMs = { first: 20, max: 500 } as const;

/** SQLSTATEs of a lock that was not to be had: lock_not_available, deadlock_detected. */
export function isLockConflict(error: unknown): boolean {
  return ['55P03', '40P01'].includes(sqlStateOf(error) ?? '');
}

export interface ShortLocks {
  readonly signal: AbortSignal;
  /** When to give up, with the last conflict; never by default. */
  readonly patienceMs?: number | undefined;
}

/** Runs statements in one transaction that never waits long for a lock, again and again until it gets all of them. */
export async function runWithShortLocks(node: NodeConnections, statements: readonly string[], { signal, patienceMs = Infinity }: ShortLocks): Promise<void> {
  const deadline = performance.now() + patienceMs;
  const text = [`BEGIN; SET LOCAL lock_timeout = ${lockTimeoutMs}`, 'SET LOCAL client_min_messages = warning', ...statements, 'COMMIT'].join(';\n');
  for (let waitMs: number = backOffMs.first; ; waitMs = Math.min(waitMs * 2, backOffMs.max)) {
    try {
      await withConnection(node, signal, (connection) => connection.query({ text, simple: true }, { signal }));
      return;
    } catch (error) {
      if (!isLockConflict(error) || performance.now() > deadline) throw error;
    }
    await delay(waitMs, undefined, { signal });
  }
}
