import { setMaxListeners } from 'node:events';
import { ClusterError } from './errors.ts';

/** Throws `canceled` when the signal is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw canceled(signal);
}

/** The error of an aborted call; the signal's reason becomes its cause. */
export function canceled(signal: AbortSignal): ClusterError {
  return signal.reason instanceof ClusterError
    ? signal.reason
    : new ClusterError('canceled', 'canceling statement due to user request', { cause: signal.reason });
}

/**
 * Calls `onAbort` once when the signal aborts (at once if it already has). Dispose to stop listening. All statements of one call may
 * listen to its signal at a time, so Node's warning at more than 10 listeners is turned off for it.
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): Disposable {
  if (signal === undefined) return { [Symbol.dispose]: () => undefined };
  if (signal.aborted) listener();
  else {
    setMaxListeners(0, signal);
    signal.addEventListener('abort', listener, { once: true });
  }
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', listener) };
}

/** The promise, or `canceled` as soon as the signal aborts. What the promise stands for goes on, for others who wait for it. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const listening = onAbort(signal, () => reject(canceled(signal)));
    void promise.then(resolve, reject).finally(() => listening[Symbol.dispose]());
  });
}

/**
 * Runs the branches side by side; when one fails, aborts the others, waits for all of them, then throws the first
 * failure. So no branch outlives the call.
 */
export async function allOrAbort<T>(
  signal: AbortSignal | undefined,
  branches: readonly ((signal: AbortSignal) => Promise<T>)[],
): Promise<T[]> {
  const controller = new AbortController();
  using _outer = onAbort(signal, () => controller.abort(signal?.reason));
  let first: { readonly error: unknown } | undefined;
  const settled = await Promise.allSettled(
    branches.map(async (branch) => {
      try {
        return await branch(controller.signal);
      } catch (error) {
        first ??= { error };
        controller.abort(error);
        throw error;
      }
    }),
  );
  if (first !== undefined) throw first.error;
  return settled.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
