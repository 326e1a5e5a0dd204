import type { Node, RangeTableSample, RangeVar, SelectStmt } from '@pgsql/types';
import type { FromTree, Query, SelectQuery, Sublink } from '../../analyze/query-level.ts';
import type { Relation } from '../../analyze/relation.ts';
import { conjuncts, walk } from '../../sql/ast.ts';

/** Where one relation of the catalog, local table or intermediate result stands in a statement. */
export interface UsePlace {
  readonly rangeVar: RangeVar;
  readonly relation: Relation;
  /** The query level whose FROM list has it. */
  readonly query: SelectQuery;
  /** Conditions of that level which every row of the relation must meet that matters: where all columns of one are the relation's, it may be applied below. */
  readonly conditions: readonly Node[];
  /** Rows are taken by chance: a filter below would take others. How many may depend on rows around it, so they are taken where it stands. */
  readonly sampled: boolean;
  /** Rows are taken by chance where the relation is read, whatever stands around it. */
  readonly sample: RangeTableSample | undefined;
}

/** The places of all relations of a query and the queries in it, by their nodes in the parse tree. */
export function usePlaces(query: Query): Map<RangeVar, UsePlace> {
  const places = new Map<RangeVar, UsePlace>();
  const seen = new Set<Query>();
  const visit = (inner: Query): void => {
    if (seen.has(inner)) return;
    seen.add(inner);
    for (const { query: once, shared } of inner.common) {
      const named = once ?? shared?.query;
      if (named !== undefined) visit(named);
    }
    if (inner.kind === 'set') for (const side of [inner.left, inner.right]) visit(side);
    else for (const sublink of inner.sublinks) visitSublink(sublink);
    if (inner.kind === 'select') visitTree(inner.from, inner);
  };
  const visitSublink = (sublink: Sublink): void => visit(sublink.query);
  const visitTree = (tree: FromTree, level: SelectQuery): void => {
    switch (tree.kind) {
      case 'join':
        visitTree(tree.left, level);
        visitTree(tree.right, level);
        break;
      case 'sample':
        visitTree(tree.input, level);
        break;
      case 'query':
        visit(tree.query);
        break;
      case 'shared':
        visit(tree.shared.query);
        break;
      case 'computed':
        for (const sublink of tree.sublinks) visitSublink(sublink);
        break;
      case 'table':
      case 'result': {
        const { rangeVar } = tree.use;
        places.set(rangeVar, { rangeVar, relation: tree.relation, query: level, ...standing(level.statement, rangeVar) });
        break;
      }
      case 'foreign':
        places.set(tree.rangeVar, { rangeVar: tree.rangeVar, relation: tree.relation, query: level, ...standing(level.statement, tree.rangeVar) });
        break;
      case 'empty':
      case 'cycle':
        break;
    }
  };
  visit(query);
  return places;
}

type Standing = Pick<UsePlace, 'conditions' | 'sampled' | 'sample'>;

function standing(statement: SelectStmt, rangeVar: RangeVar): Standing {
  for (const item of statement.fromClause ?? []) {
    const found = within(item, rangeVar);
    if (found === undefined) continue;
    return { sampled: found.sampled, sample: found.sample, conditions: found.conditions.concat(found.filtered ? conjuncts(statement.whereClause) : []) };
  }
  return { conditions: [], sampled: true, sample: undefined };
}

/** Whether its arguments name columns or hold queries. */
function looksAround({ args, repeatable }: RangeTableSample): boolean {
  let found = false;
  walk([args, repeatable], (kind) => {
    found ||= kind === 'ColumnRef' || kind === 'SubLink';
    return !found;
  });
  return found;
}

interface Found {
  readonly conditions: readonly Node[];
  readonly sampled: boolean;
  readonly sample: RangeTableSample | undefined;
  /** Conditions further up still apply to each row: no outer join in between could add a row without it. */
  readonly filtered: boolean;
}

function within(item: Node, rangeVar: RangeVar): Found | undefined {
  if ('RangeVar' in item) return item.RangeVar === rangeVar ? { conditions: [], sampled: false, sample: undefined, filtered: true } : undefined;
  if ('RangeTableSample' in item && item.RangeTableSample.relation !== undefined) {
    const found = within(item.RangeTableSample.relation, rangeVar);
    const sample = item.RangeTableSample;
    return found === undefined ? undefined : { ...found, ...(looksAround(sample) ? { sampled: true } : { sample }) };
  }
  if (!('JoinExpr' in item)) return undefined;
  const { larg, rarg, quals, jointype } = item.JoinExpr;
  const left = larg === undefined ? undefined : within(larg, rangeVar);
  const found = left ?? (rarg === undefined ? undefined : within(rarg, rangeVar));
  if (found === undefined) return undefined;
  const isLeft = left !== undefined;
  // The join's own condition filters a side unless the join keeps that side; conditions above it, unless the join may fill that side with NULLs.
  const kept = jointype === 'JOIN_FULL' || (jointype === 'JOIN_LEFT' && isLeft) || (jointype === 'JOIN_RIGHT' && !isLeft);
  const filled = jointype === 'JOIN_FULL' || (jointype === 'JOIN_LEFT' && !isLeft) || (jointype === 'JOIN_RIGHT' && isLeft);
  const own = found.filtered && !kept ? conjuncts(quals) : [];
  return { ...found, conditions: found.conditions.concat(own), filtered: found.filtered && !filled };
}
