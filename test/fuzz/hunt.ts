import { compareOutcomes } from '../oracle/compare-outcomes.ts';
import type { Difference } from '../oracle/compare-outcomes.ts';
import type { OracleCase, WriteCase } from '../oracle/oracle-case.ts';
import { runRaw } from '../oracle/outcome.ts';
import { compareWrites } from '../oracle/pair.ts';
import type { Pair } from '../oracle/pair.ts';
import { Random } from '../oracle/random.ts';
import { makeSelect } from './generate-select.ts';
import { makeWrites } from './generate-writes.ts';
import { selectCase } from './select-case.ts';
import { shrink, smallerLists, smallerSelects } from './shrink.ts';

export type Find =
  | { readonly kind: 'read'; readonly seed: number; readonly found: OracleCase; readonly differences: readonly Difference[] }
  | { readonly kind: 'write'; readonly seed: number; readonly found: WriteCase; readonly differences: readonly Difference[] };

export interface Trial {
  /** Statements run: 1, or the steps of a write case. */
  readonly statements: number;
  readonly outcome: 'agreed' | 'both_failed' | 'refused' | 'differed';
  readonly refusal?: string;
  readonly find?: Find;
}

/** One random case: a function of `seed` and the data. A difference comes back shrunk. */
export async function hunt(pair: Pair, seed: number): Promise<Trial> {
  const random = new Random(seed);
  return random.chance(0.85) ? huntRead(pair, seed, random) : huntWrite(pair, seed, random);
}

async function huntRead(pair: Pair, seed: number, random: Random): Promise<Trial> {
  const start = makeSelect(random);
  const { differences, bothFailed } = await compareRead(pair, selectCase(start));
  const [first] = differences;
  if (first === undefined) return { statements: 1, outcome: bothFailed ? 'both_failed' : 'agreed' };
  if (first.kind === 'refused') return { statements: 1, outcome: 'refused', refusal: first.text };
  const wanted = signatureOf(first);
  const smallest = await shrink(start, smallerSelects, async (candidate) => {
    const again = await compareRead(pair, selectCase(candidate));
    return again.differences.some((difference) => signatureOf(difference) === wanted);
  });
  const found = selectCase(smallest);
  return { statements: 1, outcome: 'differed', find: { kind: 'read', seed, found, differences: (await compareRead(pair, found)).differences } };
}

async function compareRead(pair: Pair, how: OracleCase): Promise<{ differences: Difference[]; bothFailed: boolean }> {
  const expected = await runRaw(pair.plain, pair.plainNames, how.sql, how.values);
  const actual = await runRaw(pair.cluster, pair.clusterNames, how.sql, how.values);
  return { differences: worthHunting(compareOutcomes(expected, actual, how)), bothFailed: expected.kind === 'failed' && actual.kind === 'failed' };
}

async function huntWrite(pair: Pair, seed: number, random: Random): Promise<Trial> {
  const start = makeWrites(random);
  const differences = worthHunting(await compareWrites(pair, start));
  const [first] = differences.filter(({ kind }) => kind !== 'refused');
  const refusal = differences.find(({ kind }) => kind === 'refused');
  const statements = start.steps.length;
  if (first === undefined) return refusal === undefined ? { statements, outcome: 'agreed' } : { statements, outcome: 'refused', refusal: refusal.text };
  const found = await shrink(start, smallerWrites, async (candidate) => worthHunting(await compareWrites(pair, candidate)).some(({ kind }) => kind === first.kind), 60);
  return { statements, outcome: 'differed', find: { kind: 'write', seed, found, differences: worthHunting(await compareWrites(pair, found)) } };
}

function* smallerWrites(write: WriteCase): Generator<WriteCase> {
  for (const steps of smallerLists(write.steps, () => [])) {
    if (steps.length > 0) yield { ...write, steps, name: steps.map(({ sql }) => sql).join('; ') };
  }
}

/** Field descriptors are the oracle's to compare: no shape of a query makes a difference of its own there. */
function worthHunting(differences: readonly Difference[]): Difference[] {
  return differences.filter(({ kind }) => kind !== 'descriptor');
}

/** What must stay the same while a query shrinks: the kind, and the SQLSTATE or the thing that differs. */
function signatureOf({ kind, text }: Difference): string {
  const sqlState = /\b(?:failed|SQLSTATE is)\W+([0-9A-Z]{5})\b/u.exec(text)?.[1] ?? '';
  return `${kind} ${kind === 'error' ? sqlState : ''}`;
}
