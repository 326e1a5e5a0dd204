import { onAbort } from './abort.ts';
import { ClusterError } from './errors.ts';

/** A limit of time for one call; undefined and 0 mean none. */
export type Milliseconds = number | undefined;

/** The longest time that a timer of Node can wait, which is also the most that PostgreSQL takes for a timeout. */
export const timeoutMax = 2 ** 31 - 1;

/**
 * Runs the work with a signal that aborts when the caller's does, or when the time is over: then with the error that PostgreSQL gives for
 * its `statement_timeout`. Without a limit the work gets the caller's own signal.
 */
export function withinTime<T>(limit: Milliseconds, signal: AbortSignal | undefined, work: (signal: AbortSignal | undefined) => Promise<T>): Promise<T> {
  return isUnlimited(limit) ? work(signal) : timedWork(limit, signal, work);
}

async function timedWork<T>(ms: number, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  using _outer = onAbort(signal, () => controller.abort(signal?.reason));
  using _timer = abortLater(controller, ms);
  return await work(controller.signal);
}

/** As `withinTime`, for rows that are pulled: each batch has the whole time, which runs only while somebody waits for one. */
export async function* eachWithinTime<T>(limit: Milliseconds, signal: AbortSignal | undefined, open: (signal: AbortSignal | undefined) => AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  if (isUnlimited(limit)) {
    yield* open(signal);
    return;
  }
  const ms = limit;
  const controller = new AbortController();
  using _outer = onAbort(signal, () => controller.abort(signal?.reason));
  const batches = open(controller.signal)[Symbol.asyncIterator]();
  try {
    for (let next = await timed(); next.done !== true; next = await timed()) yield next.value;
  } finally {
    await batches.return?.();
  }

  async function timed(): Promise<IteratorResult<T>> {
    using _timer = abortLater(controller, ms);
    return await batches.next();
  }
}

function isUnlimited(limit: Milliseconds): limit is undefined | 0 {
  return limit === undefined || limit === 0;
}

function abortLater(controller: AbortController, ms: number): Disposable {
  const timer = setTimeout(() => controller.abort(new ClusterError('canceled', 'canceling statement due to statement timeout')), ms);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
