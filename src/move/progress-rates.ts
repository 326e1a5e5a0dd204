import type { MoveProgress } from './move-context.ts';

/** How fast a move is, over the last seconds; what cannot be told yet is not there. */
export interface ProgressRates {
  readonly bytesPerSecond?: number;
  /** Of the copy. */
  readonly rowsPerSecond?: number;
  readonly changesPerSecond?: number;
  /** Until the copy is done, as far as sizes on disk tell how many bytes there are to be copied. */
  readonly etaMs?: number;
}

const windowMs = 5_000;

interface Sample {
  readonly atMs: number;
  readonly progress: MoveProgress;
}

/** Rates from what a move reports now and then. Figures that became smaller, since a step began anew, begin a new reckoning. */
export class ProgressMeter {
  #samples: readonly Sample[] = [];

  /** `atMs`: by a clock that never goes back. */
  rates(progress: MoveProgress, atMs: number): ProgressRates {
    const last = this.#samples.at(-1)?.progress;
    const isAnew = last !== undefined && ((progress.bytesCopied ?? 0) < (last.bytesCopied ?? 0) || (progress.changesApplied ?? 0) < (last.changesApplied ?? 0));
    this.#samples = [...(isAnew ? [] : this.#samples.filter((sample) => sample.atMs >= atMs - windowMs)), { atMs, progress }];
    const [first] = this.#samples;
    if (first === undefined || first.atMs === atMs) return {};
    const perSecond = (figure: 'bytesCopied' | 'rowsCopied' | 'changesApplied'): number => Math.round((((progress[figure] ?? 0) - (first.progress[figure] ?? 0)) * 1_000) / (atMs - first.atMs));
    const [bytesPerSecond, changesPerSecond] = [perSecond('bytesCopied'), perSecond('changesApplied')];
    const left = Math.max((progress.bytesTotal ?? 0) - (progress.bytesCopied ?? 0), 0);
    return {
      ...(progress.bytesCopied === undefined ? {} : { bytesPerSecond }),
      ...(progress.rowsCopied === undefined ? {} : { rowsPerSecond: perSecond('rowsCopied') }),
      ...(progress.changesApplied === undefined ? {} : { changesPerSecond }),
      ...(progress.bytesTotal === undefined || bytesPerSecond <= 0 ? {} : { etaMs: Math.round((left / bytesPerSecond) * 1_000) }),
    };
  }
}
