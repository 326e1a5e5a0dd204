import type { MetricResult } from './bench.ts';
import type { Machine } from './machine.ts';

export interface Report {
  /** The benches that ran, separated by commas. */
  readonly bench: string;
  readonly commit: string;
  readonly machine: Machine;
  readonly results: readonly MetricResult[];
}

/**
 * The report as one JSON object. A figure is null where a side could not be measured; `error` is there then, and says why; or `refused`,
 * with what the cluster said.
 */
export function reportJson(report: Report): string {
  const results = report.results.map(({ name, unit, plain, cluster, ratio, refused, problem }) => ({
    name,
    unit,
    plain: rounded(plain),
    cluster: rounded(cluster),
    ratio: rounded(ratio),
    ...(refused === undefined ? {} : { refused }),
    ...(problem === undefined ? {} : { error: problem }),
  }));
  return JSON.stringify({ bench: report.bench, commit: report.commit, machine: report.machine, results }, undefined, 2);
}

function rounded(value: number | null): number | null {
  return value === null || !Number.isFinite(value) ? null : Number(value.toPrecision(6));
}
