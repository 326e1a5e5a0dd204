import { Random } from './random.ts';
import { wideRows } from './wide-rows.ts';

type Value = string | null;

/** Rows of one table, as text the server reads. */
export interface TableRows {
  readonly table: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
}

/** Keys that are easy to get wrong: zero, negative, beyond 2^53, the ends of int8. */
export const tenants = ['1', '2', '3', '4', '5', '0', '-1', '-42', '1000', '9007199254740993', '9223372036854775807', '-9223372036854775808', '77', '78'] as const;
/** The tenant that holds a third of the rows, and one with an account but no orders. */
export const bigTenant = '1';
export const idleTenant = '78';

export const authors = ['ada', 'Ada', 'bob', '', ' ', 'Žofie', 'żółw', '🐘', 'a\'b', 'a"b', 'back\\slash', 'zoë', 'straße', 'x'.repeat(70), '日本'] as const;

/** All rows of the oracle's tables: a function of the seed alone. */
export function makeRows(seed: number): TableRows[] {
  const random = new Random(seed);
  const accounts = makeAccounts(random);
  const orders = makeOrders(random, accounts);
  const events = makeEvents(random);
  return [regions, currencies, accounts, orders, makeLines(random, orders), blanks, events, makeVisits(random, events), makeNotes(random), marks, wideRows, ...makeItems(random), oddNames, settings];
}

const regions: TableRows = {
  table: 'regions',
  columns: ['id', 'name', 'parent', 'population'],
  rows: [
    ['1', 'World', null, '8000000000'],
    ['2', 'Europe', '1', '740000000'],
    ['3', 'Asia', '1', '4700000000'],
    ['4', 'België', '2', '11700000'],
    ['5', 'Österreich', '2', null],
    ['6', 'Nowhere', null, '0'],
  ],
};

const currencies: TableRows = {
  table: 'currencies',
  columns: ['code', 'name', 'rate'],
  rows: [['EUR', 'euro', '1'], ['USD', 'dollar', '1.083500'], ['JPY', 'yen', '163.25'], ['XXX', null, null], ['AB', 'short code', '0.000001']],
};

function makeAccounts(random: Random): TableRows {
  const rows = tenants.flatMap((tenant) =>
    Array.from({ length: tenant === bigTenant ? 14 : random.int(1, 5) }, (_, index): Value[] => [
      tenant,
      String(index + 1),
      random.chance(0.15) ? null : `${random.pick(['Acme', 'acme', 'Globex', 'Ünïcode', 'Initech', 'ZZ', ''])} ${random.int(1, 4)}`,
      random.chance(0.2) ? null : String(random.int(1, 6)),
      random.chance(0.2) ? null : `${random.int(-500, 5000)}.${random.int(10, 99)}`,
      random.chance(0.2) ? null : String(random.int(-40, 400) / 8),
      random.pick(['t', 'f', null]),
      random.chance(0.2) ? null : `20${random.int(10, 24)}-0${random.int(1, 9)}-1${random.int(0, 9)}`,
      random.pick(['sad', 'ok', 'happy', 'Äußerst', null]),
    ]),
  );
  return { table: 'accounts', columns: ['tenant_id', 'id', 'name', 'region_id', 'credit', 'score', 'active', 'joined', 'feeling'], rows };
}

function makeOrders(random: Random, accounts: TableRows): TableRows {
  const busy = accounts.rows.filter((account) => account[0] !== idleTenant);
  const counts = new Map<string, number>();
  const rows = Array.from({ length: 260 }, (): Value[] => {
    const account = random.pick(busy);
    const tenant = account[0] ?? '1';
    const id = (counts.get(tenant) ?? 0) + 1;
    counts.set(tenant, id);
    return [tenant, String(id), random.chance(0.1) ? null : (account[1] ?? null), ...orderDetails(random)];
  });
  const columns = ['tenant_id', 'id', 'account_id', 'currency', 'amount', 'quantity', 'discount', 'weight', 'status', 'paid', 'placed_at', 'shipped', 'tags', 'details'];
  return { table: 'orders', columns, rows };
}

/** Weights and discounts are multiples of 1/8, so that their float sums do not depend on the order of addition. */
function orderDetails(random: Random): Value[] {
  const maybe = (value: string, nulls = 0.1): Value => (random.chance(nulls) ? null : value);
  return [
    maybe(random.pick(['EUR', 'USD', 'JPY', 'AB', 'ZZZ'])),
    maybe(`${random.int(-20, 900)}.${random.int(10, 99)}`),
    maybe(String(random.int(0, 12))),
    maybe(String(random.int(0, 8) / 8), 0.3),
    maybe(String(random.int(-80, 800) / 8)),
    maybe(random.pick(['new', 'paid', 'Paid', 'sent', 'lost', 'ärger'])),
    random.pick(['t', 'f', 'f', null]),
    maybe(`2024-0${random.int(1, 9)}-${random.int(10, 28)} ${random.int(10, 23)}:${random.int(10, 59)}:00.${random.int(0, 999_999)}+0${random.int(0, 9)}`),
    maybe(`2024-0${random.int(1, 9)}-${random.int(10, 28)}`, 0.4),
    maybe(random.pick(['{}', '{a}', '{a,b}', '{NULL,c}', '{"x y","ü"}']), 0.3),
    maybe(random.pick(['{}', '{"k": 1}', '{"k": 1.50, "deep": {"a": [1, 2]}}', '[1, "two", null]', 'null', '"text"', '12345678901234567890.123']), 0.3),
  ];
}

function makeLines(random: Random, orders: TableRows): TableRows {
  const rows = orders.rows.flatMap((order) =>
    Array.from({ length: random.int(0, 2) }, (_, index): Value[] => [
      order[0] ?? null,
      order[1] ?? null,
      String(index + 1),
      random.pick(['apple', 'Apple', 'pear', 'ñandú', 'zebra', null]),
      random.pick(['1', '1.0', '1.00', '2.5', '0.1', '0.10', '99.999', null]),
      random.chance(0.1) ? null : String(random.int(1, 9)),
    ]),
  );
  return { table: 'lines', columns: ['tenant_id', 'order_id', 'line', 'sku', 'price', 'qty'], rows };
}

const marks: TableRows = {
  table: 'marks',
  columns: ['tenant_id', 'id', 'label'],
  rows: tenants.flatMap((tenant, i) => [[tenant, String(i), i % 3 === 0 ? null : 'new'], [tenant, String(i + 20), 'paid']].slice(i % 4 === 0 ? 1 : 0)),
};

/** Rows whose every value is NULL. */
const blanks: TableRows = { table: 'blanks', columns: ['tenant_id'], rows: tenants.map((tenant) => [tenant]) };

function makeEvents(random: Random): TableRows {
  const rows = Array.from({ length: 24 }, () => makeUuid(random)).flatMap((key) =>
    Array.from({ length: random.int(1, 4) }, (_, index): Value[] => [
      key,
      String(index + 1),
      random.pick(['click', 'view', 'buy', null]),
      random.pick(['{"n": 1}', '{"n": 2, "s": "é"}', '[]', null]),
      random.chance(0.1) ? null : `2023-1${random.int(0, 2)}-0${random.int(1, 9)} 0${random.int(0, 9)}:00:00`,
      random.pick(['1 day', '24:00:00', '1 mon', '30 days', '-3 hours', '1 year 2 mons 3 days 04:05:06.789', null]),
      random.pick(['0000', '0101', '1111', null]),
    ]),
  );
  return { table: 'events', columns: ['key', 'seq', 'kind', 'payload', 'at', 'took', 'flags'], rows };
}

function makeUuid(random: Random): string {
  const hex = (length: number): string => Array.from({ length }, () => random.int(0, 15).toString(16)).join('');
  return `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`;
}

function makeVisits(random: Random, events: TableRows): TableRows {
  const rows = Array.from({ length: 60 }, (): Value[] => [random.pick(events.rows)[0] ?? null, random.pick(['/', '/a', '/ü', null]), String(random.int(1, 500))]);
  return { table: 'visits', columns: ['event_key', 'page', 'ms'], rows };
}

function makeNotes(random: Random): TableRows {
  const rows = authors.flatMap((author) =>
    Array.from({ length: random.int(1, 4) }, (_, index): Value[] => [
      author,
      String(index + 1),
      random.pick(['short', 'Long text with ünïcode', '', 'line\nbreak\ttab', null]),
      random.pick(['1', '2', '3', '4', '5', null]),
      random.pick(['2020-02-29', '0044-03-15 BC', 'infinity', '9999-12-31', null]),
    ]),
  );
  return { table: 'notes', columns: ['author', 'id', 'body', 'stars', 'written'], rows };
}

function makeItems(random: Random): TableRows[] {
  const rows = (mark: string): Value[][] => tenants.map((tenant, index) => [tenant, String(index), `${mark}${random.int(1, 5)}`]);
  return ['public', 'other'].map((schema) => ({ table: `${schema}.items`, columns: ['tenant_id', 'id', 'label'], rows: rows(schema) }));
}

const oddNames: TableRows = {
  table: '"Ünï"."Odd ""Name"',
  columns: ['"select"', '"Column With Space"', '"from"', '"quo""te"', '"Grün"'],
  rows: tenants.map((tenant, index) => [tenant, `value ${index % 3}`, String(index), index % 4 === 0 ? null : String(index % 4), index % 2 === 0 ? 'grün' : null]),
};

const settings: TableRows = {
  table: 'settings',
  columns: ['name', 'value', 'tenant_id'],
  rows: [['theme', 'dark', '1'], ['lang', 'de', '2'], ['empty', null, null], ['limit', '10', '-42']],
};
