import { throwIfAborted } from '../base/abort.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import { pauseAbout } from '../base/pause.ts';
import type { ClusterClient, ConnectOptions } from './pool-interface.ts';

export interface TransactionOptions extends ConnectOptions {
  /** The session's default where not given: READ COMMITTED, unless it was set otherwise. */
  readonly isolation?: 'read committed' | 'repeatable read' | 'serializable' | undefined;
  /** Such a one can be on replicas, as its other options, those of the client's `connect()`, say. */
  readonly readOnly?: boolean | undefined;
  /** How often the work is tried again after an error that another try may not meet: 5 by default. */
  readonly retries?: number | undefined;
}

const retriesDefault = 5;
const firstDelayMs = 10;
const delayMsMax = 1_000;

/**
 * Runs `work` between BEGIN and COMMIT; what it throws rolls back. Tried again, with growing random pauses, when the transaction certainly did not commit and may
 * succeed the next time: serialization failures (40001), deadlocks (40P01), a catalog that changed meanwhile. Never when the outcome is unknown.
 */
export async function runTransaction<T>(connect: () => Promise<ClusterClient>, work: (client: ClusterClient) => Promise<T>, options: TransactionOptions): Promise<T> {
  const { retries = retriesDefault, signal } = options;
  if (!Number.isInteger(retries) || retries < 0) throw new ClusterError('invalidParameter', 'retries must be a non-negative integer', { detail: `It is ${retries}.` });
  for (let attempt = 0; ; attempt += 1) {
    throwIfAborted(signal);
    try {
      return await inTransaction(await connect(), (client) => client.query(`BEGIN ${modesOf(options)}`.trim()), work);
    } catch (error) {
      if (attempt >= retries || !mayBeTriedAgain(error)) throw error;
      // Longer each time.
      await pauseAbout(Math.min(firstDelayMs * 2 ** attempt, delayMsMax), signal);
    }
  }
}

/** Runs `work` between `begin` and COMMIT, or ROLLBACK when it throws; then gives the client back. */
export async function inTransaction<T>(client: ClusterClient, begin: (client: ClusterClient) => Promise<unknown>, work: (client: ClusterClient) => Promise<T>): Promise<T> {
  try {
    await begin(client);
    const result = await work(client);
    const { command } = await client.query('COMMIT');
    // The work has passed over an error of a statement: PostgreSQL then rolls back, and says so only here.
    if (command === 'ROLLBACK') throw new ClusterError('transactionAborted', 'the transaction was rolled back', { detail: 'A statement in it had failed, and the error was not thrown.' });
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  } finally {
    client.release();
  }
}

const levels = { 'read committed': 'READ COMMITTED', 'repeatable read': 'REPEATABLE READ', serializable: 'SERIALIZABLE' } as const;

function modesOf({ isolation, readOnly }: TransactionOptions): string {
  const level = isolation === undefined ? undefined : (levels[isolation] as string | undefined);
  if (isolation !== undefined && level === undefined) {
    throw new ClusterError('invalidParameter', `unknown isolation level: ${isolation}`, { hint: 'Use read committed, repeatable read or serializable.' });
  }
  const modes = [...(level === undefined ? [] : [`ISOLATION LEVEL ${level}`]), ...(readOnly === undefined ? [] : [readOnly ? 'READ ONLY' : 'READ WRITE'])];
  return modes.join(', ');
}

function mayBeTriedAgain(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === '40001' || state === '40P01' || (error instanceof ClusterError && error.id === 'shardMissing');
}
