import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../../src/index.ts';
import { serve, type WireServer } from '../../src/wire.ts';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';
import { query, RawClient, type Said } from './raw-client.ts';

let pair: ClusterAndPlain;
let server: WireServer;

const definition = `CREATE TABLE kinds (id int8 PRIMARY KEY, i2 int2, i4 int4, n numeric, money numeric(6,2), f4 float4, f8 float8, b bool, t text, v varchar(5), c char(4), d date, ts timestamp, tz timestamptz, u uuid);
  CREATE TABLE rates (code text PRIMARY KEY, rate float8)`;

beforeAll(async () => {
  pair = await startCluster();
  server = await serve(pair.cluster, { port: 0, authentication: 'trust' });
  for (const one of [pair.cluster, pair.plain]) await one.query(definition);
  await pair.cluster.createDistributedTable('kinds', 'id');
  await pair.cluster.createReferenceTable('rates');
  const fill = `INSERT INTO kinds SELECT i, i, i * 1000, i * 1.5, i * 1.25, i * 0.5, i * 0.1, i % 2 = 0, 'text ' || i, 'v' || i, 'c' || i, '2024-01-01'::date + i, '2024-01-01'::timestamp + i * interval '1 hour', '2024-01-01 00:00Z'::timestamptz + i * interval '1 hour',
    ('00000000-0000-4000-8000-00000000000' || i)::uuid FROM generate_series(0, 9) AS i; INSERT INTO rates VALUES ('a', 1), ('b', 2)`;
  for (const statement of fill.split(';')) for (const one of [pair.cluster, pair.plain]) await one.query(statement);
});
afterAll(async () => {
  await server.close();
  await pair[Symbol.asyncDispose]();
});

/** The same texts to a plain PostgreSQL and to the wire server, in one session each; every message that comes back is the same. */
async function compare(texts: readonly string[]): Promise<void> {
  const { hostname, port, pathname, username: user } = new URL(pair.plain.options.connectionString ?? '');
  const plain = await RawClient.start({ host: hostname, port: Number(port), database: pathname.slice(1), user });
  const wire = await RawClient.start({ host: server.host, port: server.port, database: pair.databases.coordinator.database, user });
  // Columns are described once there are rows, which an error may come before.
  const ask = async (client: RawClient, text: string): Promise<Said[]> => {
    client.send(query(text));
    const said = await client.until('Z');
    return said.filter(([type]) => type !== 'T' || !said.some(([other]) => other === 'E'));
  };
  try {
    for (const text of texts) expect(await ask(wire, text), text).toEqual(await ask(plain, text));
  } finally {
    await Promise.all([plain.end(), wire.end()]);
  }
}

/** The text with parameters that runs in place of one whose shape is known; undefined where it runs as it is. */
function lifted(text: string): readonly [text: string, ...values: string[]] | undefined {
  const { planner, store } = Cluster.coordinatorOf(pair.cluster);
  const snapshot = store.current();
  const found = snapshot === undefined ? undefined : planner.lifted.of(text, snapshot);
  return found === undefined ? undefined : [found.statement.text, ...found.values];
}

/** Texts of one shape, of which the later ones are run with parameters. */
const withEach = (shape: (constant: string) => string, constants: readonly string[]): string[] => [...constants, ...constants].map(shape);

const numbers = ['0', '1', '7', '-1', '- 7', '32767', '32768', '-32769', '2147483647', '2147483648', '-2147483648', '-2147483649', '9223372036854775807', '9223372036854775808', '-9223372036854775808', '007', '1.5', '-1.5', '1.50', '0.0', '-0', '-0.0', '10.004', '10.005', '9999.99', '9999.999', '1e1', '.5', '1.', '0x7', '+1', '- -1'];
const strings = [`'1'`, `'-1'`, `' 1 '`, `'1.5'`, `'abc'`, `''`, `'it''s'`, `'t'`, `'yes'`, `'true'`, `'text 1'`, `'v1'`, `'v1 '`, `'c1'`, `'c1  '`, `'toolong'`, `'v1      '`, `'éé'`, `'2024-01-02'`, `'2024-02-30'`, `'today'`, `'20240102'`, `'Jan 2 2024'`, `'2024-01-01 01:00'`, `'2024-01-01 01:00:00+00'`, `'infinity'`,
  `'00000000-0000-4000-8000-000000000001'`, `'{00000000-0000-4000-8000-000000000001}'`, `'32768'`, `'99999999999'`, `'-0'`, `'NaN'`, `E'1'`, `'1'::text`, `'1'::int`, `' 1'::int8`, `'x'::int`, `'1.5'::numeric`, `'12345.678'::numeric`, `'1.5'::numeric(2,0)`, `'0.5'::float8`, `'t'::bool`, `'v1'::varchar`, `'toolong'::varchar`, `'c1'::char`, `'c1'::bpchar`, `'2024-01-02'::date`, `'2024-01-03'::date`,
  `'2024-02-30'::date`, `date '2024-01-02'`, `'2024-01-01 01:00'::timestamp`, `'2024-01-01 01:00+02'::timestamptz`, `'2024-01-01T01:00:00.5'::timestamptz`, `'00000000-0000-4000-8000-000000000001'::uuid`, `CAST('7' AS int8)`, `'{1}'::int[]`, `1::text`, `'now'::timestamp::date::text`, `NULL`, `true`, `current_date`, `(1)`, `'a' || 'b'`, `'a\\b'`];
const constants = [...numbers, ...strings];
const columns = ['id', 'i2', 'i4', 'n', 'money', 'f4', 'f8', 'b', 't', 'v', 'c', 'd', 'ts', 'tz', 'u'];

describe('constants that become parameters mean the same', () => {
  test.each(columns)('compared with %s', async (column) => {
    await compare(withEach((constant) => `SELECT * FROM kinds WHERE id = 1 AND ${column} = ${constant}`, constants));
    await compare(withEach((constant) => `SELECT id, ${column} FROM kinds AS k WHERE ${constant} >= k.${column} AND k.id = 7;`, constants));
  });

  test.each(columns.slice(1))('assigned to %s', async (column) => {
    await compare(withEach((constant) => `UPDATE kinds SET ${column} = ${constant} WHERE id = 4 RETURNING *`, constants));
    await compare(withEach((constant) => `UPDATE kinds SET ${column} = ${constant} WHERE id = 400`, constants));
    await compare(withEach((constant) => `INSERT INTO kinds (id, ${column}) VALUES (400, ${constant}) RETURNING *`, constants).flatMap((text) => [text, 'DELETE FROM kinds WHERE id = 400']));
  });

  test('assigned to the distribution column', () => compare(withEach((constant) => `INSERT INTO kinds VALUES (${constant}, 1) RETURNING id, i2`, constants.filter((constant) => constant !== 'NULL')).flatMap((text) => [text, 'DELETE FROM kinds WHERE id NOT BETWEEN 0 AND 9'])));

  test.each(['i2', 'i4', 'id', 'n', 'f8', 'd'])('added to %s', (column) => {
    const target = column === 'id' ? 'i4' : column;
    return compare(['+', '-', '*'].flatMap((operator) => withEach((constant) => `UPDATE kinds SET ${target} = ${column} ${operator} ${constant} WHERE id = 5 RETURNING ${target}`, numbers)).flatMap((text) => [text, `UPDATE kinds SET ${target} = NULL WHERE id = 5`, `UPDATE kinds SET i2 = 5, i4 = 2147480000, n = 1.5, f8 = 0.1, d = '2024-01-01' WHERE id = 5`]));
  });
});

test('other constants stay where they are', () => compare([1, 2, 3, 4, 5, 6].flatMap((i) => [
  `SELECT id, ${i} AS x, ${i} + 1, 'x${i}' FROM kinds WHERE id = ${i} ORDER BY 1 LIMIT ${i} OFFSET ${i % 2}`, `SELECT count(*), ${i} FROM kinds WHERE id = ${i} GROUP BY 2 HAVING count(*) > ${i - 2}`,
  `SELECT id, row_number() OVER (ORDER BY id) FROM kinds WHERE id IN (${i}, ${i + 1}) ORDER BY id`, `SELECT id FROM kinds WHERE id = ${i} OR id = ${i + 1} ORDER BY id`, `SELECT i4 FROM kinds WHERE id = ${i} AND round(n, ${i}) > 0 AND t LIKE 'text%' AND i2 BETWEEN ${i - 1} AND ${i}`,
  `SELECT k.id, r.rate FROM kinds k JOIN rates r ON r.rate = ${i} WHERE k.id = ${i} AND r.code = 'b'`, `SELECT rate FROM rates WHERE code = '${i % 2 === 0 ? 'a' : 'b'}'`, `SELECT id FROM kinds k WHERE k.id = ${i} AND EXISTS (SELECT FROM rates WHERE rate = ${i})`,
  `WITH rates AS (SELECT ${i} AS id) SELECT id FROM rates WHERE id = ${i}`, `SELECT x FROM (SELECT id AS x FROM kinds) s WHERE x = ${i}`, `SELECT i FROM kinds AS s (i) WHERE i = ${i}`, `UPDATE kinds SET (i2, t) = (${i}, 'text ${i}') WHERE id = ${i}`, `DELETE FROM kinds WHERE id = ${i + 100} RETURNING id`,
  `INSERT INTO kinds (id, t) VALUES (${i}, 'y') ON CONFLICT (id) DO UPDATE SET t = 'text ${i}' WHERE kinds.i2 > ${i - 1} RETURNING id, t`, `SELECT id FROM kinds WHERE id = ${i}; SELECT ${i}`, `SELECT id FROM kinds WHERE id = ${i} AND t = $1`, `INSERT INTO rates VALUES ('a', ${i})`,
])));

test('an error stands where it stands in the text', () => compare([1, 2, 3, 4, 5].flatMap((i) => [
  `SELECT t FROM kinds WHERE t = 'é${i}' AND id = ${i * 1000} AND nothing = 1`, `SELECT i2 / (i2 - i2) FROM kinds WHERE id = ${i}`, `INSERT INTO kinds (id, t) VALUES (${i}, 'ééé')`, `UPDATE kinds SET i2 = i2 + 40000 WHERE t = 'text ${i}' AND id = ${i}`,
])));

test('in transactions, with settings, and under names of the session\'s own', () => compare([
  ...withEach((i) => `SELECT t FROM kinds WHERE id = ${i}`, ['1', '2']), 'BEGIN', ...withEach((i) => `UPDATE kinds SET t = 'mine' WHERE id = ${i}`, ['1', '2']), ...withEach((i) => `SELECT t FROM kinds WHERE id = ${i}`, ['1', '2']), 'ROLLBACK',
  `SET DateStyle = 'German'`, ...withEach((i) => `SELECT d FROM kinds WHERE id = ${i} AND d > '2024-01-03'`, ['1', '2', '3', '4']), `SET TimeZone = 'Asia/Tokyo'`, ...withEach((i) => `SELECT tz FROM kinds WHERE id = ${i} AND tz > '2024-01-01 11:00'`, ['1', '2', '3', '4']), 'RESET ALL',
  'BEGIN', 'ALTER TABLE kinds ALTER i4 TYPE text', ...withEach((i) => `SELECT i4 FROM kinds WHERE id = ${i} AND i4 = '${i}000'`, ['1', '2']), 'ROLLBACK', ...withEach((i) => `SELECT i4 FROM kinds WHERE id = ${i} AND i4 = ${i}000`, ['1', '2']),
  'CREATE SCHEMA own', 'CREATE TABLE own.kinds (id text, t text)', `INSERT INTO own.kinds VALUES ('1', 'of its own')`, 'SET search_path = own', ...withEach((i) => `SELECT t FROM kinds WHERE id = ${i}`, [`'1'`, `'2'`, '1']), 'RESET search_path', ...withEach((i) => `SELECT t FROM kinds WHERE id = ${i}`, ['1', '2']),
]));

test('by another catalog, as its types say', async () => {
  const ask = withEach((i) => `SELECT v FROM kinds WHERE id = 1 AND v = ${i}`, [`'v1'`, '1']);
  await compare(ask);
  for (const one of [pair.cluster, pair.plain]) await one.query(`ALTER TABLE kinds ALTER v TYPE int USING 1`);
  await compare(ask);
  for (const one of [pair.cluster, pair.plain]) await one.query(`ALTER TABLE kinds ALTER v TYPE varchar(5) USING 'v' || id`);
  await compare(ask);
});

test.each<[text: string, ...expected: [text: string, ...values: string[]] | []]>([
  ['SELECT t FROM kinds WHERE id = 5;', 'SELECT t FROM kinds WHERE id = $1', '5'],
  [`SELECT 1, t FROM kinds k WHERE k.id=-5 AND 'é''s'<=t AND i4 IN (1, 2) AND n > 1.5 LIMIT 3`, 'SELECT 1, t FROM kinds k WHERE k.id=$1 AND $2<=t AND i4 IN (1, 2) AND n > $3 LIMIT 3', '-5', `é's`, '1.5'],
  [`UPDATE kinds SET i4 = i4 + -4999, t = 'x', i2 = i2 + 1, n = n + 1 WHERE id = 5`, 'UPDATE kinds SET i4 = i4 + $1, t = $2, i2 = i2 + 1, n = n + 1 WHERE id = $3', '-4999', 'x', '5'],
  [`INSERT INTO kinds (id, i2, t, tz) VALUES (1, 2, 'a', now()) ON CONFLICT (id) DO UPDATE SET t = 'b'`, `INSERT INTO kinds (id, i2, t, tz) VALUES ($1, $2, $3, now()) ON CONFLICT (id) DO UPDATE SET t = 'b'`, '1', '2', 'a'],
  [`INSERT INTO kinds (id, tz, d) VALUES (1, '2024-01-01 01:00+00'::timestamptz, '2024-01-01'::timestamp)`, `INSERT INTO kinds (id, tz, d) VALUES ($1, $2::timestamptz, '2024-01-01'::timestamp)`, '1', '2024-01-01 01:00+00'],
  [`SELECT t FROM kinds WHERE id = '5'::bigint AND date '2024-01-01' < tz AND t = 'a'::varchar(3)`, `SELECT t FROM kinds WHERE id = $1::bigint AND date '2024-01-01' < tz AND t = 'a'::varchar(3)`, '5'],
  ['DELETE FROM kinds WHERE id = 3000000000', 'DELETE FROM kinds WHERE id = $1', '3000000000'],
  ['SELECT r.rate, k.t FROM kinds k JOIN rates r ON true WHERE k.id = 5', 'SELECT r.rate, k.t FROM kinds k JOIN rates r ON true WHERE k.id = $1', '5'],
  [`SELECT t FROM kinds WHERE i4 = 3000000000 AND id = 1`], ['SELECT t FROM kinds WHERE f8 = 1'], ['SELECT t FROM kinds WHERE n = 1'], ['SELECT 1'], [`SELECT * FROM notes WHERE id = 1`], ['INSERT INTO kinds (id) VALUES (1), (2)'],
])('%s', (text, ...expected) => {
  const [first, second] = [lifted(text), lifted(text)];
  expect(second ?? first).toBeUndefined();
  expect(lifted(text)).toEqual(expected.length === 0 ? undefined : expected);
});
