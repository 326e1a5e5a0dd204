import type { Random } from '../../oracle/random.ts';
import { typeNames } from '../fuzz-tables.ts';
import type { FuzzTable } from '../fuzz-tables.ts';
import { plainTypes, type ScopeColumn } from '../generate-expression.ts';
import { expression } from '../query-tree.ts';
import type { CommonTable, Expression, Ordering, Select, ValueType } from '../query-tree.ts';
import type { NamedQuery, QueryWish, WideContext } from './wide-context.ts';
import { emptySelect, notHidden } from './wide-context.ts';
import { aggregateOf, makeWideAggregate, makeWideCondition, makeWideValue, makeWindow } from './wide-expression.ts';
import { constant, makeWideFrom } from './wide-from.ts';

/**
 * A random query of nearly any construct over the tables: joins of every kind, queries within it anywhere, common table expressions, set operations,
 * grouping sets, windows. What it returns is certain: where the order of rows could matter, they are sorted by all that is shown.
 */
export function makeWide(random: Random, tables: readonly FuzzTable[]): Select {
  const context: WideContext = { random, tables, depth: 2, ctes: [], outer: [], level: 0, query: makeQuery };
  const select = withCommon(context, 0.3, (inside) => makeBodyOrSet(inside, {}));
  return random.chance(0.4) ? sorted(context, select) : select;
}

/** A query whose rows do not depend on each other, with a condition: the union of its parts by that condition. */
export function makePartitionable(random: Random, tables: readonly FuzzTable[]): Select {
  const context: WideContext = { random, tables, depth: 2, ctes: [], outer: [], level: 0, query: makeQuery };
  return withCommon(context, 0.2, (inside) => {
    const { source, columns } = makeWideFrom(inside);
    const types = Array.from({ length: random.int(1, 3) }, () => random.pick(columns).type);
    const items = types.map((type) => makeWideValue(inside, columns, type));
    return { ...emptySelect, from: source, items, where: [makeWideCondition(inside, columns), ...makeWhere(inside, columns)] };
  });
}

/** For a view: less deep, and its rows in no order. */
export function makeViewQuery(random: Random, tables: readonly FuzzTable[]): Select {
  const context: WideContext = { random, tables, depth: 1, ctes: [], outer: [], level: 0, query: makeQuery };
  return withCommon(context, 0.2, (inside) => makeBodyOrSet(inside, {}));
}

/** A query within another. */
function makeQuery(context: WideContext, wish: QueryWish): Select {
  const { random } = context;
  return withCommon(context, context.depth > 0 ? 0.06 : 0, (inside) => {
    if (wish.single === true) return makeSingle(inside, wish.types?.[0] ?? 'int');
    const select = makeBodyOrSet(inside, wish);
    return random.chance(0.12) ? { ...select, order: totalOrder(random), limit: random.int(0, 6), offset: random.chance(0.2) ? random.int(0, 2) : undefined } : select;
  });
}

function withCommon(context: WideContext, probability: number, make: (context: WideContext) => Select): Select {
  const { random } = context;
  if (!random.chance(probability)) return make(context);
  const ctes: CommonTable[] = [];
  let inside = context;
  for (let left = random.weighted([[5, 1], [3, 2], [1, 3]]); left > 0; left -= 1) {
    const name = `${random.chance(0.1) ? '"Cte ü' : 'cte_'}${context.level}${ctes.length}`;
    const quoted = name.startsWith('"') ? `${name}"` : name;
    const cte = random.chance(0.15) ? makeRecursive(inside, quoted) : makeCommon(inside, quoted);
    ctes.push(cte);
    const named: NamedQuery = { name: quoted, types: cte.select.items.map(({ type }) => type) };
    inside = { ...inside, ctes: [...inside.ctes, named] };
  }
  return { ...make(inside), ctes };
}

function makeCommon(context: WideContext, name: string): CommonTable {
  const { random } = context;
  const select = context.query({ ...context, depth: context.depth - 1, level: context.level + 1 }, {});
  return { name, select, materialized: random.pick(['', '', '', 'MATERIALIZED ', 'NOT MATERIALIZED ']) };
}

/** Goes three steps at most, from some rows of one table over another. */
function makeRecursive({ random, tables }: WideContext, name: string): CommonTable {
  const [first, second] = [random.pick(tables), random.pick(tables)];
  const pairs = Object.entries(first.columns).flatMap(([one, type]) => Object.entries(second.columns).filter(([, other]) => other === type && type !== 'bool').map(([other]) => ({ one, other, type })));
  if (pairs.length === 0) {
    const step: Select = { ...emptySelect, items: [expression('int', 'r.c0 + 1')], from: { kind: 'table', name, alias: 'r' }, where: [expression('bool', 'r.c0 < 4')] };
    return { name, recursive: true, select: { ...emptySelect, items: [expression('int', '1')], setOperation: { operator: 'UNION ALL', right: step } } };
  }
  const { one, other, type } = random.pick(pairs);
  const next = random.pick(Object.entries(second.columns).filter(([, own]) => own === type))[0];
  const step: Select = {
    ...emptySelect,
    items: [expression('int', 'r.c0 + 1'), expression(type, `x.${next}::${typeNames[type]}`)],
    from: { kind: 'join', type: 'JOIN', left: { kind: 'table', name, alias: 'r' }, right: { kind: 'table', name: second.name, alias: 'x' }, on: [expression('bool', `x.${other} = r.c1`)] },
    where: [expression('bool', 'r.c0 < 3')],
  };
  const start: Select = { ...emptySelect, items: [expression('int', '1'), expression(type, `x.${one}::${typeNames[type]}`)], from: { kind: 'table', name: first.name, alias: 'x' } };
  return { name, recursive: true, select: { ...start, setOperation: { operator: 'UNION', right: step } } };
}

function makeBodyOrSet(context: WideContext, wish: QueryWish): Select {
  const { random } = context;
  if (!random.chance(context.level === 0 ? 0.14 : 0.08)) return makeBody(context, wish);
  const types = wish.types ?? Array.from({ length: random.int(1, 3) }, () => random.pick(plainTypes));
  const inside = { ...context, depth: context.depth - 1 };
  const side = (): Select => {
    const body = context.depth > 0 && random.chance(0.2) ? makeBodyOrSet(inside, { types }) : makeBody(inside, { types });
    return random.chance(0.15) ? { ...body, order: totalOrder(random), limit: random.int(0, 8) } : body;
  };
  const head = side();
  const operator = random.pick(['UNION', 'UNION ALL', 'UNION ALL', 'INTERSECT', 'INTERSECT ALL', 'EXCEPT', 'EXCEPT ALL']);
  return { ...emptySelect, head, items: head.items, setOperation: { operator, right: side() } };
}

function makeBody(context: WideContext, wish: QueryWish): Select {
  const { random } = context;
  const { source, columns } = makeWideFrom(context);
  const inside = { ...context, outer: notHidden(context.outer, columns) };
  const where = makeWhere(inside, columns);
  const clauses = { ...emptySelect, from: source, where };
  return random.weighted<() => Select>([
    [6, () => makePlain(inside, clauses, { columns, wish })],
    [4, () => makeGrouped(inside, clauses, { columns, wish })],
  ])();
}

interface Making {
  readonly columns: readonly ScopeColumn[];
  readonly wish: QueryWish;
}

function makePlain(context: WideContext, clauses: Select, { columns, wish }: Making): Select {
  const { random } = context;
  const types = wish.types ?? Array.from({ length: random.int(1, 4) }, () => random.pick(columns).type);
  const items = types.map((type) => makeWideValue(context, columns, type));
  if (wish.types === undefined) {
    if (random.chance(0.15)) items.push(makeWindow(random, columns));
    if (random.chance(0.03)) items.push(expression('int', random.pick(['generate_series(1, 2)', `unnest('{1,NULL,1}'::int[])`])));
  }
  if (wish.types === undefined && random.chance(0.08)) {
    const first = random.pick(columns);
    return { ...clauses, items: [expression(first.type, first.sql), ...items], distinctOn: 1, order: { total: true, keys: [0], directions: ['', 'DESC'] } };
  }
  return { ...clauses, items, distinct: random.chance(0.15) };
}

function makeGrouped(context: WideContext, clauses: Select, { columns, wish }: Making): Select {
  const { random } = context;
  if (wish.types !== undefined && random.chance(0.5)) {
    const made = wish.types.map((type) => aggregateOf(random, columns, type) ?? expression(type, constant(random, type)));
    const by = random.chance(0.6) ? [keyOf(random, columns, random.pick(columns).type)] : [];
    return { ...clauses, items: made, groupBy: by };
  }
  const types = wish.types ?? Array.from({ length: random.int(0, 3) }, () => random.pick(columns).type);
  const groupBy = types.map((type) => keyOf(random, columns, type));
  const aggregates = wish.types === undefined ? Array.from({ length: random.int(groupBy.length === 0 ? 1 : 0, 3) }, () => makeWideAggregate(context, columns)) : [];
  const having = groupBy.length > 0 && random.chance(0.25) ? [makeHaving(context, columns)] : [];
  const grouping = wish.types === undefined && groupBy.length > 0 && random.chance(0.25) ? random.pick(['ROLLUP', 'CUBE', 'GROUPING SETS'] as const) : undefined;
  const first = groupBy[0];
  const mask = grouping !== undefined && first !== undefined && random.chance(0.4) ? [expression('int', 'grouping(', first, ')')] : [];
  const over = wish.types === undefined && grouping === undefined && first !== undefined && random.chance(0.1) ? [expression('ratio', 'sum(count(*)) OVER (PARTITION BY ', first, ')')] : [];
  return { ...clauses, items: [...groupBy, ...aggregates, ...mask, ...over], groupBy, having, ...(grouping === undefined ? {} : { grouping }), distinct: random.chance(0.05) };
}

function keyOf(random: Random, columns: readonly ScopeColumn[], type: ValueType): Expression {
  const same = columns.filter((column) => column.type === type);
  if (same.length === 0) return expression(type, `(${constant(random, type)})`);
  const { sql } = random.pick(same);
  if (type === 'int' && random.chance(0.2)) return expression('int', `(${sql} % 3)`);
  return type === 'text' && random.chance(0.2) ? expression('text', `lower(${sql})`) : expression(type, sql);
}

function makeHaving(context: WideContext, columns: readonly ScopeColumn[]): Expression {
  const { random, depth } = context;
  if (depth > 0 && random.chance(0.5)) {
    const inner = context.query({ ...context, depth: depth - 1, level: context.level + 1 }, { types: ['int'], single: true });
    return expression('bool', 'count(*)', random.pick([' > ', ' <= ', ' <> ']), '(', inner, ')');
  }
  const made = aggregateOf(random, columns, random.pick(['int', 'text', 'numeric'] as const)) ?? expression('int', 'count(*)');
  return expression('bool', made, random.pick([' > ', ' <> ', ' <= ']), constant(random, made.type));
}

function makeWhere(context: WideContext, columns: readonly ScopeColumn[]): Expression[] {
  const { random } = context;
  const keys = columns.filter((column) => column.keyOf !== undefined);
  const where: Expression[] = [];
  if (context.outer.length > 0 && random.chance(0.5)) where.push(...linkTo(context, columns));
  if (keys.length > 0 && random.chance(0.08)) {
    const key = random.pick(keys);
    where.push(expression('bool', `${key.sql} = `, expression(key.type, constant(random, key.type))));
  }
  for (let left = random.weighted(context.level === 0 ? [[7, 0], [4, 1], [1, 2]] : [[5, 0], [4, 1], [1, 2]]); left > 0; left -= 1) where.push(makeWideCondition(context, columns));
  return where;
}

/** An equality with a row around. */
function linkTo({ random, outer }: WideContext, columns: readonly ScopeColumn[]): Expression[] {
  const pairs = columns.flatMap((one) => outer.filter((other) => other.type === one.type && one.type !== 'bool').map((other) => [one, other] as const));
  if (pairs.length === 0) return [];
  const keys = pairs.filter(([one, other]) => one.keyOf !== undefined || other.keyOf !== undefined);
  const [one, other] = random.pick(keys.length > 0 && random.chance(0.6) ? keys : pairs);
  return [expression('bool', random.chance(0.5) ? `${one.sql} = ${other.sql}` : `${other.sql} = ${one.sql}`)];
}

/** An aggregate without groups, or the first row of a certain order. */
function makeSingle(context: WideContext, type: ValueType): Select {
  const { random } = context;
  const { source, columns } = makeWideFrom(context);
  const inside = { ...context, outer: notHidden(context.outer, columns) };
  const clauses = { ...emptySelect, from: source, where: makeWhere(inside, columns) };
  const aggregate = random.chance(0.7) ? aggregateOf(random, columns, type) : undefined;
  if (aggregate !== undefined) return { ...clauses, items: [aggregate] };
  // Now and then more than one row, which is an error.
  const limit = random.chance(0.97) ? 1 : undefined;
  return { ...clauses, items: [makeWideValue({ ...inside, depth: inside.depth - 1 }, columns, type)], order: totalOrder(random), limit };
}

/** With a limit, as the order is total. */
function sorted(context: WideContext, select: Select): Select {
  const { random } = context;
  if (select.order !== undefined) return select;
  const limited = random.chance(0.5);
  const plain = select.head === undefined && select.groupBy.length === 0 && !select.distinct && select.setOperation === undefined && select.from?.kind === 'table';
  if (plain && !limited && random.chance(0.3)) {
    const last = makeSingle({ ...context, depth: 0, level: 1, ctes: [] }, 'int');
    return { ...select, order: { total: false, keys: [0], directions: [random.pick(directions)], last: expression('int', '(', last, ')') } };
  }
  return { ...select, order: totalOrder(random), limit: limited ? random.int(0, 20) : undefined, offset: limited && random.chance(0.3) ? random.int(0, 5) : undefined };
}

const directions = ['', 'DESC', 'NULLS FIRST', 'DESC NULLS LAST'] as const;

function totalOrder(random: Random): Ordering {
  return { total: true, keys: random.chance(0.4) ? [random.int(0, 2)] : [], directions: [random.pick(directions), random.pick(directions)] };
}
