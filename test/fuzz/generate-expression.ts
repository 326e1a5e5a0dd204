import type { Random } from '../oracle/random.ts';
import { literals, typeNames } from './fuzz-tables.ts';
import { expression } from './query-tree.ts';
import type { Expression, Parameter, ValueType } from './query-tree.ts';

export interface ScopeColumn {
  readonly sql: string;
  readonly type: ValueType;
  /** Belongs to the relation's distribution column, of this group. */
  readonly keyOf: string | undefined;
}

/** Types whose values may be shown, grouped and sorted without doubt about how they are written. */
export const plainTypes = ['key', 'int', 'numeric', 'float', 'text', 'bool', 'date', 'time', 'uuid', 'json', 'list', 'range'] as const satisfies readonly ValueType[];

/** An expression over the scope's columns of the wanted type. Never fails at run time. */
export function makeValue(random: Random, scope: readonly ScopeColumn[], type: ValueType, depth = 2): Expression {
  const columns = scope.filter((column) => column.type === type);
  if (depth > 0 && random.chance(0.3)) return makeCalculation(random, scope, type, depth);
  if (columns.length > 0 && random.chance(0.94)) return expression(type, random.pick(columns).sql);
  return makeLiteral(random, type);
}

export function makeLiteral(random: Random, type: ValueType): Expression {
  const literal = random.pick(literals[type]);
  const parameter = random.chance(0.25) ? parameterOf(literal) : literal;
  return random.chance(0.02) ? expression(type, `NULL::${typeNames[type]}`) : expression(type, parameter, `::${typeNames[type]}`);
}

/** The same value as a JavaScript parameter. */
function parameterOf(literal: string): Parameter {
  if (literal === 'true' || literal === 'false') return { kind: 'parameter', value: literal === 'true' };
  return { kind: 'parameter', value: literal.startsWith(`'`) ? literal.slice(1, -1).replaceAll(`''`, `'`) : literal };
}

function makeCalculation(random: Random, scope: readonly ScopeColumn[], type: ValueType, depth: number): Expression {
  const value = (of: ValueType): Expression => makeValue(random, scope, of, depth - 1);
  const generic = random.weighted([
    [2, () => expression(type, 'coalesce(', value(type), ', ', value(type), ')')],
    [2, () => expression(type, 'CASE WHEN ', makeCondition(random, scope, depth - 1), ' THEN ', value(type), ' ELSE ', value(type), ' END')],
    [1, () => expression(type, 'nullif(', value(type), ', ', value(type), ')')],
    [1, () => expression(type, random.pick(['least', 'greatest']), '(', value(type), ', ', value(type), ')')],
  ]);
  const special = (make: () => Expression): Expression => (random.chance(0.6) ? make() : generic());
  switch (type) {
    case 'int':
      return special(() => random.weighted([
        [2, () => expression('int', '(', value('int'), random.pick([' + ', ' - ']), value('int'), ')')],
        [1, () => expression('int', '(', value('int'), ` % ${random.int(2, 5)})`)],
        [1, () => expression('int', 'length(', value('text'), ')')],
        [1, () => expression('int', 'extract(month from ', value('date'), ')::int')],
      ])());
    case 'numeric':
      return special(() => expression('numeric', '(', value('numeric'), random.pick([' + ', ' - ']), value('numeric'), ')::numeric(20,2)'));
    case 'float':
      return special(() => expression('float', '(', value('float'), ' + ', value('float'), ')'));
    case 'text':
      return special(() => random.weighted([
        [2, () => expression('text', random.pick(['upper', 'lower', 'reverse']), '(', value('text'), ')')],
        [1, () => expression('text', 'left(', value('text'), `, ${random.int(1, 3)})`)],
        [1, () => expression('text', '(', value('text'), ` || '/' || `, value('text'), ')')],
        [1, () => expression('text', '(', value('int'), ')::text')],
      ])());
    case 'bool':
      return makeCondition(random, scope, depth - 1);
    case 'key':
    case 'ratio':
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
  return generic();
}

/** A condition over the scope, in parentheses where it needs them. */
export function makeCondition(random: Random, scope: readonly ScopeColumn[], depth = 2): Expression {
  const column = random.chance(0.9) && scope.length > 0 ? random.pick(scope) : undefined;
  const type = column?.type ?? random.pick(plainTypes);
  const left = column === undefined || random.chance(0.2) ? makeValue(random, scope, type, depth - 1) : expression(type, column.sql);
  const literal = (): Expression => makeLiteral(random, type);
  const nested = depth > 0 ? 1 : 0;
  return random.weighted<() => Expression>([
    [6, () => inParentheses(left, random.pick([' = ', ' < ', ' > ', ' <= ', ' >= ', ' <> ', ' <> ']), random.chance(0.7) ? literal() : makeValue(random, scope, type, depth - 1))],
    [2, () => inParentheses(left, random.pick([' IS NULL', ' IS NOT NULL', ' IS NOT NULL']))],
    [2, () => inParentheses(left, random.pick([' IN (', ' NOT IN (']), literal(), ', ', literal(), ', ', literal(), ')')],
    [1, () => inParentheses(left, ' BETWEEN ', literal(), ' AND ', literal())],
    [1, () => inParentheses(left, random.pick([' IS DISTINCT FROM ', ' IS NOT DISTINCT FROM ']), literal())],
    [1, () => inParentheses(makeValue(random, scope, 'text', 0), random.pick([` LIKE '%a%'`, ` ILIKE '%E%'`, ` ~ '^[a-r]'`]))],
    [2 * nested, () => inParentheses(makeCondition(random, scope, depth - 1), random.pick([' OR ', ' AND ']), makeCondition(random, scope, depth - 1))],
    [nested, () => inParentheses('NOT ', makeCondition(random, scope, depth - 1))],
  ].filter(([weight]) => Number(weight) > 0) as [number, () => Expression][])();
}

function inParentheses(...parts: Expression['parts']): Expression {
  return expression('bool', '(', ...parts, ')');
}

/** An aggregate over the scope; its value does not depend on the order of rows, but for type `inexact`. */
export function makeAggregate(random: Random, scope: readonly ScopeColumn[]): Expression {
  const of = (type: ValueType): Expression => makeValue(random, scope, type, 1);
  const anyType = (): ValueType => random.pick(scope.length > 0 ? scope.map((column) => column.type) : plainTypes);
  const aggregate = random.weighted<() => Expression>([
    [4, () => expression('int', 'count(*)')],
    [2, () => expression('int', 'count(', of(anyType()), ')')],
    [2, () => expression('int', 'count(DISTINCT ', of(anyType()), ')')],
    [2, () => expression('ratio', 'sum(', of('int'), ')')],
    [2, () => expression('numeric', random.pick(['sum(', 'sum(DISTINCT ']), of('numeric'), ')')],
    [1, () => expression('float', 'sum(', of('float'), ')')],
    [2, () => expression('ratio', 'avg(', of(random.pick(['int', 'numeric'] as const)), ')')],
    [1, () => expression('inexact', 'avg(', of('float'), ')')],
    [1, () => expression('ratio', random.pick(['stddev', 'var_pop', 'variance']), '(', of(random.pick(['int', 'numeric'] as const)), ')')],
    [1, () => expression('inexact', random.pick(['stddev_pop', 'var_samp']), '(', of('float'), ')')],
    [3, () => makeExtreme(random, of, random.pick(['key', 'int', 'numeric', 'float', 'text', 'date', 'time'] as const))],
    [1, () => expression('bool', random.pick(['bool_and', 'bool_or', 'every']), '(', of('bool'), ')')],
    [1, () => expression('int', random.pick(['bit_and', 'bit_or', 'bit_xor']), '(', of('int'), ')')],
    [1, () => makeOrderedAggregate(random, of)],
  ])();
  if (takesNoFilter(aggregate) || !random.chance(0.15)) return aggregate;
  return expression(aggregate.type, aggregate, ' FILTER (WHERE ', makeCondition(random, scope, 1), ')');
}

/** The aggregate is inside another call. */
function takesNoFilter({ parts: [first] }: Expression): boolean {
  return typeof first === 'string' && first.startsWith('array_to_string');
}

function makeExtreme(random: Random, of: (type: ValueType) => Expression, type: ValueType): Expression {
  return expression(type, random.pick(['min(', 'max(']), of(type), ')');
}

/** Sorted by the very value it collects, so that ties are identical. */
function makeOrderedAggregate(random: Random, of: (type: ValueType) => Expression): Expression {
  const value = of(random.pick(['text', 'int', 'numeric'] as const));
  // Two parameters are never the same expression, which DISTINCT asks for.
  const distinct = random.chance(0.4) && !hasParameter(value) ? 'DISTINCT ' : '';
  const direction = random.pick(['', ' DESC', ' NULLS FIRST']);
  if (value.type === 'text') return expression('text', `string_agg(${distinct}`, value, `::text, ',' ORDER BY `, value, `::text${direction})`);
  return expression('text', `array_to_string(array_agg(${distinct}`, value, ' ORDER BY ', value, `${direction}), ',', 'NULL')`);
}

function hasParameter(value: Expression): boolean {
  return value.parts.some((part) => typeof part !== 'string' && (part.kind === 'parameter' || (part.kind === 'expression' && hasParameter(part))));
}
