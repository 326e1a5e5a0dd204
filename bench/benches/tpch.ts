import type { TpchLayout } from '../data/tpch/tpch-tables.ts';
import type { Bench, Target, Variant } from '../harness/bench.ts';
import { ratioAndTimeAtMost, ratioAtLeast, ratioAtMost } from '../harness/targets.ts';
import { TpchRun } from './tpch-run.ts';

/** Targets in milliseconds are meant up to this scale. */
const scaleOfTimes = 0.1;

/** The 22 queries where each table is distributed by its own key, so that most joins are between rows of different nodes. */
export const tpch = tpchBench({
  name: 'tpch',
  layout: 'by-key',
  about: 'the queries of TPC-H, each table distributed by its own key',
  targetOf: (_, scale) => (scale > scaleOfTimes ? ratioAtMost(12) : ratioAndTimeAtMost(12, 500)),
  sum: ratioAtMost(4),
  largest: ratioAtMost(12),
});

/** Citus refuses these on such tables. */
const refusedByCitus: ReadonlySet<string> = new Set(['q17', 'q20', 'q22']);

/** The same where only orders and their lines are distributed. The targets are what Citus reaches on such tables; where it reaches nothing, those of the other layout. */
export const tpchReference = tpchBench({
  name: 'tpch-reference',
  layout: 'reference',
  about: 'the same, all tables but orders and lineitem being reference tables',
  targetOf: (query) => ratioAtMost(query === 'q19' ? 22 : refusedByCitus.has(query) ? 12 : 4.5),
});

interface TpchBenchOptions {
  readonly name: string;
  readonly layout: TpchLayout;
  readonly about: string;
  readonly targetOf: (query: string, scale: number) => Target;
  readonly sum?: Target;
  readonly largest?: Target;
}

function tpchBench(options: TpchBenchOptions): Bench {
  return {
    name: options.name,
    about: options.about,
    ownTables: true,
    variants: (bed) => {
      const run = new TpchRun(bed, options.layout);
      return [...queryVariants(run, options, bed.tpchScale), summary(run, options)];
    },
  };
}

function queryVariants(run: TpchRun, { name, targetOf }: TpchBenchOptions, scale: number): Variant[] {
  return run.queries.map((query) => ({
    metrics: [{ name: `${name}/${query.name}`, unit: 'ms', target: targetOf(query.name, scale) }],
    prepare: async () => void (await run.open()),
    verify: () => run.verify(query),
    warm: true,
    measure: async ({ kind }) => [await run.measure(query, kind)],
  }));
}

/** Over the queries that both sides answered alike, after all of them: the sum of their times, the largest ratio, and how many they are. */
function summary(run: TpchRun, { name, sum, largest }: TpchBenchOptions): Variant {
  return {
    metrics: [
      { name: `${name}/sum`, unit: 'ms', ...(sum === undefined ? {} : { target: sum }) },
      { name: `${name}/largest-ratio`, unit: '×', ...(largest === undefined ? {} : { target: largest }) },
      { name: `${name}/answered`, unit: 'queries', target: ratioAtLeast(1) },
    ],
    warm: true,
    costly: true,
    measure: ({ kind }) => {
      const medians = run.mediansOfBoth();
      const total = medians.reduce((left, right) => left + right[kind], 0);
      const worst = Math.max(...medians.map(({ plain, cluster }) => (kind === 'plain' ? 1 : cluster / plain)));
      return Promise.resolve([total, worst, kind === 'plain' ? run.queries.length : medians.length]);
    },
  };
}
