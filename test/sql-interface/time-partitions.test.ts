import { Client, type Pool } from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Cluster } from '../../src/index.ts';
import { serve } from '../../src/wire.ts';
import { type EmptyPair, startEmptyPair } from '../ddl/propagate/empty-pair.ts';

let pair: EmptyPair;
let cluster: Cluster;
beforeAll(async () => {
  pair = await startEmptyPair(18);
  cluster = pair.cluster;
});
afterAll(() => pair[Symbol.asyncDispose]());

const rowsOf = async (text: string, values: readonly unknown[] = [], on: Pick<Pool, 'query'> = cluster): Promise<unknown[][]> => (await on.query<unknown[]>({ text, values: [...values], rowMode: 'array' })).rows;
const partitionsOf = (table: string): Promise<unknown[][]> => rowsOf(`SELECT partition::text, from_value, to_value FROM time_partitions WHERE parent_table = '${table}'::regclass ORDER BY from_value`);

/** A table of its own, distributed unless it is said otherwise. */
async function newTable(name: string, { type = 'timestamptz', rest = '', local = false }: { type?: string; rest?: string; local?: boolean } = {}): Promise<void> {
  await cluster.query(`CREATE TABLE ${name} (tenant_id bigint NOT NULL, at ${type} NOT NULL, note text DEFAULT 'n' ${rest}) PARTITION BY RANGE (at)`);
  if (!local) await cluster.createDistributedTable(name, 'tenant_id', { shardCount: 3 });
}

/** Another process. */
function openCluster(options = '') {
  const other = new Cluster({ connectionString: pair.databases.coordinator.connectionString, options });
  return { cluster: other, [Symbol.asyncDispose]: () => other.end() };
}

afterEach(() => cluster.query('DROP TABLE IF EXISTS by_time, plans CASCADE'));

test.each([
  ['timestamptz', '1 month', '2024-01-17', '2024-03-02', [['_p2024_01', '2024-01-01 00:00:00+00', '2024-02-01 00:00:00+00'], ['_p2024_02', '2024-02-01 00:00:00+00', '2024-03-01 00:00:00+00'], ['_p2024_03', '2024-03-01 00:00:00+00', '2024-04-01 00:00:00+00']]],
  ['date', '1 day', '2024-02-28', '2024-03-01', [['_p2024_02_28', '2024-02-28', '2024-02-29'], ['_p2024_02_29', '2024-02-29', '2024-03-01']]],
  ['timestamp', '1 week', '2026-11-28', '2026-12-01', [['_p2026w48', '2026-11-23 00:00:00', '2026-11-30 00:00:00'], ['_p2026w49', '2026-11-30 00:00:00', '2026-12-07 00:00:00']]],
  ['timestamp', '3 months', '2024-02-02', '2024-07-01', [['_p2024q1', '2024-01-01 00:00:00', '2024-04-01 00:00:00'], ['_p2024q2', '2024-04-01 00:00:00', '2024-07-01 00:00:00']]],
  ['date', '1 year', '2024-06-02', '2025-01-01', [['_p2024', '2024-01-01', '2025-01-01']]],
  ['timestamptz', '6 hours', '2024-06-02 03:30Z', '2024-06-02 10:00Z', [['_p2024_06_02_0300', '2024-06-02 03:00:00+00', '2024-06-02 09:00:00+00'], ['_p2024_06_02_0900', '2024-06-02 09:00:00+00', '2024-06-02 15:00:00+00']]],
  ['timestamptz', '30 seconds', '2024-06-02 03:30:10Z', '2024-06-02 03:31Z', [['_p2024_06_02_033000', '2024-06-02 03:30:00+00', '2024-06-02 03:30:30+00'], ['_p2024_06_02_033030', '2024-06-02 03:30:30+00', '2024-06-02 03:31:00+00']]],
] as const)('%s by %s', async (type, interval, from, to, ranges) => {
  await newTable('by_time', { type });
  const expected = ranges.map(([suffix, ...range]) => [`by_time${suffix}`, ...range]);
  expect(await rowsOf('SELECT * FROM get_missing_time_partition_ranges($1, $2, $3, $4)', ['by_time', interval, to, from])).toEqual(expected);
  expect(await rowsOf(`SELECT create_time_partitions('by_time', partition_interval := '${interval}', end_at := timestamptz '${to}', start_from := '${from}')`)).toEqual([[true]]);
  expect(await partitionsOf('by_time')).toEqual(expected);
  expect(await rowsOf('SELECT create_time_partitions($1, $2::interval, $3, $4)', ['by_time', interval, to, from])).toEqual([[false]]);
  expect(new Set((await cluster.tables()).flatMap(({ name }) => (name.startsWith('by_time') ? [name] : [])))).toEqual(new Set(['by_time', ...expected.map(([name]) => name)]));
  expect((await cluster.checkSchema()).text).toMatch(/no differences/);
});

test('partitions follow those that there are, have what the table has, and take rows', async () => {
  await newTable('by_time', { type: 'date', rest: ', n int GENERATED ALWAYS AS (length(note)) STORED, payload text COMPRESSION pglz, CHECK (tenant_id > 0)' });
  await cluster.query(`CREATE TABLE plans (code text PRIMARY KEY); SELECT create_reference_table('plans'); INSERT INTO plans VALUES ('n')`);
  await cluster.query(`ALTER TABLE by_time ADD PRIMARY KEY (tenant_id, at), ADD FOREIGN KEY (note) REFERENCES plans; CREATE INDEX ON by_time (note)`);
  await cluster.query(`CREATE TABLE by_time_first PARTITION OF by_time FOR VALUES FROM ('2024-01-10') TO ('2024-01-20')`);
  expect(await rowsOf(`SELECT * FROM create_time_partitions('public.by_time', '10 days', '2024-02-01', '2023-12-28')`)).toEqual([[true]]);
  expect((await partitionsOf('by_time')).map(([name]) => name)).toEqual(['by_time_p2023_12_21', 'by_time_p2023_12_31', 'by_time_first', 'by_time_p2024_01_20', 'by_time_p2024_01_30']);
  expect((await cluster.checkSchema()).text).toMatch(/no differences/);
  await cluster.query(`INSERT INTO by_time (tenant_id, at) SELECT t, date '2023-12-21' + d FROM generate_series(1, 9) t, generate_series(0, 49) d`);
  expect(await rowsOf('SELECT count(*)::int, sum(n)::int FROM by_time_p2024_01_20')).toEqual([[90, 90]]);
  await expect(cluster.query(`INSERT INTO by_time (tenant_id, at, note) VALUES (10, '2024-02-01', 'none')`)).rejects.toMatchObject({ code: '23503' });
  await expect(cluster.query(`INSERT INTO by_time (tenant_id, at) VALUES (1, '2024-01-31')`)).rejects.toMatchObject({ code: '23505' });
  await expect(cluster.query(`SELECT create_time_partitions('by_time', '7 days', '2024-03-01', '2024-01-01')`)).rejects.toMatchObject({ code: '22023', message: expect.stringMatching(/^partition public\.by_time_p2023_12_\d+ with the range from .* does not align with the initial partition/) as string });
});

test('old partitions are dropped, with their shards; a default partition stays', async () => {
  await newTable('by_time');
  await cluster.query(`CREATE TABLE by_time_rest PARTITION OF by_time DEFAULT; SELECT create_time_partitions('by_time', '1 day', '2024-01-06', '2024-01-01')`);
  await cluster.query(`INSERT INTO by_time SELECT t, timestamptz '2023-12-30 12:00Z' + d * interval '1 day' FROM generate_series(1, 9) t, generate_series(0, 6) d`);
  const notices: (string | undefined)[] = [];
  const client = await cluster.connect();
  try {
    client.on('notice', ({ message }) => notices.push(message));
    const { command } = await client.query(`CALL drop_old_time_partitions('by_time', older_than => timestamptz '2024-01-03' + interval '1 minute')`);
    expect(command).toBe('CALL');
    expect(notices).toEqual(['dropping public.by_time_p2024_01_01 with start time 2024-01-01 00:00:00+00 and end time 2024-01-02 00:00:00+00', 'dropping public.by_time_p2024_01_02 with start time 2024-01-02 00:00:00+00 and end time 2024-01-03 00:00:00+00']);
    await client.query(`BEGIN; CALL pg_catalog.drop_old_time_partitions($$by_time$$, '2030-01-01')`);
    expect((await client.query('SELECT count(*)::int FROM by_time')).rows).toEqual([{ count: 18 }]);
    await client.query('ROLLBACK');
  } finally {
    client.release();
  }
  expect((await partitionsOf('by_time')).map(([name]) => name)).toEqual(['by_time_p2024_01_03', 'by_time_p2024_01_04', 'by_time_p2024_01_05', 'by_time_rest']);
  expect(await rowsOf('SELECT count(*)::int FROM by_time')).toEqual([[45]]);
  expect((await cluster.checkSchema()).text).toMatch(/no differences/);
});

test('rows of the default partition that a new one would take: nothing is made', async () => {
  await newTable('by_time');
  await cluster.query(`CREATE TABLE by_time_rest PARTITION OF by_time DEFAULT; INSERT INTO by_time VALUES (5, '2024-01-03Z')`);
  await expect(cluster.query(`SELECT create_time_partitions('by_time', '1 day', '2024-01-05', '2024-01-01')`)).rejects.toMatchObject({ code: '23514' });
  expect((await partitionsOf('by_time')).map(([name]) => name)).toEqual(['by_time_rest']);
  expect((await cluster.checkSchema()).text).toMatch(/no differences/);
});

test('jobs of two processes at once make each partition once, while rows come', async () => {
  await newTable('by_time');
  await cluster.query(`SELECT create_time_partitions('by_time', '1 day', '2024-01-02', '2024-01-01')`);
  await using opened = openCluster();
  const other = opened.cluster;
  const state = { isDone: false, written: 0 };
  const writing = (async () => {
    while (!state.isDone) {
      await other.query(`INSERT INTO by_time VALUES ($1, '2024-01-01 12:00Z')`, [state.written]);
      state.written += 1;
    }
  })();
  for (let day = 10; day < 14; day += 1) {
    const made = await Promise.all([cluster, other, cluster, other].map((process) => process.createTimePartitions('by_time', { interval: '1 day', endAt: `2024-01-${day}`, startFrom: new Date('2024-01-01T00:00:00Z') })));
    expect(made.filter(Boolean)).toHaveLength(1);
  }
  state.isDone = true;
  await writing;
  expect(await other.timePartitions('by_time')).toHaveLength(12);
  expect(await rowsOf('SELECT count(*)::int FROM by_time')).toEqual([[state.written]]);
  expect((await cluster.checkSchema()).text).toMatch(/no differences/);
});

test('methods', async () => {
  await newTable('by_time', { type: 'date' });
  const range = { interval: '1 month', startFrom: '2024-11-05', endAt: '2025-01-01' };
  expect(await cluster.missingTimePartitions('by_time', range)).toEqual([{ name: 'by_time_p2024_11', from: '2024-11-01', to: '2024-12-01' }, { name: 'by_time_p2024_12', from: '2024-12-01', to: '2025-01-01' }]);
  expect(await cluster.createTimePartitions('by_time', range)).toBe(true);
  expect(await cluster.timePartitions('public.by_time')).toEqual([
    { table: 'by_time', column: 'at', partition: 'by_time_p2024_11', from: '2024-11-01', to: '2024-12-01' }, { table: 'by_time', column: 'at', partition: 'by_time_p2024_12', from: '2024-12-01', to: '2025-01-01' },
  ]);
  await cluster.dropOldTimePartitions('by_time', { olderThan: new Date('2024-12-15T00:00:00Z') });
  expect((await cluster.timePartitions('by_time')).map(({ partition }) => partition)).toEqual(['by_time_p2024_12']);
});

test('local tables, another time zone, clocks that are changed, and long names', async () => {
  const long = `by_time_${'ü'.repeat(26)}`;
  await using opened = openCluster('-c TimeZone=Europe/Berlin');
  const zoned = opened.cluster;
  try {
    await newTable(long, { local: true });
    await newTable('by_time', { type: 'timestamp' });
    await zoned.query(`SELECT create_time_partitions('${long}', '1 day', '2024-04-01', '2024-03-30')`);
    expect(await rowsOf(`SELECT partition::text, from_value, to_value FROM time_partitions WHERE parent_table = '${long}'::regclass ORDER BY 2`)).toEqual([
      [`"by_time_${'ü'.repeat(21)}_p2024_03_30"`, '2024-03-29 23:00:00+00', '2024-03-30 23:00:00+00'], [`"by_time_${'ü'.repeat(21)}_p2024_03_31"`, '2024-03-30 23:00:00+00', '2024-03-31 22:00:00+00'],
    ]);
    await zoned.query(`SELECT create_time_partitions('by_time', '1 hour', '2024-03-31 04:00', '2024-03-31 01:00')`);
    expect((await partitionsOf('by_time')).map(([, from]) => from)).toEqual(['2024-03-31 01:00:00', '2024-03-31 02:00:00', '2024-03-31 03:00:00']);
    expect((await cluster.tables()).some(({ name }) => name === long)).toBe(false);
    await cluster.query(`CALL drop_old_time_partitions('${long}', now())`);
    expect(await rowsOf(`SELECT count(*)::int FROM time_partitions WHERE parent_table = '${long}'::regclass`)).toEqual([[0]]);
  } finally {
    await cluster.query(`DROP TABLE ${long}`);
  }
});

test('through the wire, prepared and described', async () => {
  await newTable('by_time');
  const server = await serve(cluster, { port: 0, authentication: 'trust' });
  const { database, user } = pair.databases.coordinator;
  const client = new Client({ host: server.host, port: server.port, database, user });
  try {
    await client.connect();
    const text = 'SELECT create_time_partitions($1, $2, $3, $4) AS made';
    expect((await client.query(text, ['by_time', '1 day', '2024-01-03', '2024-01-01'])).rows).toEqual([{ made: true }]);
    expect((await client.query({ name: 'again', text, values: ['by_time', '1 day', '2024-01-03', '2024-01-01'] })).rows).toEqual([{ made: false }]);
    expect((await client.query(`SELECT create_time_partitions('by_time', '1 day', '2024-01-04', '2024-01-01')`)).rows).toEqual([{ create_time_partitions: true }]);
    expect((await client.query('SELECT count(*)::int FROM time_partitions JOIN by_time ON true')).rows).toEqual([{ count: 0 }]);
    await client.query('CALL drop_old_time_partitions($1, $2)', ['by_time', '2024-01-03']);
    expect((await client.query(`SELECT partition::text, access_method FROM pg_catalog.time_partitions`)).rows).toEqual([{ partition: 'by_time_p2024_01_03', access_method: 'heap' }]);
  } finally {
    await client.end();
    await server.close();
  }
});

test.each([
  [`SELECT create_time_partitions('plain', '1 day', '2024-01-03')`, '42809', 'public.plain is not partitioned'],
  [`SELECT create_time_partitions('nowhere', '1 day', '2024-01-03')`, '42P01', 'relation "nowhere" does not exist'],
  [`SELECT create_time_partitions('by_list', '1 day', '2024-01-03')`, '42809', 'public.by_list is not partitioned by ranges'],
  [`SELECT create_time_partitions('by_both', '1 day', '2030-01-03')`, '0A000', 'partitioned tables with multiple partition columns are not supported'],
  [`SELECT create_time_partitions('by_number', '1 day', '2030-01-03')`, '42809', 'type of the partition column of the table public.by_number must be date, timestamp or timestamptz'],
  [`SELECT create_time_partitions('by_time', '1 hour', '2030-01-03')`, '22023', 'partition interval of date partitioned table must be day or multiple days'],
  [`SELECT create_time_partitions('by_time', '-1 day', '2030-01-03', '2029-12-31')`, '22023', 'partition interval must be greater than zero, and the range have two ends'],
  [`SELECT create_time_partitions('by_time', '1 day', '2024-01-03', '2024-01-03')`, '22023', 'start_from (2024-01-03 00:00:00+00) must be older than end_at (2024-01-03 00:00:00+00)'],
  [`CALL drop_old_time_partitions('plain', now())`, '42809', 'public.plain is not partitioned'],
  [`SELECT create_time_partitions('by_time', '1 day', '2024-01-03'), 1`, '22023', 'create_time_partitions() changes definitions, and must be called alone'],
  [`INSERT INTO by_time SELECT 1, now() WHERE create_time_partitions('by_time', '1 day', '2024-01-03')`, '22023', 'create_time_partitions() changes definitions, and must be called alone'],
  [`CREATE VIEW making AS SELECT create_time_partitions('by_time', '1 day', '2024-01-03')`, '22023', 'create_time_partitions() changes definitions, and must be called alone'],
  [`SELECT create_time_partitions('by_time', 1)`, '42883', 'function shardwright.create_time_partitions(unknown, integer) does not exist'],
])('%s', async (text, code, message) => {
  await newTable('by_time', { type: 'date' });
  await cluster.query(`CREATE TABLE IF NOT EXISTS plain (at date); CREATE TABLE IF NOT EXISTS by_list (at date) PARTITION BY LIST (at); CREATE TABLE IF NOT EXISTS by_both (a date, b date) PARTITION BY RANGE (a, b); CREATE TABLE IF NOT EXISTS by_number (n int) PARTITION BY RANGE (n)`);
  await expect(cluster.query(text)).rejects.toMatchObject({ code, message });
});

test('a function of the user\'s under such a name is the user\'s', async () => {
  await cluster.query(`CREATE FUNCTION create_time_partitions(text) RETURNS text LANGUAGE sql AS $$SELECT 'mine: ' || $1$$`);
  try {
    await using opened = openCluster();
    const other = opened.cluster;
    expect(await rowsOf(`SELECT create_time_partitions('x')`, [], other)).toEqual([['mine: x']]);
  } finally {
    await cluster.query('DROP FUNCTION create_time_partitions(text)');
  }
});
