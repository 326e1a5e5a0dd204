import type { Pair } from '../oracle/pair.ts';
import { hunt } from './hunt.ts';
import type { Find, Hunting } from './hunt.ts';
import { reportFind } from './report-find.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly seconds: number;
  /** Ends early after so many differences that do not look alike. */
  readonly stopAfter: number;
  readonly print: (line: string) => void;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly hunting?: Hunting;
}

export interface FuzzCounts {
  statements: number;
  trials: number;
  refused: number;
  /** Took plain PostgreSQL too long to be compared. */
  tooSlow: number;
  /** Took the cluster very much longer. */
  slow: number;
  bothFailed: number;
  /** Failed on plain PostgreSQL alone, by an error that depends on rows. */
  escaped: number;
  differences: number;
  /** Differences that do not look alike: one bug often shows many times. */
  distinct: number;
  /** How often each kind of refusal was met. */
  readonly refusals: Map<string, number>;
}

/** Trial n uses seed + n, so any find can be repeated by its own seed alone. Prints each find, shrunk, unless it looks like an earlier one. */
export async function fuzz(pair: Pair, options: FuzzOptions): Promise<FuzzCounts> {
  const counts: FuzzCounts = { statements: 0, trials: 0, refused: 0, tooSlow: 0, slow: 0, bothFailed: 0, escaped: 0, differences: 0, distinct: 0, refusals: new Map() };
  const seen = new Set<string>();
  const deadline = options.now() + options.seconds * 1000;
  for (let seed = options.seed; options.now() < deadline && seen.size < options.stopAfter; seed += 1) {
    const trial = await hunt(pair, seed, options.hunting);
    counts.trials += 1;
    counts.statements += trial.statements;
    if (trial.outcome === 'refused') counts.refused += 1;
    if (trial.outcome === 'both_failed') counts.bothFailed += 1;
    if (trial.escaped !== undefined) {
      counts.escaped += 1;
      options.print(`seed ${seed} escaped an error: ${trial.escaped}`);
    }
    if (trial.outcome === 'too_slow') counts.tooSlow += 1;
    if (trial.slow !== undefined) {
      counts.slow += 1;
      options.print(`seed ${seed} is slow: ${trial.slow}`);
    }
    if (trial.refusal !== undefined) counts.refusals.set(trial.refusal, (counts.refusals.get(trial.refusal) ?? 0) + 1);
    if (trial.find === undefined) continue;
    counts.differences += 1;
    const likeness = likenessOf(trial.find);
    if (!seen.has(likeness)) options.print(`${reportFind(trial.find)}\n`);
    seen.add(likeness);
    counts.distinct = seen.size;
  }
  return counts;
}

/** An error's words without names and values; of wrong rows the keywords of the shrunk statement. */
function likenessOf(find: Find): string {
  const [first] = find.differences;
  if (first?.kind === 'error') return first.text.replaceAll(/.*: (?=failed|answered|SQLSTATE)/gsu, '').replaceAll(/"[^"]*"|\d+/gu, '');
  const sql = find.kind === 'read' ? find.found.sql : find.found.steps.map((step) => step.sql).join(';');
  return `${first?.kind} ${[...new Set(sql.match(/\b(?!NULL|DEFAULT|AS)[A-Z]{2,}\b/gu))].join(' ')}`;
}

/** The refusals met most often, then one line with all counts. */
export function summarize(counts: FuzzCounts, { seed }: { readonly seed: number }): string {
  const refusals = [...counts.refusals].sort((left, right) => right[1] - left[1]).slice(0, 12);
  const percent = (part: number): string => `${((100 * part) / Math.max(1, counts.trials)).toFixed(1)} %`;
  return [
    ...refusals.map(([text, count]) => `${count} × ${text}`),
    `seed ${seed}: ${counts.trials} trials, ${counts.statements} statements, ${percent(counts.refused)} refused, ${percent(counts.bothFailed)} failed on both sides, ${counts.escaped} only on plain, ${counts.tooSlow} too slow to compare, ${counts.slow} slow, ${counts.differences} differences (${counts.distinct} unlike each other)`,
  ].join('\n');
}
