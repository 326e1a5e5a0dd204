import type { TestBed } from './test-bed.ts';
import type { Side } from './side.ts';

export type Unit = 'ms' | 'µs' | 'ops/s' | 'rows/s' | 'MB' | 'MB/s' | 'changes/s' | 'connections' | 'queries' | '×';

/** Medians of one metric on both sides; `undefined` where it was not measured. */
export interface Medians {
  readonly plain: number | undefined;
  readonly cluster: number | undefined;
}

export interface Target {
  /** As the table shows it, such as `≥ 0.90 ×`. */
  readonly text: string;
  /** Whether the medians meet it; `undefined` when that cannot be said. */
  met(medians: Medians, all: ReadonlyMap<string, Medians>): boolean | undefined;
}

/** One line of the report. `name` is the bench's name, a slash and the variant. */
export interface Metric {
  readonly name: string;
  readonly unit: Unit;
  readonly target?: Target;
}

/** Something measured on one side at a time, on both sides alternately. It may yield several metrics at once. */
export interface Variant {
  readonly metrics: readonly Metric[];
  /** Measured on the cluster alone: there is nothing to compare with. */
  readonly clusterOnly?: boolean;
  /** Needs no warm-up: each round runs in a new process, or `verify` has run the same work. */
  readonly warm?: boolean;
  /** A round takes seconds, so a quick run makes but one. */
  readonly costly?: boolean;
  /** Once, before the warm-up. */
  prepare?(): Promise<void>;
  /** Compares what both sides return; says in a sentence what differs. */
  verify?(): Promise<string | undefined>;
  /** One round on one side: one value per metric, in the order of `metrics`. Unless `warm`, the first call on a side is not counted. */
  measure(side: Side): Promise<readonly number[]>;
  /** Once, after the last round. */
  cleanUp?(): Promise<void>;
}

export interface Bench {
  readonly name: string;
  /** What it measures, in a few words for `--help`. */
  readonly about: string;
  /** It makes its tables itself; the multi-tenant rows need not be loaded for it. */
  readonly ownTables?: boolean;
  variants(bed: TestBed): readonly Variant[];
}

/** What became of one metric. */
export interface MetricResult {
  readonly name: string;
  readonly unit: Unit;
  readonly plain: number | null;
  readonly cluster: number | null;
  /** cluster / plain, or null when either is missing. */
  readonly ratio: number | null;
  readonly target: string | undefined;
  readonly met: boolean | undefined;
  /** What the cluster said when it refused the work, which is no failure. */
  readonly refused: string | undefined;
  /** Why a side could not be measured, or how its rows differ. */
  readonly problem: string | undefined;
}
