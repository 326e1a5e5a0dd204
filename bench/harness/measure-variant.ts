import type { MetricResult, Medians, Metric, Variant } from './bench.ts';
import type { Side } from './side.ts';
import { refusalOf } from './refusal.ts';
import { median } from './statistics.ts';

export interface Sides {
  readonly plain: Side;
  readonly cluster: Side;
}

/**
 * Measures a variant on both sides alternately: after a warm-up of each, rounds in the order A B B A, so that a drift of the
 * machine meets both alike. A side that fails, or refuses, is left out from then on and its error is reported; nothing is thrown.
 */
export async function measureVariant(variant: Variant, sides: Sides, rounds: number): Promise<readonly MetricResult[]> {
  const tally = new Tally(variant.metrics);
  await tally.guard('preparing', async () => variant.prepare?.());
  if (tally.problem === undefined) {
    await tally.guard('rows', async () => tally.note(await variant.verify?.()));
    await runRounds(variant, sides, { rounds, tally });
    await tally.guard('cleaning up', async () => variant.cleanUp?.());
  }
  return tally.results();
}

async function runRounds(variant: Variant, sides: Sides, run: { readonly rounds: number; readonly tally: Tally }): Promise<void> {
  const both = variant.clusterOnly === true ? [sides.cluster] : [sides.plain, sides.cluster];
  const failed = new Set<Side>();
  for (let round = variant.warm === true ? 1 : 0; round <= run.rounds; round += 1) {
    for (const side of round % 2 === 0 ? both : both.toReversed()) {
      if (failed.has(side)) continue;
      const values = await run.tally.guard(side.kind, () => variant.measure(side));
      if (values === undefined) failed.add(side);
      else if (round > 0) run.tally.add(side.kind, values);
    }
  }
}

/** Collects the values of all rounds, and what went wrong. */
class Tally {
  private readonly values = { plain: [] as (readonly number[])[], cluster: [] as (readonly number[])[] };
  private readonly problems: string[] = [];
  private refused: string | undefined;

  constructor(private readonly metrics: readonly Metric[]) {}

  get problem(): string | undefined {
    return this.problems.length === 0 ? undefined : this.problems.join('; ');
  }

  note(problem: string | undefined): void {
    if (problem !== undefined) this.problems.push(problem);
  }

  add(side: 'plain' | 'cluster', values: readonly number[]): void {
    this.values[side].push(values);
  }

  /** Runs a step; a failure is noted under `label`, and the cluster's refusal as such. Both give `undefined`. */
  async guard<T>(label: string, step: () => Promise<T>): Promise<T | undefined> {
    try {
      return await step();
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined) this.note(`${label}: ${error instanceof Error ? error.message : String(error)}`);
      else this.refused = refusal;
      return undefined;
    }
  }

  results(): MetricResult[] {
    const all = new Map(this.metrics.map((metric, index) => [metric.name, this.mediansOf(index)]));
    return this.metrics.map((metric) => toResult(metric, { all, refused: this.refused, problem: this.problem }));
  }

  private mediansOf(index: number): Medians {
    const of = (rounds: readonly (readonly number[])[]): number | undefined =>
      rounds.length === 0 ? undefined : median(rounds.map((values) => values[index] ?? Number.NaN));
    return { plain: of(this.values.plain), cluster: of(this.values.cluster) };
  }
}

interface Context {
  readonly all: ReadonlyMap<string, Medians>;
  readonly refused: string | undefined;
  readonly problem: string | undefined;
}

function toResult(metric: Metric, { all, refused, problem }: Context): MetricResult {
  const medians = all.get(metric.name) ?? { plain: undefined, cluster: undefined };
  const ratio = medians.plain === undefined || medians.cluster === undefined ? null : medians.cluster / medians.plain;
  return {
    name: metric.name,
    unit: metric.unit,
    plain: medians.plain ?? null,
    cluster: medians.cluster ?? null,
    ratio: Number.isFinite(ratio) ? ratio : null,
    target: metric.target?.text,
    met: metric.target?.met(medians, all),
    refused,
    problem,
  };
}
