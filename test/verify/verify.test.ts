import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { Cluster, type ShardInfo, type VerifyProgress } from '../../src/index.ts';
import { createTestDatabases, type TestDatabases } from '../support/test-databases.ts';

/** One of each way in which the texts of equal values could differ, or those of different ones be alike. */
const tables = `
CREATE TYPE pair AS (a int, b text);
CREATE TABLE events (tenant bigint, id int, total numeric, note text, twice int GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (tenant, id), UNIQUE NULLS NOT DISTINCT (tenant, note));
CREATE UNIQUE INDEX ON events (tenant, (lower(note) || 'x')) WHERE id > 0;
CREATE TABLE labels (tenant text NOT NULL, note text);
CREATE TABLE parts (tenant bigint, made date, PRIMARY KEY (tenant, made)) PARTITION BY RANGE (made);
CREATE TABLE parts_old PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE parts_new PARTITION OF parts FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE TABLE prices (code text, at timestamptz, total numeric, rate float8, share float4, raw bytea, span interval, pairs pair[], doc jsonb, n bigint NOT NULL DEFAULT 1, zero float4 DEFAULT 0, note text, PRIMARY KEY (code, at));
CREATE TABLE marks (a int, b text)`;

const rows = `
INSERT INTO events SELECT t, i, t + i / 8.0, nullif('note ' || i, 'note 3') FROM generate_series(1, 40) t, generate_series(-2, 4) i;
INSERT INTO labels SELECT 'tenant ' || g % 50, CASE g % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'x' END FROM generate_series(1, 400) g;
INSERT INTO parts SELECT g, '2020-06-01'::date + (g % 2) * 365 FROM generate_series(1, 60) g;
INSERT INTO prices (code, at, total, rate, share, raw, span, pairs, doc, note) SELECT 'c' || g % 7, '2024-01-01 00:00+00'::timestamptz + g * interval '1 h', g / 3.0, g / 3.0, g / 3.0, decode(md5(g::text), 'hex'), g * interval '1 day 2 h',
  ARRAY[ROW(g, NULL), ROW(NULL, 'a,b"c')]::pair[], jsonb_build_object('a', g), CASE WHEN g % 50 = 0 THEN repeat(md5(g::text), 4000) WHEN g % 2 = 0 THEN '' END FROM generate_series(1, 300) g;
INSERT INTO marks VALUES (1, 'x'), (1, 'x'), (2, NULL), (NULL, NULL), (NULL, NULL), (3, ''), (5, 'e'), (5, 'e')`;

let databases: TestDatabases;
let cluster: Cluster;

async function start(major: 15 | 18): Promise<void> {
  databases = await createTestDatabases({ major, nodes: 3 });
  cluster = new Cluster({ connectionString: databases.coordinator.connectionString });
  for (const { host, port, database } of databases.nodes) await cluster.addNode({ host, port, database });
  await cluster.query(tables);
  await cluster.createDistributedTable('events', 'tenant', { shardCount: 6 });
  await cluster.createDistributedTable('labels', 'tenant', { shardCount: 4, hash: 'murmur3' });
  await cluster.createDistributedTable('parts', 'tenant', { colocateWith: 'events' });
  await cluster.createReferenceTable('prices');
  await cluster.createReferenceTable('marks');
  await cluster.query(rows);
  // Whatever sessions are given by the servers: texts must not depend on it.
  const odd = ['SET datestyle = SQL', `SET timezone = 'Asia/Kolkata'`, 'SET bytea_output = escape', 'SET extra_float_digits = -5', 'SET intervalstyle = iso_8601'];
  await onNode(2, odd.map((set) => `ALTER DATABASE ${at(databases.nodes, 1).database} ${set}`).join(';'));
}

async function stop(): Promise<void> {
  await cluster.end();
  await databases.drop();
}

async function onNode(id: number, text: string): Promise<unknown[][]> {
  const client = await new Client(at(databases.nodes, id - 1).connectionString).connect();
  try {
    return [await client.query({ text, rowMode: 'array' })].flat().at(-1)?.rows as unknown[][];
  } finally {
    await client.end();
  }
}

/** Runs statements with a trigger-free, constraint-free shard, as an accident might have. `$s` is the shard. */
async function plant(shard: ShardInfo, text: string): Promise<void> {
  await onNode(shard.nodeId, text.replaceAll('$s', shard.name).replaceAll('$i', String(shard.shardId)));
}

const shardsOf = async (table: string): Promise<ShardInfo[]> => (await cluster.shards()).filter((shard) => shard.table === table);

describe.each([15, 18] as const)('PostgreSQL %i', (major) => {
  beforeAll(() => start(major), 60_000);
  afterAll(stop, 30_000);

  test('rows that are where they belong are said to be', async () => {
    const seen: VerifyProgress[] = [];
    const report = await cluster.verify(undefined, { onProgress: (progress) => seen.push(progress) });
    const shards = 6 + 4 + 2 * 6 + 3 + 3;
    expect(report).toEqual({ differences: [], complete: true, tables: 6, shards, rows: 280 + 400 + 60 + 3 * 300 + 3 * 8, text: `1664 rows in ${shards} shards of 6 tables verified, no differences` });
    expect(seen.at(-1)).toMatchObject({ shardsTotal: shards, shardsDone: shards, rows: 1664 });
    expect(seen.every(({ rows: count }, i) => count >= (seen[i - 1]?.rows ?? 0))).toBe(true);
    expect((await cluster.query(`SELECT shardwright_verify('parts')`)).rows).toEqual([{ shardwright_verify: '60 rows in 6 shards of 1 table verified, no differences' }]);
    await expect(cluster.verify('nothing')).rejects.toMatchObject({ id: 'notDistributed' });
    await expect(cluster.verify('prices', { signal: AbortSignal.abort() })).rejects.toMatchObject({ id: 'canceled' });
  }, 60_000);

  test.each([
    ['events', 'INSERT INTO $s (tenant, id, note) VALUES', `(%t, 9, 'astray')`, '(%t,9)'],
    ['labels', 'INSERT INTO $s VALUES', `('%t', 'astray')`, '(%t,astray)'],
    ['parts_old', 'INSERT INTO $s VALUES', `(%t, '2020-03-03')`, '(%t,2020-03-03)'],
  ])('a row of %s on the wrong shard is found, and where it should be', async (table, insert, values, key) => {
    const shard = at(await shardsOf(table), 1);
    const tenants = Array.from({ length: 30 }, (_, i) => (table === 'labels' ? `t${i}` : String(i)));
    const places = await Promise.all(tenants.map((tenant) => cluster.shardOf(table, tenant)));
    const astray = places.findIndex((place) => place.shardId !== shard.shardId);
    const fill = (text: string): string => text.replace('%t', at(tenants, astray));
    if (table !== 'labels') await plant(shard, 'ALTER TABLE $s DROP CONSTRAINT shardwright_hash_$i CASCADE');
    await plant(shard, `${insert} ${fill(values)}`);
    const { differences, text } = await cluster.verify(table);
    const { node, name } = at(places, astray);
    const shownKey = table === 'labels' ? `("${at(tenants, astray)}",astray)`.replaceAll('"', '') : fill(key);
    expect(differences).toEqual([{ kind: 'misplaced', schema: 'public', table, node: shard.node, shard: shard.name, key: shownKey, belongs: { node, shard: name } }]);
    expect(text).toContain(`key ${shownKey}: misplaced\n  is on:      shard ${shard.name}, node ${shard.node}\n  belongs on: shard ${name}, node ${node}`);
    if (table === 'parts_old') expect((await cluster.verify('parts')).differences).toMatchObject([{ kind: 'misplaced', table: 'parts', key: shownKey }]);
  }, 60_000);

  test.each([
    ['events_pkey', `(%t, 2, 0, 'second')`, 2, '(%t,2)'],
    ['events_tenant_note_key', '(%t, -7, 0, NULL)', 2, '(%t,)'],
    ['events_tenant_expr_idx', `(%t, 7, 0, 'NOTE 2')`, 2, '(%t,"note 2x")'],
  ])('rows that unique index %s let in beside each other are found', async (index, values, count, key) => {
    const shard = at((await shardsOf('events')).filter(({ shardId }) => shardId > 0), 3);
    let tenant = 1;
    while ((await cluster.shardOf('events', tenant)).shardId !== shard.shardId) tenant += 1;
    const name = `${index}_${shard.shardId}`;
    const fill = (text: string): string => text.replace('%t', String(tenant));
    // An index that does not notice what comes.
    await plant(shard, `UPDATE pg_index SET indisready = false WHERE indexrelid = '${name}'::regclass`);
    await plant(shard, `INSERT INTO $s (tenant, id, total, note) VALUES ${fill(values)}`);
    await plant(shard, `UPDATE pg_index SET indisready = true WHERE indexrelid = '${name}'::regclass`);
    const { differences } = await cluster.verify('events');
    expect(differences.filter(({ kind }) => kind === 'duplicate')).toEqual([
      { kind: 'duplicate', schema: 'public', table: 'events', node: shard.node, shard: shard.name, index: name, key: fill(key), rows: count },
    ]);
    await plant(shard, `SET enable_indexscan = off; SET enable_bitmapscan = off; DELETE FROM $s WHERE (id, total) IN ((2, 0), (-7, 0), (7, 0))`);
  }, 60_000);

  test.each([
    ['another value', `UPDATE $s SET total = total + 1 WHERE code = 'c3' AND at = '2024-01-01 03:00+00'`],
    ['an equal number of another scale', `UPDATE $s SET total = 1.0000000000000000000000 WHERE code = 'c3' AND at = '2024-01-01 03:00+00'`],
    ['NULL for the empty text', `UPDATE $s SET note = NULL WHERE code = 'c4' AND at = '2024-01-01 04:00+00'`],
    ['a float of one bit more', `UPDATE $s SET rate = rate + 1e-15 WHERE code = 'c3' AND at = '2024-01-01 03:00+00'`],
    ['a large value of one character', `UPDATE $s SET note = left(note, -1) || '!' WHERE code = 'c1' AND length(note) > 100000 AND at = '2024-01-03 02:00+00'`],
    ['a number whose halves were put together alike', `UPDATE $s SET n = 4294967296 WHERE code = 'c3' AND at = '2024-01-01 03:00+00'`],
    ['the sign of a zero', `UPDATE $s SET zero = '-0' WHERE code = 'c3' AND at = '2024-01-01 03:00+00'`],
    ['a row too few', `DELETE FROM $s WHERE code = 'c3' AND at = '2024-01-01 03:00+00'`],
  ])('copies that differ by %s are found, and what each has', async (_, statement) => {
    const copy = at(await shardsOf('prices'), 2);
    const key = /code = '(\w+)'.*at = '([^']+)'/.exec(statement);
    const before = await onNode(copy.nodeId, `SELECT * FROM ${copy.name} ORDER BY 1, 2`);
    expect(before.length).toBe(300);
    await plant(copy, `CREATE TABLE kept AS SELECT * FROM $s WHERE code = '${key?.[1]}' AND at = '${key?.[2]}'; ${statement}`);
    expect((await onNode(copy.nodeId, 'SELECT * FROM kept')).length).toBe(1);
    const { differences, text } = await cluster.verify('prices');
    await plant(copy, `DELETE FROM $s USING kept k WHERE ($s.code, $s.at) = (k.code, k.at); INSERT INTO $s SELECT * FROM kept; DROP TABLE kept`);
    expect(differences).toMatchObject([{ kind: 'copies_differ', table: 'prices', key: `(${key?.[1]},"${key?.[2]?.replace('+', ':00+')}")` }]);
    const [difference] = differences;
    if (difference?.kind !== 'copies_differ') throw new Error('another kind');
    expect(difference.copies.map(({ node }) => node)).toEqual((await shardsOf('prices')).map(({ node }) => node));
    const [first, second, third] = difference.copies.map((of) => of.rows);
    expect(first).toEqual(second);
    expect(first).toHaveLength(1);
    if (!statement.includes('left(')) expect(third).not.toEqual(first);
    expect(text).toContain('copies differ');
    expect((await cluster.verify('prices')).differences).toEqual([]);
  }, 60_000);

  test('values that were swapped between rows are noticed', async () => {
    const copy = at(await shardsOf('prices'), 1);
    const swap = `UPDATE $s SET rate = (SELECT o.rate FROM $s o WHERE o.at = CASE $s.at WHEN '2024-01-01 05:00+00' THEN '2024-01-01 06:00+00' ELSE '2024-01-01 05:00+00' END::timestamptz)
      WHERE at IN ('2024-01-01 05:00+00', '2024-01-01 06:00+00')`;
    await plant(copy, swap);
    expect((await cluster.verify('prices')).differences.map(({ key }) => key).toSorted()).toEqual(['(c5,"2024-01-01 05:00:00+00")', '(c6,"2024-01-01 06:00:00+00")']);
    await plant(copy, swap);
    expect((await cluster.verify('prices')).differences).toEqual([]);
  }, 60_000);

  test('in a table without a key every row counts, and as often as it is there', async () => {
    const copy = at(await shardsOf('marks'), 0);
    // Twice one row for twice another: count, and any sum that lets pairs cancel out, stay the same.
    await plant(copy, `DELETE FROM $s WHERE a = 1; INSERT INTO $s VALUES (7, 'y'), (7, 'y'); DELETE FROM $s WHERE ctid = (SELECT ctid FROM $s WHERE a = 5 LIMIT 1)`);
    const { differences } = await cluster.verify('marks');
    const found = differences.map((one) => (one.kind === 'copies_differ' ? `${one.key}: ${one.copies.map(({ rows: there }) => there.map(({ count }) => count).join() || '0').join(' ')}` : one.kind));
    expect(found.toSorted()).toEqual(['(1,x): 0 2 2', '(5,e): 1 2 2', '(7,y): 2 0 0']);
    const few = await cluster.verify('marks', { differencesMax: 2 });
    expect(few).toMatchObject({ complete: false, text: expect.stringContaining('at least 2 differences') as string });
    expect(few.differences).toHaveLength(2);
  }, 60_000);
});

describe('beside writes', () => {
  beforeAll(() => start(18), 60_000);
  afterAll(stop, 30_000);

  test('of all kinds nothing is found that is not there', async () => {
    let isOver = false;
    const failures: unknown[] = [];
    const writer = async (number: number): Promise<void> => {
      for (let i = 0; ; i += 1) {
        if (isOver) return;
        const statements = [
          `INSERT INTO prices (code, at, note) VALUES ('w${number}', now() + ${i} * interval '1 s', 'new')`,
          `UPDATE prices SET total = ${i} WHERE code = 'c${i % 7}'`,
          `INSERT INTO marks SELECT ${i}, 'w' FROM generate_series(1, 3)`,
          ...(number === 0 && i % 5 === 0 ? ['TRUNCATE marks'] : []),
          // Of one writer alone: two that exchange rows between nodes may wait for each other.
          ...(number === 1 ? [`UPDATE labels SET tenant = 'tenant ${(i * 7) % 60}' WHERE tenant = 'tenant ${i % 60}'`] : []),
        ];
        for (const statement of statements) await cluster.query(statement).catch((error: unknown) => void (isTransient(error) || failures.push(error)));
      }
    };
    const writers = [writer(0), writer(1)];
    try {
      for (let round = 0; round < 6; round += 1) expect((await cluster.verify()).differences).toEqual([]);
    } finally {
      isOver = true;
      await Promise.all(writers);
    }
    expect(failures).toEqual([]);
  }, 120_000);

  test('a table of many pages is read in parts', async () => {
    await cluster.query('CREATE TABLE wide (id int PRIMARY KEY, filler text); ALTER TABLE wide ALTER filler SET STORAGE PLAIN');
    await cluster.createReferenceTable('wide');
    await cluster.query(`INSERT INTO wide SELECT g, repeat('x', 8000) FROM generate_series(1, 4200) g`);
    const seen: number[] = [];
    const report = await cluster.verify('wide', { onProgress: ({ rows: count }) => seen.push(count) });
    expect(report).toMatchObject({ differences: [], rows: 3 * 4200 });
    expect(seen.some((count) => count > 0 && count < 4200)).toBe(true);
    const copy = at(await shardsOf('wide'), 1);
    await plant(copy, `UPDATE $s SET filler = left(filler, -1) || 'y' WHERE id IN (1, 4200)`);
    expect((await cluster.verify('wide')).differences.map(({ key }) => key).toSorted()).toEqual(['(1)', '(4200)']);
  }, 60_000);
});

/** Writers may wait for each other, which ends one of them, on a busy machine. */
function isTransient(error: unknown): boolean {
  return error instanceof Error && ['40P01', '40001'].includes(String(Reflect.get(error, 'code')));
}
