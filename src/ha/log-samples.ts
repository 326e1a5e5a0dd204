/** How many positions of a primary's log are remembered. */
const samplesMax = 240;

/**
 * Where the end of a primary's log was, and when. It tells how old a replica's state is at most, by our clock alone: servers' clocks differ, and the time of the last transaction says nothing while nobody writes.
 */
export class LogSamples {
  readonly #samples: { readonly atMs: number; readonly lsn: bigint }[] = [];

  /** `atMs`: when the primary was asked, by a clock that only grows. */
  add(atMs: number, lsn: bigint): void {
    const last = this.#samples.at(-1);
    // The end of the log moves backwards with a promotion only.
    if (last !== undefined && lsn < last.lsn) this.#samples.length = 0;
    this.#samples.push({ atMs, lsn });
    if (this.#samples.length > samplesMax) this.#samples.shift();
  }

  /** How long before `nowMs` everything was in the log that a server has which has applied it up to `lsn`; undefined when it is behind all that is remembered. */
  ageMs(lsn: bigint, nowMs: number): number | undefined {
    const sample = this.#samples.findLast((one) => one.lsn <= lsn);
    return sample === undefined ? undefined : Math.max(0, nowMs - sample.atMs);
  }
}
