import type { Random } from '../oracle/random.ts';
import { fuzzTables, literals, typeNames } from './fuzz-tables.ts';
import type { FuzzTable } from './fuzz-tables.ts';
import { makeAggregate, makeCondition, makeLiteral, makeValue, plainTypes } from './generate-expression.ts';
import type { ScopeColumn } from './generate-expression.ts';
import { expression } from './query-tree.ts';
import type { Expression, Ordering, Select, Source, ValueType } from './query-tree.ts';

interface Relation {
  readonly source: Source;
  readonly columns: readonly ScopeColumn[];
}

interface Wish {
  /** How many levels of subqueries may still be opened. */
  readonly depth: number;
  /** Types of the result columns, for set operations and IN. */
  readonly types?: readonly ValueType[];
  readonly ctes?: readonly NamedSelect[];
}

interface NamedSelect {
  readonly name: string;
  readonly select: Select;
}

const directions = ['', 'DESC', 'NULLS FIRST', 'DESC NULLS LAST', 'ASC'] as const;

/** A random query of bounded size. Equal states of `random` give equal queries. */
export function makeSelect(random: Random): Select {
  const ctes = random.chance(0.12) ? [{ name: 'first_cte', select: makeBody(random, { depth: 1 }) }] : [];
  const body = makeBody(random, { depth: 2, ctes });
  const query = random.chance(0.1) ? withSetOperation(random, body) : body;
  return withOrderAndLimit(random, { ...query, ctes });
}

function makeBody(random: Random, wish: Wish): Select {
  const { source, columns } = makeFrom(random, wish);
  const where = makeWhere(random, columns, wish.depth);
  return random.chance(0.45) ? makeGrouped(random, { source, columns, where }, wish) : makePlain(random, { source, columns, where }, wish);
}

interface Clauses extends Relation {
  readonly where: readonly Expression[];
}

function makePlain(random: Random, { source, columns, where }: Clauses, wish: Wish): Select {
  const types = wish.types ?? Array.from({ length: random.int(1, 4) }, () => random.pick(columns).type);
  const items = types.map((type) => makeValue(random, columns, type, 2));
  if (wish.types === undefined && wish.depth > 1) items.push(...extraItems(random, columns));
  return { ...emptySelect, from: source, where, items: items.slice(0, wish.types?.length ?? 6), distinct: random.chance(0.15) && !items.some(isInexact) };
}

/** Windows and scalar subqueries: at the top of a query, where nothing depends on them. */
function extraItems(random: Random, columns: readonly ScopeColumn[]): Expression[] {
  const keys = columns.filter((column) => column.keyOf !== undefined);
  const key = keys.length > 0 ? random.pick(keys) : undefined;
  const partition = key === undefined || random.chance(0.2) ? random.pick(columns).sql : key.sql;
  const items: Expression[] = [];
  if (random.chance(0.08)) items.push(expression('int', random.pick(['rank', 'dense_rank']), `() OVER (PARTITION BY ${partition} ORDER BY `, makeValue(random, columns, 'int', 1), ')'));
  if (random.chance(0.06)) items.push(expression('ratio', 'sum(', makeValue(random, columns, 'int', 1), `) OVER (PARTITION BY ${partition})`));
  if (key !== undefined && random.chance(0.1)) items.push(makeScalarSubquery(random, key));
  return items;
}

function makeScalarSubquery(random: Random, key: ScopeColumn): Expression {
  const table = random.pick(fuzzTables.filter((some) => some.group === key.keyOf));
  const columns = columnsOf(table, 'sub');
  const aggregate = makeAggregate(random, columns);
  const where = [expression('bool', `sub.${table.key} = ${key.sql}`), ...(random.chance(0.4) ? [makeCondition(random, columns, 1)] : [])];
  return expression(aggregate.type, '(', { ...emptySelect, items: [aggregate], from: { kind: 'table', name: table.name, alias: 'sub' }, where }, ')');
}

function makeGrouped(random: Random, { source, columns, where }: Clauses, wish: Wish): Select {
  const types = wish.types ?? Array.from({ length: random.int(0, 2) }, () => random.pick(columns).type);
  const groupBy = types.map((type) => makeGroupKey(random, columns, type));
  const aggregates = wish.types === undefined ? Array.from({ length: random.int(groupBy.length === 0 ? 1 : 0, 3) }, () => makeOverAggregate(random, columns)) : [];
  const having = random.chance(0.2) && groupBy.length > 0 ? [makeHaving(random, columns)] : [];
  return { ...emptySelect, from: source, where, items: [...groupBy, ...aggregates], groupBy, having };
}

/** Without parameters: `$1` in the select list and `$2` in GROUP BY would not be the same expression. */
function makeGroupKey(random: Random, columns: readonly ScopeColumn[], type: ValueType): Expression {
  const same = columns.filter((column) => column.type === type);
  if (same.length === 0) return expression(type, `(${random.pick(literals[type])})::${typeNames[type]}`);
  const column = random.pick(same);
  if (type === 'int' && random.chance(0.2)) return expression('int', `(${column.sql} % 3)`);
  if (type === 'text' && random.chance(0.2)) return expression('text', `lower(${column.sql})`);
  return expression(type, column.sql);
}

function makeOverAggregate(random: Random, columns: readonly ScopeColumn[]): Expression {
  const aggregate = makeAggregate(random, columns);
  if (random.chance(0.75)) return aggregate;
  switch (aggregate.type) {
    case 'int':
      return expression('int', '(', aggregate, random.pick([' * 2', ' + 1', ' % 3']), ')');
    case 'numeric':
      return expression('numeric', 'coalesce(', aggregate, ', 0.00)');
    case 'ratio':
      return expression('ratio', 'round(', aggregate, '::numeric, 2)');
    case 'text':
      return expression('text', 'upper(', aggregate, ')');
    case 'bool':
      return expression('bool', '(', aggregate, ' IS TRUE)');
    case 'key':
    case 'float':
    case 'inexact':
    case 'date':
    case 'time':
    case 'uuid':
    case 'json':
    case 'list':
    case 'range':
    case 'mood':
    case 'pair':
      break;
  }
  return aggregate;
}

function makeHaving(random: Random, columns: readonly ScopeColumn[]): Expression {
  const aggregate = makeAggregate(random, columns);
  if (isInexact(aggregate)) return expression('bool', 'count(*) > 1');
  return expression('bool', aggregate, random.pick([' > ', ' <= ', ' <> ']), makeLiteral(random, aggregate.type));
}

function makeFrom(random: Random, wish: Wish): Relation {
  let relation = makeRelation(random, wish, 't0', undefined);
  const joins = random.weighted([[5, 0], [4, 1], [1, 2]]);
  for (let index = 1; index <= joins; index += 1) relation = makeJoin(random, relation, wish, index);
  return relation;
}

function makeRelation(random: Random, wish: Wish, alias: string, near: string | undefined): Relation {
  const derived = wish.depth > 0 && random.chance(0.12) ? makeDerived(random, wish, alias) : fromCte(random, wish, alias);
  // All columns of a subquery may be inexact: such a one is no use.
  if (derived !== undefined && derived.columns.length > 0) return derived;
  const tables = candidates(random, near);
  const full = tables.filter(({ name }) => name !== 'ghosts' && name !== 'blanks');
  const table = random.pick(full.length > 0 && random.chance(0.85) ? full : tables);
  return { source: { kind: 'table', name: table.name, alias }, columns: columnsOf(table, alias) };
}

function fromCte(random: Random, wish: Wish, alias: string): Relation | undefined {
  const cte = wish.ctes?.[0];
  if (cte === undefined || random.chance(0.5)) return undefined;
  return { source: { kind: 'table', name: cte.name, alias }, columns: outputColumns(cte.select, alias) };
}

/** Mostly tables that can be joined where they lie. */
function candidates(random: Random, near: string | undefined): readonly FuzzTable[] {
  const group = near ?? random.weighted([[12, 'tenant'], [3, 'event'], [2, 'note'], [2, 'reference'], [1, 'local']]);
  const tables = fuzzTables.filter((table) => (random.chance(0.12) ? true : table.group === group || (near !== undefined && table.group === 'reference' && random.chance(0.4))));
  return tables.length > 0 ? tables : fuzzTables.slice(0, 3);
}

function makeDerived(random: Random, wish: Wish, alias: string): Relation {
  const body = makeBody(random, { depth: wish.depth - 1 });
  const select = random.chance(0.15) && !body.items.some(isInexact) ? { ...body, order: totalOrder(random), limit: random.int(1, 20) } : body;
  return { source: { kind: 'subquery', select, alias }, columns: outputColumns(select, alias) };
}

/** What a subquery's columns are called outside; a plain column of a key stays one, as far as can be seen. */
function outputColumns(select: Select, alias: string): ScopeColumn[] {
  return select.items.flatMap((item, index) => {
    if (isInexact(item)) return [];
    const text = item.parts.length === 1 && typeof item.parts[0] === 'string' ? item.parts[0] : '';
    return [{ sql: `${alias}.c${index}`, type: item.type, keyOf: keyGroups.find(([suffix]) => text.endsWith(suffix))?.[1] }];
  });
}

const keyGroups = [['.tenant_id', 'tenant'], ['."select"', 'tenant'], ['.key', 'event'], ['.event_key', 'event'], ['.author', 'note']] as const;

function makeJoin(random: Random, left: Relation, wish: Wish, index: number): Relation {
  const near = random.chance(0.92) ? left.columns.find((column) => column.keyOf !== undefined)?.keyOf : undefined;
  const right = makeRelation(random, wish, `t${index}`, near);
  const on = makeJoinCondition(random, left, right);
  const types = on.equality ? ['JOIN', 'JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN'] as const : ['JOIN', 'LEFT JOIN'] as const;
  const type = random.pick(types);
  const extra = type !== 'FULL JOIN' && random.chance(0.2) ? [makeCondition(random, [...left.columns, ...right.columns], 1)] : [];
  return { source: { kind: 'join', type, left: left.source, right: right.source, on: [...on.conditions, ...extra] }, columns: [...left.columns, ...right.columns] };
}

function makeJoinCondition(random: Random, left: Relation, right: Relation): { conditions: Expression[]; equality: boolean } {
  const pairs = left.columns.flatMap((one) => right.columns.filter((other) => other.type === one.type).map((other) => ({ one, other })));
  const keys = pairs.filter(({ one, other }) => one.keyOf !== undefined && one.keyOf === other.keyOf);
  const ids = pairs.filter(({ one, other }) => one.type === 'int' && other.type === 'int');
  const equals = ({ one, other }: { one: ScopeColumn; other: ScopeColumn }): Expression => expression('bool', random.chance(0.8) ? `${one.sql} = ${other.sql}` : `${other.sql} = ${one.sql}`);
  if (keys.length > 0 && random.chance(0.93)) {
    const also = ids.length > 0 && random.chance(0.5) ? [equals(random.pick(ids))] : [];
    return { conditions: [equals(random.pick(keys)), ...also], equality: true };
  }
  const wanted = ids.length > 0 ? ids : pairs;
  return wanted.length > 0 ? { conditions: [equals(random.pick(wanted))], equality: true } : { conditions: [], equality: false };
}

function makeWhere(random: Random, columns: readonly ScopeColumn[], depth: number): Expression[] {
  const keys = columns.filter((column) => column.keyOf !== undefined);
  const where: Expression[] = [];
  if (keys.length > 0 && random.chance(0.35)) where.push(restrictKey(random, random.pick(keys)));
  const more = random.weighted([[5, 0], [4, 1], [1, 2]]);
  for (let count = 0; count < more; count += 1) where.push(makeCondition(random, columns, 2));
  if (depth > 0 && random.chance(0.12)) where.push(makeSubqueryCondition(random, columns));
  return where;
}

function restrictKey(random: Random, key: ScopeColumn): Expression {
  const literal = (): Expression => makeLiteral(random, key.type);
  return random.weighted<() => Expression>([
    [5, () => expression('bool', key.sql, ' = ', literal())],
    [1, () => expression('bool', literal(), ' = ', key.sql)],
    [2, () => expression('bool', key.sql, ' IN (', literal(), ', ', literal(), ')')],
    [1, () => expression('bool', '(', key.sql, ' = ', literal(), ' OR ', key.sql, ' = ', literal(), ')')],
  ])();
}

function makeSubqueryCondition(random: Random, columns: readonly ScopeColumn[]): Expression {
  const keys = columns.filter((column) => column.keyOf !== undefined);
  const outer = keys.length > 0 && random.chance(0.85) ? random.pick(keys) : random.pick(columns);
  const tables = fuzzTables.filter((table) => table.group === outer.keyOf);
  const table = random.pick(tables.length > 0 ? tables : fuzzTables);
  const inner = columnsOf(table, 'sub');
  const from: Source = { kind: 'table', name: table.name, alias: 'sub' };
  const where = random.chance(0.5) ? [makeCondition(random, inner, 1)] : [];
  const not = random.chance(0.3) ? 'NOT ' : '';
  const partner = random.pick(inner.filter((column) => column.type === outer.type).concat({ sql: makeNull(outer.type), type: outer.type, keyOf: undefined }));
  if (random.chance(0.5)) {
    const link = expression('bool', `${partner.sql} = ${outer.sql}`);
    return expression('bool', `${not}EXISTS (`, { ...emptySelect, items: [expression('int', '1')], from, where: [link, ...where] }, ')');
  }
  return expression('bool', `${outer.sql} ${not}IN (`, { ...emptySelect, items: [expression(partner.type, partner.sql)], from, where }, ')');
}

function makeNull(type: ValueType): string {
  return `NULL::${typeNames[type]}`;
}

function withSetOperation(random: Random, left: Select): Select {
  if (left.items.some(isInexact)) return left;
  const types = left.items.map((item) => item.type);
  if (!types.every((type) => plainTypes.some((plain) => plain === type))) return left;
  const right = makeBody(random, { depth: 1, types });
  return { ...left, setOperation: { operator: random.pick(['UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL']), right } };
}

/** A limit comes with a total order, or with none at all, when the choice is free. */
function withOrderAndLimit(random: Random, select: Select): Select {
  const exact = !select.items.some(isInexact);
  const order = !exact || random.chance(0.35) ? undefined : random.chance(0.7) ? totalOrder(random) : partialOrder(random, select);
  const limited = (order === undefined ? exact && random.chance(0.1) : random.chance(0.5));
  return {
    ...select,
    order,
    limit: limited && random.chance(0.9) ? random.int(0, 15) : undefined,
    offset: limited && random.chance(0.3) ? random.int(0, 6) : undefined,
  };
}

function totalOrder(random: Random): Ordering {
  return { total: true, keys: random.chance(0.5) ? [random.int(0, 2)] : [], directions: [random.pick(directions), random.pick(directions), random.pick(directions)] };
}

function partialOrder(random: Random, select: Select): Ordering {
  return { total: false, keys: [random.int(0, select.items.length - 1)], directions: [random.pick(directions)] };
}

function columnsOf(table: FuzzTable, alias: string): ScopeColumn[] {
  return Object.entries(table.columns).map(([name, type]) => ({ sql: `${alias}.${name}`, type, keyOf: name === table.key ? table.group : undefined }));
}

export function isInexact(item: Expression): boolean {
  return item.type === 'inexact';
}

const emptySelect: Select = {
  kind: 'select', ctes: [], distinct: false, items: [], from: undefined, where: [], groupBy: [], having: [], setOperation: undefined, order: undefined, limit: undefined, offset: undefined,
};
