import { setTimeout as wait } from 'node:timers/promises';

const waitMs = 50;
const waitsMax = 100;

/** Asks again and again, for some five seconds, as long as something is so. */
export async function waitWhile(isSo: () => Promise<boolean>, signal: AbortSignal | undefined): Promise<void> {
  for (let i = 0; i < waitsMax && (await isSo()); i += 1) await wait(waitMs, undefined, { signal });
}
