import type { Random } from '../../oracle/random.ts';
import type { FuzzTable } from '../fuzz-tables.ts';
import { literals, typeNames } from '../fuzz-tables.ts';
import { makeLiteral, type ScopeColumn } from '../generate-expression.ts';
import { expression } from '../query-tree.ts';
import type { Expression, Source, ValueType } from '../query-tree.ts';
import type { WideContext } from './wide-context.ts';
import { aliasOf, bareName, below, beside } from './wide-context.ts';
import { makeWideCondition } from './wide-expression.ts';

export interface Relation {
  readonly source: Source;
  readonly columns: readonly ScopeColumn[];
}

/** One to three relations, joined in any way. */
export function makeWideFrom(context: WideContext): Relation {
  const { random } = context;
  let relation = makeRelation(context, 0, []);
  const joins = random.weighted(context.level === 0 ? [[4, 0], [6, 1], [3, 2], [1, 3]] : [[7, 0], [3, 1], [1, 2]]);
  for (let index = 1; index <= joins; index += 1) relation = makeJoin(context, relation, index);
  return relation;
}

function makeRelation(context: WideContext, index: number, left: readonly ScopeColumn[]): Relation {
  const { random, depth, ctes, tables } = context;
  const alias = aliasOf(context, index);
  const deeper = depth > 0 ? 1 : 0;
  const choices: [number, () => Relation][] = [
    [20, () => tableRelation(random, random.pick(tables), alias)],
    [4 * deeper, () => derived(context, alias, { lateral: false, left })],
    [left.length > 0 ? 3 * deeper : 0, () => derived(context, alias, { lateral: true, left })],
    [ctes.length > 0 ? 12 : 0, () => commonRelation(context, alias)],
    [1, () => valuesRelation(random, alias)],
    [1, () => functionRelation(random, alias, left)],
  ];
  const made = random.weighted(choices.filter(([weight]) => weight > 0))();
  return made.columns.length > 0 ? made : tableRelation(random, random.pick(tables), alias);
}

function tableRelation(random: Random, table: FuzzTable, alias: string): Relation {
  const names = Object.keys(table.columns);
  // Tables list fewer columns here than they have: only the first can be renamed for sure.
  const renamed = random.chance(0.05) && table.complete === true ? names.slice(0, random.int(1, names.length)).map((_, i) => (i === 1 ? `"ö ${i}"` : `x${i}`)) : undefined;
  const columns = Object.entries(table.columns).map(([name, type], i): ScopeColumn => ({
    sql: `${alias}.${renamed?.[i] ?? name}`, type, keyOf: name === table.key ? table.group : undefined,
  }));
  const sample = table.isView !== true && random.chance(0.02) ? `TABLESAMPLE ${random.pick(['BERNOULLI (100)', 'SYSTEM (100) REPEATABLE (3)', 'BERNOULLI (100) REPEATABLE (0.5)', 'SYSTEM (0)'])}` : undefined;
  return { source: { kind: 'table', name: table.name, alias, ...(renamed === undefined ? {} : { columns: renamed }), ...(sample === undefined ? {} : { sample }) }, columns };
}

function derived(context: WideContext, alias: string, { lateral, left }: { readonly lateral: boolean; readonly left: readonly ScopeColumn[] }): Relation {
  const select = context.query(lateral ? below(context, left) : beside(context), {});
  const renamed = context.random.chance(0.08) ? select.items.map((_, i) => `y${i}`) : undefined;
  return {
    source: { kind: 'subquery', select, alias, lateral, ...(renamed === undefined ? {} : { columns: renamed }) },
    columns: outputColumns(select.items.map(({ type }) => type), alias, renamed),
  };
}

function commonRelation({ random, ctes }: WideContext, alias: string): Relation {
  const cte = random.pick(ctes);
  return { source: { kind: 'table', name: cte.name, alias }, columns: outputColumns(cte.types, alias) };
}

function outputColumns(types: readonly ValueType[], alias: string, renamed?: readonly string[]): ScopeColumn[] {
  return types.map((type, i) => ({ sql: `${alias}.${renamed?.[i] ?? `c${i}`}`, type, keyOf: undefined }));
}

function valuesRelation(random: Random, alias: string): Relation {
  const types: ValueType[] = [random.pick(['int', 'key'] as const), random.pick(['text', 'numeric', 'date', 'uuid'] as const)];
  const rows = Array.from({ length: random.int(1, 4) }, () => types.map((type) => makeLiteral(random, type)));
  const parts = rows.flatMap((row, i) => [i === 0 ? '(' : ', (', row[0] ?? 'NULL', ', ', row[1] ?? 'NULL', ')']);
  return { source: { kind: 'computed', parts: ['(VALUES ', ...parts, ')'], alias: `${alias}(c0, c1)` }, columns: outputColumns(types, alias) };
}

function functionRelation(random: Random, alias: string, left: readonly ScopeColumn[]): Relation {
  const ints = left.filter(({ type }) => type === 'int');
  return random.weighted<() => Relation>([
    [3, () => ({ source: { kind: 'computed', parts: [`generate_series(${random.int(-1, 2)}, ${random.int(2, 5)})`], alias: `${alias}(c0)` }, columns: outputColumns(['int'], alias) })],
    [ints.length > 0 ? 3 : 0, () => ({ source: { kind: 'computed', parts: [`generate_series(0, (abs(${random.pick(ints).sql}) % 3)::int)`], alias: `${alias}(c0)` }, columns: outputColumns(['int'], alias) })],
    [2, () => ({ source: { kind: 'computed', parts: ['unnest(', expression('text', `'{${random.int(0, 4)},NULL,1,1}'::int[]`), ')'], alias: `${alias}(c0)` }, columns: outputColumns(['int'], alias) })],
    [1, () => ({ source: { kind: 'computed', parts: [`jsonb_to_recordset('[{"c0": 1, "c1": "new"}, {"c0": 2}]')`], alias: `${alias}(c0 int, c1 text)` }, columns: outputColumns(['int', 'text'], alias) })],
    [1, () => ({ source: { kind: 'computed', parts: [`XMLTABLE('/r/i' PASSING ('<r><i t="new">1</i><i>2</i></r>'::xml) COLUMNS c0 bigint PATH '.', c1 text PATH '@t')`], alias }, columns: outputColumns(['int', 'text'], alias) })],
    [1, () => ({ source: { kind: 'computed', parts: [`JSON_TABLE('[{"a": 1, "b": "new"}, {"a": 2}]'::jsonb, '$[*]' COLUMNS (c0 bigint PATH '$.a', c1 text PATH '$.b'))`], alias }, columns: outputColumns(['int', 'text'], alias) })],
    [1, () => ({ source: { kind: 'computed', parts: [`unnest('{1,2}'::int[], '{new,paid,a}'::text[]) WITH ORDINALITY`], alias: `${alias}(c0, c1, c2)` }, columns: outputColumns(['int', 'text', 'int'], alias) })],
  ].filter(([weight]) => Number(weight) > 0) as [number, () => Relation][])();
}

function makeJoin(context: WideContext, left: Relation, index: number): Relation {
  const { random } = context;
  const right = makeRelation(context, index, left.columns);
  const both = [...left.columns, ...right.columns];
  if (dependsOnLeft(right.source)) {
    const type = random.pick(['CROSS JOIN', 'JOIN', 'LEFT JOIN'] as const);
    return joined(type, left, right, type === 'CROSS JOIN' || random.chance(0.5) ? [] : [makeWideCondition({ ...context, depth: 0 }, both)]);
  }
  const shared = sharedNames(left, right);
  if (shared.length > 0 && random.chance(0.15)) return mergedJoin(random, left, right, shared);
  const equalities = makeEqualities(random, left, right);
  if (equalities.length === 0) return joined(random.pick(['CROSS JOIN', 'JOIN', 'LEFT JOIN'] as const), left, right, random.chance(0.3) ? [] : [makeWideCondition({ ...context, depth: 0 }, both)]);
  const type = random.pick(['JOIN', 'JOIN', 'LEFT JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN'] as const);
  const extra = type === 'FULL JOIN' || random.chance(0.7) ? [] : [makeWideCondition(random.chance(0.3) ? context : { ...context, depth: 0 }, both)];
  const nonEqui = type !== 'FULL JOIN' && random.chance(0.06) ? makeInequality(random, left, right) : undefined;
  return joined(type, left, right, nonEqui === undefined ? [...equalities, ...extra] : [nonEqui, ...extra]);
}

function dependsOnLeft(source: Source): boolean {
  return (source.kind === 'subquery' && source.lateral === true) || (source.kind === 'computed' && source.parts.some((part) => typeof part === 'string' && part.includes('abs(')));
}

function joined(type: string, left: Relation, right: Relation, on: readonly Expression[]): Relation {
  return { source: { kind: 'join', type, left: left.source, right: right.source, on }, columns: [...withoutBare(left.columns, right.columns), ...right.columns] };
}

/** A merged column may be ambiguous once another relation has one of its name. */
function withoutBare(columns: readonly ScopeColumn[], right: readonly ScopeColumn[]): ScopeColumn[] {
  const names = new Set(right.map(({ sql }) => bareName(sql)));
  return columns.filter(({ sql }) => bareName(sql) !== sql || !names.has(sql));
}

/** Names that each side has once, of one type. */
function sharedNames(left: Relation, right: Relation): ScopeColumn[] {
  return left.columns.filter((column) => {
    const name = bareName(column.sql);
    const same = (columns: readonly ScopeColumn[]): ScopeColumn[] => columns.filter(({ sql }) => bareName(sql) === name);
    return name !== column.sql && same(left.columns).length === 1 && same(right.columns).length === 1 && same(right.columns)[0]?.type === column.type;
  });
}

function mergedJoin(random: Random, left: Relation, right: Relation, shared: readonly ScopeColumn[]): Relation {
  const type = random.pick(['JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN'] as const);
  const natural = random.chance(0.3);
  const some = shared.slice(0, random.int(1, 2));
  const merged = (natural ? shared : some).map((column): ScopeColumn => ({ ...column, sql: bareName(column.sql) }));
  const names = merged.map(({ sql }) => sql);
  const source: Source = { kind: 'join', type: natural ? `NATURAL ${type}` : type, left: left.source, right: right.source, on: [], ...(natural ? {} : { using: names }) };
  return { source, columns: [...merged, ...withoutBare(left.columns, right.columns), ...right.columns] };
}

/** Mostly on what is meant to be joined: keys, then equal types; sometimes integers of other types. */
function makeEqualities(random: Random, left: Relation, right: Relation): Expression[] {
  const pairs = left.columns.flatMap((one) => right.columns.filter((other) => comparable(random, one.type, other.type)).map((other) => ({ one, other })));
  const keys = pairs.filter(({ one, other }) => one.keyOf !== undefined && other.keyOf !== undefined);
  const halves = pairs.filter(({ one, other }) => one.keyOf !== undefined || other.keyOf !== undefined);
  const pool = random.weighted([[4, keys], [3, halves], [3, pairs]]);
  const wanted = pool.length > 0 ? pool : pairs;
  if (wanted.length === 0) return [];
  const equals = ({ one, other }: { one: ScopeColumn; other: ScopeColumn }): Expression => expression('bool', random.chance(0.7) ? `${one.sql} = ${other.sql}` : `${other.sql} = ${one.sql}`);
  return random.chance(0.1) ? [equals(random.pick(wanted)), equals(random.pick(pairs))] : [equals(random.pick(wanted))];
}

function comparable(random: Random, one: ValueType, other: ValueType): boolean {
  if (one === other) return one !== 'bool' && one !== 'inexact';
  const numbers: readonly ValueType[] = ['int', 'key', 'numeric'];
  return numbers.includes(one) && numbers.includes(other) && random.chance(0.3);
}

function makeInequality(random: Random, left: Relation, right: Relation): Expression | undefined {
  const pairs = left.columns.flatMap((one) => right.columns.filter((other) => other.type === one.type).map((other) => [one, other] as const));
  if (pairs.length === 0) return undefined;
  const [one, other] = random.pick(pairs);
  return expression('bool', `${one.sql}${random.pick([' < ', ' > ', ' <= ', ' <> ', ' IS NOT DISTINCT FROM '])}${other.sql}`);
}

/** A constant of the type, without parameter. */
export function constant(random: Random, type: ValueType): string {
  return `${random.pick(literals[type])}::${typeNames[type]}`;
}
