import type { Pair } from '../oracle/pair.ts';
import { hunt } from './hunt.ts';
import { reportFind } from './report-find.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly seconds: number;
  /** Ends early after so many differences. */
  readonly stopAfter: number;
  readonly print: (line: string) => void;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

export interface FuzzCounts {
  statements: number;
  trials: number;
  refused: number;
  bothFailed: number;
  differences: number;
  /** How often each kind of refusal was met. */
  readonly refusals: Map<string, number>;
}

/** Trial n uses seed + n, so any find can be repeated by its own seed alone. Prints each find, shrunk. */
export async function fuzz(pair: Pair, options: FuzzOptions): Promise<FuzzCounts> {
  const counts: FuzzCounts = { statements: 0, trials: 0, refused: 0, bothFailed: 0, differences: 0, refusals: new Map() };
  const deadline = options.now() + options.seconds * 1000;
  for (let seed = options.seed; options.now() < deadline && counts.differences < options.stopAfter; seed += 1) {
    const trial = await hunt(pair, seed);
    counts.trials += 1;
    counts.statements += trial.statements;
    if (trial.outcome === 'refused') counts.refused += 1;
    if (trial.outcome === 'both_failed') counts.bothFailed += 1;
    if (trial.refusal !== undefined) counts.refusals.set(trial.refusal, (counts.refusals.get(trial.refusal) ?? 0) + 1);
    if (trial.find === undefined) continue;
    counts.differences += 1;
    options.print(`${reportFind(trial.find)}\n`);
  }
  return counts;
}

/** The refusals met most often, then one line with all counts. */
export function summarize(counts: FuzzCounts, { seed }: { readonly seed: number }): string {
  const refusals = [...counts.refusals].sort((left, right) => right[1] - left[1]).slice(0, 12);
  const percent = (part: number): string => `${((100 * part) / Math.max(1, counts.trials)).toFixed(1)} %`;
  return [
    ...refusals.map(([text, count]) => `${count} × ${text}`),
    `seed ${seed}: ${counts.trials} trials, ${counts.statements} statements, ${percent(counts.refused)} refused, ${percent(counts.bothFailed)} failed on both sides, ${counts.differences} differences`,
  ].join('\n');
}
