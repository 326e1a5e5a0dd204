import { allOrAbort } from '../base/abort.ts';

/** Does the work for each item, so many at a time, in order. When one fails the others are aborted, and its error thrown. */
export async function inLanes<T>(items: readonly T[], { lanesMax, signal }: { readonly lanesMax: number; readonly signal: AbortSignal }, work: (item: T, signal: AbortSignal) => Promise<void>): Promise<void> {
  const left = [...items];
  const lanes = Array.from({ length: Math.min(lanesMax, items.length) }, () => async (own: AbortSignal) => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await work(next, own);
  });
  await allOrAbort(signal, lanes);
}
