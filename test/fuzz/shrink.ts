import { expression } from './query-tree.ts';
import type { CommonTable, Expression, Select, Source } from './query-tree.ts';
import { literals, typeNames } from './fuzz-tables.ts';

/**
 * Replaces `start` by ever smaller candidates while `stillFails`, until none fails or `triesMax` were asked.
 * Greedy: the first candidate that fails is taken. Candidates need not be valid; an invalid one just does not fail alike.
 */
export async function shrink<T>(start: T, reduce: (value: T) => Iterable<T>, stillFails: (candidate: T) => Promise<boolean>, triesMax = 800): Promise<T> {
  let best = start;
  let tries = 0;
  for (let progress = true; progress; ) {
    progress = false;
    for (const candidate of reduce(best)) {
      tries += 1;
      if (tries > triesMax) return best;
      if (!(await stillFails(candidate))) continue;
      best = candidate;
      progress = true;
      break;
    }
  }
  return best;
}

/** Smaller queries, the boldest cuts first. */
export function* smallerSelects(select: Select): Generator<Select> {
  if (select.head !== undefined) {
    yield { ...select.head, ctes: select.ctes };
    for (const head of smallerSelects(select.head)) if (head.items.length === select.items.length) yield { ...select, head, items: head.items };
  }
  if (select.setOperation !== undefined) {
    yield { ...select, setOperation: undefined };
    yield { ...select.setOperation.right, ctes: select.ctes };
    for (const right of smallerSelects(select.setOperation.right)) yield { ...select, setOperation: { ...select.setOperation, right } };
  }
  for (const ctes of smallerLists(select.ctes, smallerCommon)) yield { ...select, ctes };
  if (select.from !== undefined) for (const from of smallerSources(select.from)) yield { ...select, from };
  for (const key of ['where', 'having'] as const) for (const list of smallerLists(select[key], smallerExpressions)) yield { ...select, [key]: list };
  if (select.limit !== undefined) yield { ...select, limit: undefined };
  if (select.offset !== undefined) yield { ...select, offset: undefined };
  if (select.order !== undefined) yield* smallerOrders(select);
  if (select.distinct) yield { ...select, distinct: false };
  if (select.distinctOn !== undefined) yield { ...select, distinctOn: 0 };
  if (select.grouping !== undefined) yield without(select, 'grouping');
  if (select.groupBy.length > 0) yield { ...select, groupBy: [], having: [] };
  for (const index of select.groupBy.keys()) {
    yield withoutGroupKey(select, index);
    yield { ...select, groupBy: select.groupBy.toSpliced(index, 1) };
  }
  for (const items of smallerLists(select.items, smallerExpressions)) if (items.length > 0) yield { ...select, items };
}

function* smallerCommon(cte: CommonTable): Generator<CommonTable> {
  if (cte.materialized !== undefined && cte.materialized !== '') yield { ...cte, materialized: '' };
  for (const select of smallerSelects(cte.select)) yield { ...cte, select };
}

function without(select: Select, key: 'grouping'): Select {
  const { [key]: _, ...rest } = select;
  return rest;
}

function* smallerOrders(select: Select): Generator<Select> {
  const { order } = select;
  if (order === undefined) return;
  if (select.limit === undefined && select.offset === undefined) yield { ...select, order: undefined };
  if (order.directions.some((direction) => direction !== '')) yield { ...select, order: { ...order, directions: [''] } };
  if (order.last !== undefined) yield { ...select, order: { total: order.total, keys: order.keys, directions: order.directions } };
  if (order.keys.length > 0 && order.total) yield { ...select, order: { ...order, keys: [] } };
}

/** The key leaves GROUP BY and, if it is an item too, the select list. */
function withoutGroupKey(select: Select, index: number): Select {
  const key = select.groupBy[index];
  const items = select.items.filter((item) => item !== key);
  return { ...select, groupBy: select.groupBy.filter((other) => other !== key), items: items.length > 0 ? items : [expression('int', 'count(*)')] };
}

function* smallerSources(source: Source): Generator<Source> {
  if (source.kind === 'subquery') {
    if (source.lateral === true) yield { ...source, lateral: false };
    for (const select of smallerSelects(source.select)) yield { ...source, select };
  }
  if (source.kind !== 'join') return;
  yield source.left;
  yield source.right;
  if (source.type !== 'JOIN' && source.type !== 'CROSS JOIN') yield { ...source, type: 'JOIN' };
  for (const on of smallerLists(source.on, smallerExpressions)) yield { ...source, on };
  for (const left of smallerSources(source.left)) yield { ...source, left };
  for (const right of smallerSources(source.right)) yield { ...source, right };
}

/** The list without one element, then with one element made smaller. */
export function* smallerLists<T>(list: readonly T[], smaller: (element: T) => Iterable<T>): Generator<readonly T[]> {
  for (const index of list.keys()) yield list.toSpliced(index, 1);
  for (const [index, element] of list.entries()) for (const candidate of smaller(element)) yield list.with(index, candidate);
}

function* smallerExpressions(whole: Expression): Generator<Expression> {
  for (const part of whole.parts) {
    if (typeof part !== 'string' && part.kind === 'expression') yield { ...part, type: whole.type };
  }
  if (whole.parts.length > 1) yield expression(whole.type, `${literals[whole.type][0] ?? 'NULL'}::${typeNames[whole.type]}`);
  for (const [index, part] of whole.parts.entries()) {
    if (typeof part === 'string') continue;
    if (part.kind === 'parameter') yield { ...whole, parts: whole.parts.with(index, quoteLiteral(part.value)) };
    if (part.kind === 'expression') for (const smaller of smallerExpressions(part)) yield { ...whole, parts: whole.parts.with(index, smaller) };
    if (part.kind === 'select') for (const smaller of smallerSelects(part)) yield { ...whole, parts: whole.parts.with(index, smaller) };
  }
}

function quoteLiteral(value: unknown): string {
  return `'${String(value).replaceAll(`'`, `''`)}'`;
}
