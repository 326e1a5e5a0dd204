import { expect, test } from 'vitest';
import { distributionType } from '../../src/catalog/hash/distribution-type.ts';
import { createDistributedTable } from '../../src/ddl/create-distributed-table.ts';
import { createReferenceTable } from '../../src/ddl/create-reference-table.ts';
import { rowsOf, shardsOf } from './shards-of.ts';
import { openTestCluster, type TestCluster } from './test-cluster.ts';

test.each([15, 18] as const)('an empty table on version %i: one shard per slice, round the nodes', async (major) => {
  await using cluster = await openTestCluster({ major });
  await cluster.sql('CREATE TABLE orders (tenant bigint, id bigserial, PRIMARY KEY (tenant, id))');
  await createDistributedTable(cluster.context, 'orders', 'tenant');
  expect(await cluster.table('orders')).toMatchObject({ kind: 'distributed', distributionColumn: { name: 'tenant' } });
  const shards = await shardsOf(cluster, 'orders');
  expect(shards.map(({ node }) => node)).toEqual(Array.from({ length: 32 }, (_, i) => (i % 3) + 1));
  expect(shards[0]?.name).toBe('orders_102008');
  expect(await cluster.onNode(0, `SELECT count(*)::int FROM pg_tables WHERE tablename ~ '^orders_1020'`)).toEqual([[11]]);
});

/** Each with values that a sloppy hand-over would change. */
const typedValues: Readonly<Record<string, string>> = {
  bigint: `(g - 200) * 9007199254740993::bigint`,
  text: `E'tab\\t nl\\n \\\\ é😀 ' || g`,
  'varchar(9)': `'v' || g`,
  'char(6)': `'c' || g`,
  uuid: `md5(g::text)::uuid`,
  'numeric(20,4)': `g / 8.0`,
  timestamptz: `timestamptz '2000-01-01 00:00:00.000001+05:30' + g * interval '1 day'`,
  date: `date '0044-03-15 BC' + g`,
  bytea: `decode(md5(g::text), 'hex')`,
  'double precision': `g / 3.0::float8`,
};

const cases = Object.keys(typedValues).flatMap((type) => (['postgres', 'murmur3'] as const).map((hash) => ({ type, hash })));

test('rows go where their hash says, for each type and hash', async () => {
  await using cluster = await openTestCluster({ nodes: 2 });
  await cluster.sql(`SET timezone = 'Asia/Kolkata'`);
  for (const [i, { type, hash }] of cases.entries()) {
    const name = `t${i}`;
    await cluster.sql(`CREATE TABLE ${name} (id int, k ${type}); INSERT INTO ${name} SELECT g, ${typedValues[type]} FROM generate_series(1, 300) g`);
    const before = (await cluster.sql(`SET timezone = 'UTC'; SELECT t::text FROM ${name} t`)).map(String).sort();
    await createDistributedTable(cluster.context, name, 'k', { hash, shardCount: 5 });
    expect(await rowsOf(cluster, name), `${type} by ${hash}`).toEqual(before);
    await expectPlaced(cluster, name, hash);
  }
});

/** By the library's own hash; the server's is checked by the constraint of the family postgres. */
async function expectPlaced(cluster: TestCluster, name: string, hash: 'postgres' | 'murmur3'): Promise<void> {
  const [[typeName]] = (await cluster.sql(`SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = '${name}'::regclass AND attname = 'k'`)) as [[string]];
  for (const { node, sql, min, max } of await shardsOf(cluster, name)) {
    for (const [value] of await cluster.onNodeId(node, `SET timezone = 'UTC'; SELECT k::text FROM ${sql}`)) {
      const placed = distributionType(typeName)?.hashOf(value, hash, { timeZone: 'UTC' });
      expect(placed).toBeGreaterThanOrEqual(min);
      expect(placed).toBeLessThanOrEqual(max);
    }
    const constraints = await cluster.onNodeId(node, `SELECT conname, convalidated FROM pg_constraint WHERE conrelid = '${sql}'::regclass AND contype = 'c'`);
    expect(constraints).toEqual(hash === 'postgres' ? [[expect.stringMatching(/^shardwright_hash_/), true]] : []);
  }
}

test('many rows, one shard and many', async () => {
  await using cluster = await openTestCluster({ nodes: 2 });
  for (const shardCount of [1, 40]) {
    const name = `many${shardCount}`;
    await cluster.sql(`CREATE TABLE ${name} (k bigint, filler text); INSERT INTO ${name} SELECT g, repeat('x', (g % 900)::int) FROM generate_series(1, 60000) g`);
    await createDistributedTable(cluster.context, name, 'k', { shardCount });
    let sum = 0n;
    let length = 0;
    for (const { node, sql } of await shardsOf(cluster, name)) {
      const [[keys, bytes]] = (await cluster.onNodeId(node, `SELECT coalesce(sum(k), 0)::text, coalesce(sum(length(filler)), 0)::int FROM ${sql}`)) as [[string, number]];
      sum += BigInt(keys);
      length += bytes;
    }
    expect([sum, length]).toEqual([(60000n * 60001n) / 2n, fillerLength(60000)]);
  }
});

function fillerLength(rows: number): number {
  let length = 0;
  for (let row = 1; row <= rows; row += 1) length += row % 900;
  return length;
}

test('odd names: mixed case, quotes, Unicode, 63 bytes, two schemas', async () => {
  await using cluster = await openTestCluster({ nodes: 2 });
  const long = 'ä'.repeat(31) + 'x';
  const names = ['Mixed Case', 'select', 'a"b', long, 'x'.repeat(63), '😀.*', `it's`, '102008'];
  await cluster.sql('CREATE SCHEMA "S.2"');
  for (const schema of ['public', 'S.2']) {
    for (const name of names) {
      const quoted = `"${schema}"."${name.replaceAll('"', '""')}"`;
      const column = `"${name.replaceAll('"', '""')}"`;
      await cluster.sql(`CREATE TABLE ${quoted} (${column} int PRIMARY KEY, v text CHECK (v <> '')); CREATE INDEX ON ${quoted} (v);
        INSERT INTO ${quoted} SELECT g, 'v' || g FROM generate_series(1, 20) g`);
      await createDistributedTable(cluster.context, quoted, name, { shardCount: 2 });
      expect(await rowsOf(cluster, name, schema)).toHaveLength(20);
      const table = await cluster.table(name, schema);
      expect(table).toMatchObject({ kind: 'distributed', distributionColumn: { name } });
    }
  }
});

test('names are read under the search path given', async () => {
  await using cluster = await openTestCluster({ nodes: 1 });
  await cluster.sql('CREATE SCHEMA s; CREATE TABLE s.t (k int); CREATE TABLE public.t (k int)');
  await createDistributedTable({ ...cluster.context, searchPath: ['s', 'public'] }, 't', 'K', { shardCount: 1 });
  await expect(cluster.table('t', 's')).resolves.toMatchObject({ kind: 'distributed' });
  await expect(cluster.table('t')).rejects.toThrow('table t is missing');
});

test('colocation: by default with the same type, count and hash; with a table; with none', async () => {
  await using cluster = await openTestCluster({ nodes: 2 });
  const group = async (name: string, type: string, options = {}): Promise<unknown> => {
    await cluster.sql(`CREATE TABLE ${name} (k ${type})`);
    await createDistributedTable(cluster.context, name, 'k', { shardCount: 2, ...options });
    const table = await cluster.table(name);
    return table.kind === 'distributed' ? table.colocationId : undefined;
  };
  const first = await group('a', 'int');
  expect(await group('b', 'int')).toBe(first);
  const others = [
    await group('c', 'bigint'),
    await group('d', 'int', { shardCount: 3 }),
    await group('e', 'int', { hash: 'murmur3' }),
    await group('f', 'int', { colocateWith: 'none' }),
  ];
  expect(new Set([first, ...others]).size).toBe(5);
  expect(await group('g', 'int', { colocateWith: 'f' })).toBe(others[3]);
  expect(await group('h', 'int', { colocateWith: 'e', shardCount: undefined })).toBe(others[2]);
  expect(await group('i', 'varchar(3)')).toBe(await group('j', 'varchar(5)'));
  expect(await group('k', 'int')).toBe(first);
});

test('two processes distribute one table: one wins', async () => {
  await using cluster = await openTestCluster({ nodes: 2 });
  await cluster.sql('CREATE TABLE t (k int); INSERT INTO t SELECT generate_series(1, 1000)');
  const contexts = [cluster.context, cluster.newContext(), cluster.newContext()];
  const outcomes = await Promise.allSettled(contexts.map((context) => createDistributedTable(context, 't', 'k', { shardCount: 4 })));
  const lost = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as { id: string }] : []));
  expect(lost.map(({ id }) => id)).toEqual(['alreadyDistributed', 'alreadyDistributed']);
  expect(await rowsOf(cluster, 't')).toHaveLength(1000);
});

test('different tables side by side, the first of a new schema', async () => {
  await using cluster = await openTestCluster({ nodes: 2 });
  const names = ['a', 'b', 'c', 'd'];
  await cluster.sql(`CREATE SCHEMA fresh; ${names.map((name) => `CREATE TABLE fresh.${name} (k int)`).join(';')}`);
  const contexts = names.map(() => cluster.newContext());
  await Promise.all(names.map((name, i) => createDistributedTable(contexts[i] ?? cluster.context, `fresh.${name}`, 'k', { shardCount: 4 })));
  const snapshot = await cluster.snapshot();
  expect([snapshot.tables.size, snapshot.colocationGroups.size]).toEqual([4, 1]);
});

test('a row that a node refuses: nothing is changed anywhere', async () => {
  await using cluster = await openTestCluster({ nodes: 2 });
  await cluster.sql(`CREATE DOMAIN small AS int; CREATE TABLE t (k int, v small); INSERT INTO t SELECT g, g FROM generate_series(1, 5000) g`);
  for (const node of [0, 1]) await cluster.onNode(node, 'CREATE DOMAIN small AS int CHECK (VALUE < 4999)');
  await expect(createDistributedTable(cluster.context, 't', 'k', { shardCount: 3 })).rejects.toMatchObject({ code: '23514' });
  expect(await cluster.sql('SELECT count(*)::int FROM t')).toEqual([[5000]]);
  for (const node of [0, 1]) expect(await cluster.onNode(node, `SELECT relname FROM pg_class WHERE relname ~ '^t_1'`)).toEqual([]);
  expect((await cluster.snapshot()).tables.size).toBe(0);
});

test.each(['before_prepare', 'prepared', 'before_decision'] as const)('a commit that fails at %s: nothing is changed anywhere', async (failing) => {
  await using cluster = await openTestCluster({ nodes: 2 });
  await cluster.sql('CREATE TABLE t (k int); INSERT INTO t VALUES (1), (2)');
  const context = cluster.newContext((step) => {
    if (step === failing) throw new Error('power cut');
  });
  await expect(createDistributedTable(context, 't', 'k', { shardCount: 3 })).rejects.toThrow('power cut');
  expect(await cluster.sql('SELECT k FROM t ORDER BY k')).toEqual([[1], [2]]);
  for (const node of [0, 1]) expect(await cluster.onNode(node, `SELECT relname FROM pg_class WHERE relname ~ '^t_1'`)).toEqual([]);
  await createDistributedTable(cluster.context, 't', 'k', { shardCount: 3 });
  expect(await rowsOf(cluster, 't')).toEqual(['(1)', '(2)']);
});

test('an aborted call gives up waiting for the lock, and changes nothing', async () => {
  await using cluster = await openTestCluster({ nodes: 1 });
  await cluster.sql('CREATE TABLE t (k int)');
  await cluster.sql('BEGIN; LOCK TABLE t IN SHARE MODE');
  const abort = new AbortController();
  const call = createDistributedTable(cluster.context, 't', 'k', { signal: abort.signal });
  const outcome = expect(call).rejects.toMatchObject({ id: 'canceled' });
  const waiting = `SELECT FROM pg_locks WHERE relation = 't'::regclass AND NOT granted`;
  while ((await cluster.sql(waiting)).length === 0);
  abort.abort();
  await outcome;
  await cluster.sql('COMMIT');
  expect((await cluster.snapshot()).tables.size).toBe(0);
});

test('the shell takes no rows, and its sequence goes on', async () => {
  await using cluster = await openTestCluster({ nodes: 1 });
  await cluster.sql('CREATE TABLE t (k int, id bigserial); INSERT INTO t VALUES (1), (2), (3)');
  await createDistributedTable(cluster.context, 't', 'k', { shardCount: 2 });
  await expect(cluster.sql('INSERT INTO t VALUES (4)')).rejects.toMatchObject({ code: '42P01', table: 't' });
  await expect(cluster.sql('TRUNCATE t')).rejects.toMatchObject({ code: '42P01' });
  // One value went to the row that was refused.
  expect(await cluster.sql(`SELECT nextval('t_id_seq')::int`)).toEqual([[5]]);
  expect(await cluster.table('t')).toMatchObject({ columns: [{}, { default: { kind: 'sequence', sequence: 'public.t_id_seq' } }] });
});

test('the tables of the multi-tenant tutorial: made with their foreign keys, then distributed one by one', async () => {
  await using cluster = await openTestCluster({ nodes: 2 });
  await cluster.sql(`
    CREATE TABLE country (code text PRIMARY KEY);
    CREATE TABLE company (id bigint PRIMARY KEY, country text REFERENCES country);
    CREATE TABLE campaign (company_id bigint REFERENCES company, id bigint, PRIMARY KEY (company_id, id));
    CREATE TABLE ad (company_id bigint REFERENCES company, campaign_id bigint, id bigint, PRIMARY KEY (company_id, id),
      FOREIGN KEY (company_id, campaign_id) REFERENCES campaign ON DELETE CASCADE);
    INSERT INTO country VALUES ('aa')`);
  await createReferenceTable(cluster.context, 'country');
  await createDistributedTable(cluster.context, 'company', 'id', { shardCount: 2 });
  await createDistributedTable(cluster.context, 'campaign', 'company_id', { shardCount: 2 });
  await createDistributedTable(cluster.context, 'ad', 'company_id', { shardCount: 2 });
  const [company, campaign, ad] = [await shardsOf(cluster, 'company'), await shardsOf(cluster, 'campaign'), await shardsOf(cluster, 'ad')];
  for (const [i, shard] of ad.entries()) {
    const keys = await cluster.onNodeId(shard.node, `SELECT confrelid::regclass::text FROM pg_constraint WHERE conrelid = '${shard.sql}'::regclass AND contype = 'f' ORDER BY 1`);
    expect(keys).toEqual([[campaign[i]?.name], [company[i]?.name]]);
  }
  const insert = `INSERT INTO ${company[0]?.sql ?? ''} SELECT id, $$zz$$ FROM generate_series(1, 100) id WHERE hashint8(id) < 0`;
  await expect(cluster.onNodeId(company[0]?.node ?? 0, insert)).rejects.toMatchObject({ code: '23503' });
});
