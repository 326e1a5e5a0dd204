import type { Way } from './placement.ts';
import type { FromTree, Query } from './query-level.ts';
import { levelsIn, readsAround } from './reads-around.ts';

/** Spreading a part of a FROM list: its tables, and its subqueries as a whole. */
export function wayOf(tree: FromTree): Way {
  switch (tree.kind) {
    case 'table':
      return { tables: tree.use.table.kind === 'distributed' ? [tree.use.rangeVar] : [], queries: [] };
    case 'foreign':
      return { tables: [tree.rangeVar], queries: [] };
    case 'result':
      return { tables: tree.use.key === undefined ? [] : [tree.use.rangeVar], queries: [] };
    case 'query':
      return tree.lateral ? tablesOf(tree.query) : wayOfQuery(tree.query);
    case 'shared':
      return wayOfQuery(tree.shared.query);
    case 'sample':
      return wayOf(tree.input);
    case 'join':
      return both(wayOf(tree.left), wayOf(tree.right));
    case 'computed':
      return tree.sublinks.map(({ query }) => wayOfQuery(query)).reduce(both, none);
    case 'empty':
    case 'cycle':
      return none;
  }
}

/** A query is asked about once for each candidate that the planner looks at. */
const known = new WeakMap<Query, Way>();

/** Running a query first; where it depends on rows around it, spreading its tables. Of a query that is built to its end. */
export function wayOfQuery(query: Query): Way {
  const found = known.get(query) ?? (readsAround(query) ? tablesOf(query) : { tables: [], queries: [query.statement] });
  known.set(query, found);
  return found;
}

export function isSameWay(a: Way, b: Way): boolean {
  return a.rehashed === b.rehashed && sameItems(a.tables, b.tables) && sameItems(a.queries, b.queries);
}

const none: Way = { tables: [], queries: [] };

function both(a: Way, b: Way): Way {
  return { tables: [...a.tables, ...b.tables], queries: [...a.queries, ...b.queries] };
}

function tablesOf(query: Query): Way {
  return levelsIn(query).map(({ from }) => tablesIn(from)).reduce(both, none);
}

/** The tables of one FROM list; those of its subqueries are found at their own levels. */
function tablesIn(tree: FromTree): Way {
  if (tree.kind === 'join') return both(tablesIn(tree.left), tablesIn(tree.right));
  if (tree.kind === 'query' || tree.kind === 'shared' || tree.kind === 'computed') return none;
  return wayOf(tree);
}

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item) => b.includes(item));
}
