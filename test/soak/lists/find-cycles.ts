import type { Edge } from './check-history.ts';
import type { Anomaly } from './history.ts';

/**
 * Transactions that each came before the next in a circle: by ww alone (G0), by ww and wr (G1c), and with exactly one rw among those (G-single). One anomaly for each edge that
 * closes such a circle, of the first kind only, if there are several kinds. Time: linear in edges that are in no circle at all, squared in those that are.
 */
export function findCycles(all: readonly Edge[]): Anomaly[] {
  const edges = withoutEnds(all);
  const ww = edges.filter(({ kind }) => kind === 'ww');
  const dependencies = edges.filter(({ kind }) => kind !== 'rw');
  const kinds = [
    { kind: 'G0', closing: ww, through: ww },
    { kind: 'G1c', closing: dependencies, through: dependencies },
    { kind: 'G-single', closing: edges.filter(({ kind }) => kind === 'rw'), through: dependencies },
  ] as const;
  for (const { kind, closing, through } of kinds) {
    const next = adjacency(through);
    const found = closing.flatMap((edge): Anomaly[] => {
      const path = pathFrom(edge.to, edge.from, next);
      return path === undefined ? [] : [{ kind, about: `${edge.from} -${edge.kind}-> ${path.join(' -> ')}` }];
    });
    if (found.length > 0) return found;
  }
  return [];
}

/** Without those who have nobody before them, again and again, and then without those who have nobody after them: circles are left, and what lies between circles. */
function withoutEnds(edges: readonly Edge[]): Edge[] {
  const hasBefore = keptByPeeling(edges.map(({ from, to }) => [from, to]));
  const hasAfter = keptByPeeling(edges.map(({ from, to }) => [to, from]));
  return edges.filter(({ from, to }) => [from, to].every((id) => hasBefore.has(id) && hasAfter.has(id)));
}

/** What is left of a graph when everything is taken away, again and again, that no arrow points to. Source: Kahn, Topological Sorting of Large Networks, 1962. */
function keptByPeeling(arrows: readonly (readonly [string, string])[]): Set<string> {
  const kept = new Set(arrows.flat());
  const pointing = new Map([...kept].map((id) => [id, 0]));
  const targets = new Map([...kept].map((id): [string, string[]] => [id, []]));
  for (const [from, to] of arrows) {
    pointing.set(to, (pointing.get(to) ?? 0) + 1);
    targets.get(from)?.push(to);
  }
  const loose = [...kept].filter((id) => pointing.get(id) === 0);
  for (const id of loose) {
    kept.delete(id);
    for (const to of targets.get(id) ?? []) {
      const left = (pointing.get(to) ?? 0) - 1;
      pointing.set(to, left);
      if (left === 0) loose.push(to);
    }
  }
  return kept;
}

function adjacency(edges: readonly Edge[]): Map<string, string[]> {
  const next = new Map<string, string[]>();
  for (const { from, to } of edges) {
    const known = next.get(from);
    if (known === undefined) next.set(from, [to]);
    else known.push(to);
  }
  return next;
}

/** The shortest way, both ends included. */
function pathFrom(start: string, end: string, next: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const before = new Map<string, string | undefined>([[start, undefined]]);
  const queue = [start];
  for (const at of queue) {
    if (at === end) return wayTo(at, before);
    for (const to of next.get(at) ?? []) {
      if (before.has(to)) continue;
      before.set(to, at);
      queue.push(to);
    }
  }
  return undefined;
}

function wayTo(end: string, before: ReadonlyMap<string, string | undefined>): string[] {
  const way = [];
  for (let at: string | undefined = end; at !== undefined; at = before.get(at)) way.unshift(at);
  return way;
}
