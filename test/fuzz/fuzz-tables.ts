import type { ValueType } from './query-tree.ts';

export interface FuzzTable {
  readonly name: string;
  /** Tables of one group are joined on their keys by preference. */
  readonly group: string;
  readonly key: string;
  readonly columns: Readonly<Record<string, ValueType>>;
  /** `columns` are all it has, in their order. */
  readonly complete?: true;
  readonly isView?: true;
}

/**
 * The tables of the oracle's schema, with those columns whose equal values are written alike: else which of two equals a
 * query returns would be PostgreSQL's choice. Numerics therefore all have two decimals.
 */
export const fuzzTables: readonly FuzzTable[] = [
  { name: 'accounts', group: 'tenant', key: 'tenant_id', columns: { tenant_id: 'key', id: 'int', name: 'text', region_id: 'int', credit: 'numeric', score: 'float', active: 'bool', joined: 'date' } },
  { name: 'orders', group: 'tenant', key: 'tenant_id', columns: { tenant_id: 'key', id: 'int', account_id: 'int', amount: 'numeric', quantity: 'int', discount: 'float', weight: 'float', status: 'text', paid: 'bool', placed_at: 'time', shipped: 'date' } },
  { name: 'lines', group: 'tenant', key: 'tenant_id', columns: { tenant_id: 'key', order_id: 'int', line: 'int', sku: 'text', qty: 'int' } },
  { name: 'ghosts', group: 'tenant', key: 'tenant_id', columns: { tenant_id: 'key', id: 'int', label: 'text', seen: 'time' } },
  { name: 'blanks', group: 'tenant', key: 'tenant_id', columns: { tenant_id: 'key', id: 'int', i: 'int', f: 'float', t: 'text', o: 'bool', d: 'date' } },
  { name: 'other.items', group: 'tenant', key: 'tenant_id', columns: { tenant_id: 'key', id: 'int', label: 'text' } },
  { name: '"Ünï"."Odd ""Name"', group: 'tenant', key: '"select"', columns: { '"select"': 'key', '"Column With Space"': 'text', '"from"': 'int', '"quo""te"': 'int' } },
  { name: 'events', group: 'event', key: 'key', columns: { key: 'uuid', seq: 'int', kind: 'text' } },
  { name: 'visits', group: 'event', key: 'event_key', columns: { event_key: 'uuid', page: 'text', ms: 'int' } },
  { name: 'notes', group: 'note', key: 'author', columns: { author: 'text', id: 'int', body: 'text', stars: 'int', written: 'date' } },
  { name: 'marks', group: 'mark', key: 'tenant_id', columns: { tenant_id: 'key', id: 'int', label: 'text' } },
  { name: 'regions', group: 'reference', key: 'id', columns: { id: 'int', name: 'text', parent: 'int' } },
  { name: 'currencies', group: 'reference', key: 'code', columns: { name: 'text' } },
  { name: 'settings', group: 'local', key: 'name', columns: { name: 'text', value: 'text', tenant_id: 'key' } },
];

/** Literals of each type; those of keys and events' uuids are in the data, but for the last. */
export const literals: Readonly<Record<ValueType, readonly string[]>> = {
  key: ['1', '1', '1', '2', '2', '3', '4', '-42', '0', '9007199254740993', '78', '555'],
  int: ['0', '1', '2', '3', '5', '-1', '12'],
  numeric: ['0.00', '100.00', '250.50', '-5.25', '700.10'],
  ratio: ['0.5', '100', '300'],
  float: ['0.5', '10.25', '-3'],
  inexact: ['1'],
  text: [`'new'`, `'paid'`, `''`, `'apple'`, `'Ünïcode 1'`, `'ada'`, `'click'`, `'🐘'`, `'/a'`, `'value 1'`],
  bool: ['true', 'false'],
  date: [`'2024-05-15'`, `'2020-01-01'`, `'2012-06-01'`],
  time: [`'2024-05-15 12:00:00+00'`, `'2024-03-01Z'`],
  uuid: [`'2b6ecc58-0f4c-4204-a7eb-af7b427bc5a2'`, `'1bebc5ab-b185-4fcd-ae00-805adf8be526'`, `'5980C4D5-AB62-4890-A9F5-F6394A7AF3ED'`, `'00000000-0000-0000-0000-000000000000'`],
  json: [`'{"a": 1}'`, `'[1, "x", null]'`, `'"ü"'`, `'{"a": {"b": [2.50]}}'`, `'null'`],
  list: [`'{1,2}'`, `'{}'`, `'{NULL,3}'`, `'{{1,2},{3,4}}'`],
  range: [`'[1,5)'`, `'empty'`, `'(,3]'`, `'[7,7]'`],
  mood: [`'sad'`, `'Ok'`, `'ha''ppy'`],
  pair: [`'(1,x)'`, `'(2,"a, b")'`, `'(,)'`],
};

/** How a literal of the type is written where its type would otherwise be unknown. */
export const typeNames: Readonly<Record<ValueType, string>> = {
  key: 'bigint', int: 'bigint', numeric: 'numeric(20,2)', ratio: 'numeric', float: 'float8', inexact: 'float8', text: 'text', bool: 'boolean', date: 'date', time: 'timestamptz', uuid: 'uuid', json: 'jsonb', list: 'int[]',
  range: 'int4range', mood: 'fuzz_mood', pair: 'fuzz_pair',
};

/** Types that only the random schema has. */
export const ownTypes = `CREATE TYPE fuzz_mood AS ENUM ('sad', 'Ok', 'ha''ppy'); CREATE DOMAIN fuzz_code AS text CHECK (length(VALUE) < 100); CREATE TYPE fuzz_pair AS (a int, b fuzz_code)`;
