import type { PlacedQuery } from '../../analyze/place-query.ts';
import type { Spread, Way } from '../../analyze/placement.ts';
import { nothingSpread } from '../../analyze/placement.ts';

export interface SpreadSearch {
  /** Where the query could be computed if so much were on every server. */
  readonly place: (spread: Spread) => PlacedQuery;
  /** Cost of putting it there; infinite for what must not be. Grows with what is spread. */
  readonly cost: (spread: Spread) => number;
}

/** The most combinations that are looked at; a query that needs more is gathered. */
const looksMax = 200;

/**
 * The cheapest rows to put on every server so that shard groups, or any one server, can answer the rest; undefined when there are none. Best
 * first: each obstacle says what would take it away. Time: placings of the query, `looksMax` at most.
 */
export function chooseSpread({ place, cost }: SpreadSearch): Spread | undefined {
  const open: Candidate[] = [{ spread: nothingSpread, cost: 0 }];
  const seen: Spread[] = [];
  for (let looks = 0; looks < looksMax; looks += 1) {
    const best = takeCheapest(open);
    if (best === undefined) return undefined;
    const { rows } = place(best.spread);
    if (rows.kind !== 'scattered') return best.spread;
    for (const way of rows.obstacle.ways) {
      const spread = joined(best.spread, way);
      if (seen.some((other) => isSame(other, spread))) continue;
      seen.push(spread);
      const candidate = { spread, cost: cost(spread) };
      if (candidate.cost < Infinity) open.push(candidate);
    }
  }
  return undefined;
}

interface Candidate {
  readonly spread: Spread;
  readonly cost: number;
}

function takeCheapest(open: Candidate[]): Candidate | undefined {
  let cheapest = 0;
  for (const [i, { cost }] of open.entries()) if (cost < (open[cheapest]?.cost ?? 0)) cheapest = i;
  return open.splice(cheapest, 1)[0];
}

function joined(spread: Spread, way: Way): Spread {
  return {
    tables: new Set([...spread.tables, ...way.tables]),
    queries: new Set([...spread.queries, ...way.queries]),
    rehashed: new Map([...spread.rehashed, ...(way.rehashed ?? [])].filter(([table]) => !way.tables.includes(table))),
  };
}

function isSame(a: Spread, b: Spread): boolean {
  return sameSet(a.tables, b.tables) && sameSet(a.queries, b.queries) && sameRehashes(a.rehashed, b.rehashed);
}

function sameRehashes(a: Spread['rehashed'], b: Spread['rehashed']): boolean {
  return a.size === b.size && [...a].every(([table, { colocation, column }]) => b.get(table)?.column === column && b.get(table)?.colocation === colocation);
}

function sameSet<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): boolean {
  return a.size === b.size && [...a].every((item) => b.has(item));
}
