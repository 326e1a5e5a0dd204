import { Random } from '../../oracle/random.ts';
import type { FuzzTable } from '../fuzz-tables.ts';
import { literals, typeNames } from '../fuzz-tables.ts';
import type { ValueType } from '../query-tree.ts';

export interface RandomTable {
  /** Without schema. */
  readonly name: string;
  /** What stands in the parentheses of CREATE TABLE. */
  readonly definition: string;
  readonly columns: Readonly<Record<string, ValueType>>;
  readonly rows: readonly (readonly (string | null)[])[];
}

export type RandomPlacement =
  | { readonly kind: 'distributed'; readonly column: string; readonly shardCount: number; readonly hash: 'postgres' | 'murmur3'; readonly colocateWith: string; readonly singleShard?: boolean }
  | { readonly kind: 'reference' }
  | { readonly kind: 'local' };

interface ColumnChoice {
  readonly type: ValueType;
  readonly definitions: readonly string[];
}

/** By name, so that natural joins find columns that can be compared. */
const choices: Readonly<Record<string, ColumnChoice>> = {
  k: { type: 'key', definitions: ['bigint', 'bigint', 'numeric(20,0)'] },
  a: { type: 'int', definitions: ['int', 'bigint', 'smallint'] },
  b: { type: 'int', definitions: ['int', 'bigint'] },
  n: { type: 'numeric', definitions: ['numeric(20,2)'] },
  t: { type: 'text', definitions: ['text', 'varchar(30)', 'text COLLATE "C"', 'text'] },
  s: { type: 'text', definitions: ['text', 'varchar(30)'] },
  d: { type: 'date', definitions: ['date'] },
  w: { type: 'time', definitions: ['timestamptz'] },
  u: { type: 'uuid', definitions: ['uuid'] },
  f: { type: 'float', definitions: ['float8'] },
  o: { type: 'bool', definitions: ['boolean'] },
  j: { type: 'json', definitions: ['jsonb'] },
  l: { type: 'list', definitions: ['int[]'] },
  g: { type: 'range', definitions: ['int4range'] },
  m: { type: 'mood', definitions: ['fuzz_mood'] },
  c: { type: 'text', definitions: ['fuzz_code'] },
  p: { type: 'pair', definitions: ['fuzz_pair'] },
  '"Ü x"': { type: 'int', definitions: ['int'] },
};

const mayDistribute: readonly ValueType[] = ['key', 'int', 'numeric', 'text', 'date', 'time', 'uuid'];

/** Tables of few and of many rows, with NULLs, duplicates, and skew; every column but `id`, and those that may distribute, may be NULL. */
export function makeTables(seed: number, count = 8): RandomTable[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, index) => makeTable(random, index));
}

function makeTable(random: Random, index: number): RandomTable {
  const names = random.sample(Object.keys(choices), random.int(4, 9));
  const columns = Object.fromEntries([['id', 'int' as ValueType], ...names.map((name): [string, ValueType] => [name, choices[name]?.type ?? 'int'])]);
  const required = new Set(['id', ...random.sample(names, 3)]);
  const definition = Object.keys(columns).map((name) => {
    const sql = name === 'id' ? 'int' : random.pick(choices[name]?.definitions ?? ['int']);
    return `${name} ${sql}${required.has(name) ? ' NOT NULL' : ''}`;
  }).join(', ');
  const rows = Array.from({ length: random.pick([0, 3, 12, 25, 25, 40, 60, 120]) }, (_, row) =>
    Object.entries(columns).map(([name, type]) => (name === 'id' ? String(row + 1) : makeValue(random, type, required.has(name)))),
  );
  return { name: index === 3 ? '"r ""Ü"' : `r${index}`, definition, columns, rows };
}

function makeValue(random: Random, type: ValueType, required: boolean): string | null {
  if (!required && random.chance(0.18)) return null;
  const known = literals[type].map((literal) => literal.replaceAll(/^'|'$/gu, '').replaceAll(`''`, `'`));
  if (random.chance(0.35)) return known[0] ?? null;
  if (type === 'int' && random.chance(0.5)) return String(random.int(-3, 40));
  return random.pick(known);
}

/** Another for every seed: each table is distributed by one of its columns that are never NULL, or is a single-shard table, as all of its colocation group are, or a reference table, or local. */
export function placeTables(seed: number, tables: readonly RandomTable[]): RandomPlacement[] {
  const random = new Random(seed);
  const leaders: { readonly name: string; readonly sql: string; readonly placement: RandomPlacement & { kind: 'distributed' } }[] = [];
  // By numbers of its own: other choices of a seed stay what they were.
  const singles = new Random(seed + 7919);
  return tables.map((table): RandomPlacement => {
    const columns = table.definition.split(', ').filter((column) => column.endsWith(' NOT NULL'));
    const usable = columns.map((column) => ({ name: nameOf(column), sql: column.slice(nameOf(column).length + 1, -' NOT NULL'.length) })).filter(({ name, sql }) => mayDistribute.includes(table.columns[name] ?? 'bool') && sql !== 'fuzz_code');
    const kind = random.weighted([[15, 'distributed'], [2, 'reference'], [2, 'local']] as const);
    if (kind !== 'distributed') return { kind };
    const keyed = usable.filter(({ name }) => name !== 'id');
    const column = random.pick(keyed.length > 0 && random.chance(0.85) ? keyed : usable);
    const leader = leaders.find((other) => other.sql === column.sql && random.chance(0.6));
    if (leader !== undefined) return { ...leader.placement, column: column.name, colocateWith: leader.name };
    const placement = { kind, singleShard: singles.chance(0.25), column: column.name, shardCount: random.pick([1, 2, 3, 5, 8]), hash: random.pick(['postgres', 'postgres', 'murmur3'] as const), colocateWith: 'none' };
    leaders.push({ name: table.name, sql: column.sql, placement });
    return placement;
  });
}

function nameOf(column: string): string {
  return /^(?:"[^"]*"|[^" ]+)/u.exec(column)?.[0] ?? column;
}

/** As the generator knows them, in schema `x`. Keys are what the first placement distributes by. */
export function fuzzTablesOf(tables: readonly RandomTable[], placements: readonly RandomPlacement[]): FuzzTable[] {
  return tables.map(({ name, columns }, i) => {
    const placement = placements[i];
    const key = placement?.kind === 'distributed' ? placement.column : 'id';
    return { name: `x.${name}`, group: typeNames[columns[key] ?? 'int'], key, columns, complete: true };
  });
}
