import type { Medians, Target } from './bench.ts';

/** cluster / plain must not exceed `limit` (for times and memory). */
export function ratioAtMost(limit: number): Target {
  return { text: `≤ ${limit.toFixed(2)} ×`, met: (medians) => compareRatio(medians, (ratio) => ratio <= limit) };
}

/** cluster / plain must reach `limit` (for rates). */
export function ratioAtLeast(limit: number): Target {
  return { text: `≥ ${limit.toFixed(2)} ×`, met: (medians) => compareRatio(medians, (ratio) => ratio >= limit) };
}

/** cluster / plain must not exceed `limit`, nor the cluster's time `limitMs`. */
export function ratioAndTimeAtMost(limit: number, limitMs: number): Target {
  return {
    text: `≤ ${limit.toFixed(2)} ×, ${limitMs} ms`,
    met: (medians) => compareRatio(medians, (ratio) => ratio <= limit && (medians.cluster ?? Infinity) <= limitMs),
  };
}

/** The cluster's own value must not exceed `limit`, whatever plain's is. */
export function valueAtMost(limit: number, unit: string): Target {
  return { text: `≤ ${limit} ${unit}`, met: ({ cluster }) => (cluster === undefined ? undefined : cluster <= limit) };
}

/** The cluster's own value must reach `limit`. */
export function valueAtLeast(limit: number, unit: string): Target {
  return { text: `≥ ${limit} ${unit}`, met: ({ cluster }) => (cluster === undefined ? undefined : cluster >= limit) };
}

function compareRatio({ plain, cluster }: Medians, holds: (ratio: number) => boolean): boolean | undefined {
  return plain === undefined || cluster === undefined ? undefined : holds(cluster / plain);
}
