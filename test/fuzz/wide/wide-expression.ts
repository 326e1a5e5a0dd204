import type { Random } from '../../oracle/random.ts';
import { typeNames } from '../fuzz-tables.ts';
import { makeAggregate, makeCondition, makeLiteral, makeValue, type ScopeColumn } from '../generate-expression.ts';
import { expression } from '../query-tree.ts';
import type { Expression, Select, ValueType } from '../query-tree.ts';
import type { WideContext } from './wide-context.ts';
import { below, emptySelect, qualifierOf } from './wide-context.ts';

/** An expression of the type that may hold queries. `columns`: those of its own level. */
export function makeWideValue(context: WideContext, columns: readonly ScopeColumn[], type: ValueType): Expression {
  const { random, depth, outer } = context;
  const scope = outer.length > 0 && random.chance(0.15) ? [...columns, ...outer] : columns;
  if (depth <= 0 || !random.chance(0.2)) return makeValue(random, scope, type, 2);
  const choices: [number, () => Expression][] = [
    [4, () => scalarSubquery(context, columns, type)],
    [1, () => expression(type, 'coalesce(', scalarSubquery(context, columns, type), ', ', makeValue(random, scope, type, 0), ')')],
    [1, () => expression(type, 'CASE WHEN ', subqueryCondition(context, columns), ' THEN ', makeValue(random, scope, type, 1), ' ELSE ', makeValue(random, scope, type, 1), ' END')],
    [type === 'int' && columns.length > 0 ? 1 : 0, () => expression('int', '(', makeValue(random, columns, 'int', 0), ' + floor(random())::bigint)')],
    [type === 'text' ? 3 : 0, () => arraySubquery(context, columns)],
    [type === 'text' && columns.length > 0 ? 1 : 0, () => wholeRow(random, columns)],
    [type === 'int' ? 2 : 0, () => expression('int', '(', { ...context.query(below(context, columns), { single: true, types: ['int'] }) }, ')')],
  ];
  return random.weighted(choices.filter(([weight]) => weight > 0))();
}

function wholeRow(random: Random, columns: readonly ScopeColumn[]): Expression {
  const { sql } = random.pick(columns);
  const alias = qualifierOf(sql);
  return alias === sql ? expression('text', `(${sql})::text`) : expression('text', `(${alias} IS NULL)::text`);
}

function scalarSubquery(context: WideContext, columns: readonly ScopeColumn[], type: ValueType): Expression {
  return expression(type, '(', context.query(below(context, columns), { single: true, types: [type] }), ')');
}

/** Sorted by the very value it collects. */
function arraySubquery(context: WideContext, columns: readonly ScopeColumn[]): Expression {
  const { random } = context;
  const inner = context.query(below(context, columns), { types: [random.pick(['int', 'text', 'date'] as const)] });
  const sorted: Select = { ...inner, order: { total: true, keys: [], directions: ['', 'DESC'] } };
  return expression('text', 'array_to_string(ARRAY(', sorted, `), ',', '-')`);
}

/** A condition over the level's columns, with or without queries in it. */
export function makeWideCondition(context: WideContext, columns: readonly ScopeColumn[]): Expression {
  const { random, depth, outer } = context;
  if (depth > 0 && random.chance(0.35)) {
    const linked = subqueryCondition(context, columns);
    if (random.chance(0.75)) return linked;
    return expression('bool', '(', linked, random.pick([' OR ', ' AND ']), makeCondition(random, columns, 1), ')');
  }
  const scope = outer.length > 0 && random.chance(0.3) ? [...columns, ...outer] : columns;
  if (random.chance(0.08)) return untypedParameter(random, columns);
  if (random.chance(0.02)) return expression('bool', random.pick(['(random() < 2)', `(clock_timestamp() > '2020-01-01')`, '(random() > 1)', `(txid_current_if_assigned() IS DISTINCT FROM -1)`]));
  return makeCondition(random, scope, 2);
}

/** `column = $1`: PostgreSQL finds the parameter's type. */
function untypedParameter(random: Random, columns: readonly ScopeColumn[]): Expression {
  const column = random.pick(columns);
  const { parts } = makeLiteral(random, column.type);
  const text = parts[0];
  const value = typeof text === 'string' ? text.replaceAll(/^'|'$/gu, '').replaceAll(`''`, `'`) : text !== undefined && text.kind === 'parameter' ? text.value : '1';
  const usable = column.type === 'ratio' || column.type === 'inexact' || column.type === 'pair' || String(value).startsWith('NULL') ? undefined : value;
  if (usable === undefined) return expression('bool', `${column.sql} IS NOT NULL`);
  return expression('bool', column.sql, random.pick([' = ', ' = ', ' <= ', ' <> ']), { kind: 'parameter', value: usable, shared: column.type === 'text' });
}

function subqueryCondition(context: WideContext, columns: readonly ScopeColumn[]): Expression {
  const { random } = context;
  const inside = below(context, columns);
  const column = random.pick(columns);
  const { type } = column;
  const not = random.chance(0.35) ? 'NOT ' : '';
  const one = (): Select => context.query(inside, { types: [type] });
  const test = (): Expression => (random.chance(0.85) ? expression(type, column.sql) : makeValue(random, columns, type, 1));
  const choices: [number, () => Expression][] = [
    [5, () => expression('bool', `${not}EXISTS (`, linkedQuery(inside, columns), ')')],
    [4, () => expression('bool', '(', test(), ` ${not}IN (`, one(), '))')],
    [2, () => expression('bool', '(', test(), random.pick([' = ANY (', ' > ALL (', ' <> ALL (', ' <= ANY (', ' = ALL (']), one(), '))')],
    [2, () => expression('bool', '(', test(), random.pick([' = ', ' > ', ' <= ', ' <> ', ' IS DISTINCT FROM ']), '(', context.query(inside, { types: [type], single: true }), '))')],
    [1, () => expression('bool', '(', test(), ' = ANY (ARRAY(', one(), ')))')],
    [1, () => {
      const other = random.pick(columns);
      return expression('bool', `((${column.sql}, ${other.sql}) ${not}IN (`, context.query(inside, { types: [type, other.type] }), '))');
    }],
    [1, () => expression('bool', `(${not}(`, context.query(inside, { types: ['bool'], single: true }), '))')],
  ];
  return random.weighted(choices)();
}

/** For EXISTS: mostly with an equality to the rows around. */
function linkedQuery(inside: WideContext, columns: readonly ScopeColumn[]): Select {
  const { random } = inside;
  const table = random.pick(inside.tables);
  const alias = `e${inside.level}`;
  const own = Object.entries(table.columns).map(([name, type]): ScopeColumn => ({ sql: `${alias}.${name}`, type, keyOf: name === table.key ? table.group : undefined }));
  const pairs = own.flatMap((one) => columns.filter((other) => other.type === one.type && one.type !== 'bool').map((other) => [one, other] as const));
  if (pairs.length === 0 || random.chance(0.2)) return inside.query(inside, {});
  const keys = pairs.filter(([one, other]) => one.keyOf !== undefined || other.keyOf !== undefined);
  const [one, other] = random.pick(keys.length > 0 && random.chance(0.7) ? keys : pairs);
  const link = expression('bool', `${one.sql} ${random.chance(0.9) ? '=' : random.pick(['<', '>', 'IS NOT DISTINCT FROM'])} ${other.sql}`);
  const more = random.chance(0.5) ? [makeWideCondition(inside, own)] : [];
  return { ...emptySelect, items: [random.chance(0.5) ? expression('int', '1') : expression(one.type, one.sql)], from: { kind: 'table', name: table.name, alias }, where: [link, ...more] };
}

/** Of exact value, whatever the order of the rows. */
export function makeWideAggregate(context: WideContext, columns: readonly ScopeColumn[]): Expression {
  const { random } = context;
  if (columns.length > 0 && random.chance(0.12)) return orderedSet(random, columns);
  for (let tries = 0; tries < 5; tries += 1) {
    const made = makeAggregate(random, columns);
    if (made.type !== 'inexact' && made.type !== 'ratio') return made;
    if (made.type === 'ratio') return expression('ratio', made);
  }
  return expression('int', 'count(*)');
}

function orderedSet(random: Random, columns: readonly ScopeColumn[]): Expression {
  const { sql, type } = random.pick(columns);
  const ints = columns.filter((column) => column.type === 'int');
  if (ints.length > 0 && random.chance(0.3)) return expression('int', `rank(3) WITHIN GROUP (ORDER BY ${random.pick(ints).sql})`);
  return random.chance(0.5)
    ? expression(type, `mode() WITHIN GROUP (ORDER BY ${sql})`)
    : expression(type, `percentile_disc(0.5) WITHIN GROUP (ORDER BY ${sql}${random.pick([' DESC', ''])})`);
}

/** Of one of these types, whatever the rows: an aggregate that gives it, or undefined. */
export function aggregateOf(random: Random, columns: readonly ScopeColumn[], type: ValueType): Expression | undefined {
  const of = (): Expression => makeValue(random, columns, type, 1);
  switch (type) {
    case 'bool':
      return expression('bool', random.pick(['bool_and', 'bool_or']), '(', of(), ')');
    case 'ratio':
      return expression('ratio', 'sum(', makeValue(random, columns, 'int', 1), ')');
    case 'int':
      return random.chance(0.5) ? expression('int', 'count(*)') : expression('int', random.pick(['min(', 'max(']), of(), ')');
    case 'uuid':
      return expression('uuid', 'min(', of(), `::text)::${typeNames.uuid}`);
    case 'json':
    case 'range':
    case 'pair': {
      const value = of();
      return expression(type, '(array_agg(', value, ' ORDER BY ', value, '))[1]');
    }
    case 'inexact':
      return undefined;
    default:
      return expression(type, random.pick(['min(', 'max(']), of(), ')');
  }
}

/** A window's value that ties cannot change. */
export function makeWindow(random: Random, columns: readonly ScopeColumn[]): Expression {
  const sorted = random.pick(columns);
  const partition = random.chance(0.7) ? `PARTITION BY ${random.pick(columns).sql} ` : '';
  const frame = random.pick(['', '', ' GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW', ' RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING']);
  const over = `OVER (${partition}ORDER BY ${sorted.sql}${random.pick(['', ' DESC'])}`;
  const ints = columns.filter(({ type }) => type === 'int');
  return random.weighted<() => Expression>([
    [3, () => expression('int', `${random.pick(['rank', 'dense_rank'])}() ${over})`)],
    [2, () => expression('int', `count(*) ${over}${frame})`)],
    [ints.length > 0 ? 3 : 0, () => expression('ratio', `sum(${random.pick(ints).sql}) ${over}${frame})`)],
    [2, () => expression(sorted.type, `${random.pick(['first_value', 'last_value'])}(${sorted.sql}) ${over})`)],
    [2, () => expression('int', `count(${random.pick(columns).sql}) OVER (${partition})`)],
  ].filter(([weight]) => Number(weight) > 0) as [number, () => Expression][])();
}
