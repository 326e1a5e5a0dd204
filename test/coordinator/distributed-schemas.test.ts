import { afterAll, beforeAll, expect, test } from 'vitest';
import { present } from '../../src/base/assert.ts';
import type { Cluster, ClusterClient, SchemaInfo } from '../../src/index.ts';
import { type ClusterAndPlain, run, startCluster } from './start-cluster.ts';

let pair: ClusterAndPlain;
let cluster: Cluster;
beforeAll(async () => {
  pair = await startCluster();
  cluster = pair.cluster;
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

const tables = `
CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE, country text REFERENCES public.countries);
CREATE TABLE posts (id serial PRIMARY KEY, author int NOT NULL REFERENCES users ON DELETE CASCADE, title text NOT NULL, at timestamptz DEFAULT now());
CREATE INDEX ON posts (title)`;
const rows = `INSERT INTO users (email, country) VALUES ('a@x', 'de'), ('b@x', 'fr'), ('c@x', NULL); INSERT INTO posts (author, title) SELECT 1 + i % 3, 'title ' || i FROM generate_series(1, 30) i`;

async function inSession<T>(pool: Pick<Cluster, 'connect'>, work: (client: ClusterClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    return await work(client);
  } finally {
    client.release(true);
  }
}

/** Past the library. */
const psql = (text: string): Promise<void> => run(pair.databases.coordinator.connectionString, text);

const infoOf = async (name: string): Promise<SchemaInfo | undefined> => (await cluster.schemas()).find((schema) => schema.name === name);
const clean = async (): Promise<void> => {
  expect((await cluster.checkSchema()).text).toMatch(/no differences/);
  expect((await cluster.verify()).text).toMatch(/no differences/);
};
const count = async (table: string): Promise<number> => (await cluster.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`)).rows[0]?.n ?? -1;

test('a tenant\'s schema: its search_path is all that a session needs', async () => {
  await cluster.createDistributedSchema('tenant_1');
  await pair.plain.query('CREATE SCHEMA tenant_1');
  const steps = [
    'SET search_path TO tenant_1', ...tables.split(';'), ...rows.split(';'), 'SELECT email, count(*) FROM users JOIN posts ON author = users.id GROUP BY GROUPING SETS ((email), ()) ORDER BY 1',
    `UPDATE users SET email = 'b@x' WHERE id = 1`, `DELETE FROM users WHERE id = 2`, 'SELECT count(*) FROM posts', 'BEGIN', `INSERT INTO posts (author, title) VALUES (3, 'in a block') RETURNING id`, 'ALTER TABLE posts ADD score int DEFAULT 5', 'CREATE TABLE tags (post int REFERENCES posts, tag text)',
    `INSERT INTO tags SELECT id, 't' FROM posts WHERE id < 9`, 'COMMIT', 'SELECT sum(score), (SELECT count(*) FROM tags) FROM posts', 'BEGIN', 'CREATE TABLE undone (id int)', 'INSERT INTO undone VALUES (1)', 'ROLLBACK', 'SELECT * FROM undone', 'DROP TABLE tags', 'SELECT name FROM public.countries ORDER BY 1',
  ];
  const runAll = (pool: Pick<Cluster, 'connect'>): Promise<unknown[]> => inSession(pool, async (client) => {
    const got: unknown[] = [];
    for (const step of steps) {
      got.push(await client.query({ text: step, rowMode: 'array' }).then(({ command, rowCount, rows: found }) => [step, command, rowCount, found], ({ code, constraint }: { code?: string; constraint?: string }) => [step, code, constraint]));
    }
    return got;
  });
  expect(await runAll(cluster)).toEqual(await runAll(pair.plain as never));
  expect(await infoOf('tenant_1')).toMatchObject({ tables: ['posts', 'users'] });
  const explained = await inSession(cluster, async (client) => {
    await client.query('SET search_path TO tenant_1');
    return (await client.query({ text: 'EXPLAIN SELECT title, rank() OVER (ORDER BY title) FROM posts JOIN users ON author = users.id', rowMode: 'array' })).rows;
  });
  expect(explained[0]).toEqual(['Router']);
  await clean();
});

test('schemas go round the nodes; one that has tables keeps their rows', async () => {
  await cluster.query(`CREATE SCHEMA "Tenant 2"; SET search_path TO "Tenant 2"; ${tables}; ${rows}; CREATE TABLE logs (at date) PARTITION BY RANGE (at); CREATE TABLE logs_1 PARTITION OF logs DEFAULT; INSERT INTO logs VALUES ('2024-01-01');
    CREATE TABLE loop (id int PRIMARY KEY, next int REFERENCES loop); INSERT INTO loop VALUES (1, NULL), (2, 1); RESET search_path`.replace('REFERENCES public.countries', ''));
  await cluster.query(`SELECT citus_schema_distribute('"Tenant 2"')`);
  await cluster.createDistributedSchema('tenant_3');
  expect(new Set((await cluster.schemas()).map(({ nodeId }) => nodeId)).size).toBe(3);
  expect(await infoOf('Tenant 2')).toMatchObject({ tables: ['logs', 'logs_1', 'loop', 'posts', 'users'] });
  expect([await count('"Tenant 2".posts'), await count('"Tenant 2".users'), await count('"Tenant 2".logs'), await count('"Tenant 2".loop'), await count('ONLY "Tenant 2".logs_1')]).toEqual([30, 3, 1, 2, 1]);
  await expect(cluster.query(`DELETE FROM "Tenant 2".loop WHERE id = 1`)).rejects.toMatchObject({ code: '23503' });
  await clean();
});

test('CREATE SCHEMA distributes where the session, or the cluster, asks for it', async () => {
  await inSession(cluster, async (client) => {
    await client.query(`SET citus.enable_schema_based_sharding TO on; CREATE SCHEMA made_1; CREATE SCHEMA made_2 CREATE TABLE a (id int PRIMARY KEY) CREATE TABLE b (a int REFERENCES a); CREATE SCHEMA IF NOT EXISTS other_1`);
    await client.query('BEGIN; CREATE SCHEMA made_3; CREATE TABLE made_3.t (id int); INSERT INTO made_3.t VALUES (1), (2); COMMIT; BEGIN; CREATE SCHEMA made_4; ROLLBACK');
    await client.query('SET citus.enable_schema_based_sharding TO off; CREATE SCHEMA plain_1');
  });
  await pair.another({ enableSchemaBasedSharding: true }).query('CREATE SCHEMA made_5');
  await cluster.query('CREATE SCHEMA plain_2');
  expect((await cluster.schemas()).map(({ name }) => name).filter((name) => /^(made|plain|other)/.test(name))).toEqual(['made_1', 'made_2', 'made_3', 'made_5', 'other_1']);
  expect(await infoOf('made_2')).toMatchObject({ tables: ['a', 'b'] });
  expect(await count('made_3.t')).toBe(2);
  await clean();
});

test('it moves as one, under writes', async () => {
  const { nodeId } = present(await infoOf('tenant_1'));
  const to = 1 + (nodeId % 3);
  const moved = new AbortController();
  const writing = (async (): Promise<number> => {
    let written = 0;
    for (; !moved.signal.aborted; written += 1) await cluster.query(`INSERT INTO tenant_1.posts (author, title) VALUES (1, 'moving')`);
    return written;
  })();
  await cluster.moveSchema('tenant_1', { to });
  moved.abort();
  const written = await writing;
  expect(await infoOf('tenant_1')).toMatchObject({ nodeId: to, tables: ['posts', 'users'] });
  expect((await cluster.query(`SELECT count(*)::int AS n FROM tenant_1.posts WHERE title = 'moving'`)).rows).toEqual([{ n: written }]);
  await clean();
});

test('an empty one moves, too, and stands in the way of nothing', async () => {
  await cluster.createDistributedSchema('empty');
  const { nodeId } = present(await infoOf('empty'));
  expect(await cluster.moveSchema('empty', { to: 1 + (nodeId % 3) })).toMatchObject({ jobId: undefined, from: nodeId, to: 1 + (nodeId % 3) });
  expect(await infoOf('empty')).toMatchObject({ nodeId: 1 + (nodeId % 3) });
  expect(await cluster.rebalancePlan({ strategy: 'by_shard_count', threshold: 0 })).not.toContainEqual(expect.objectContaining({ shardGroupId: present(await infoOf('empty')).shardGroupId }));
  await cluster.query('CREATE TABLE empty.t (id int)');
  await expect(cluster.query(`SELECT citus_schema_move('empty', 'nowhere', 1)`)).rejects.toMatchObject({ id: 'undefinedNode' });
  await cluster.query('DROP TABLE empty.t');
  expect(await infoOf('empty')).toMatchObject({ tables: [] });
});

test('tables come into it from elsewhere, with their rows', async () => {
  await cluster.query(`CREATE TABLE stray (id int PRIMARY KEY); INSERT INTO stray VALUES (1), (2); ALTER TABLE stray SET SCHEMA empty; DO $$ BEGIN CREATE TABLE empty.by_block (id int); END $$`);
  expect(await infoOf('empty')).toMatchObject({ tables: ['by_block', 'stray'] });
  expect(await count('empty.stray')).toBe(2);
  await clean();
});

test('one that psql has made there becomes one of it with the next', async () => {
  await psql('CREATE TABLE empty.past (id int); INSERT INTO empty.past VALUES (7)');
  expect(await count('empty.past')).toBe(1);
  expect((await cluster.checkSchema()).differences).toMatchObject([{ schema: 'empty', table: 'past', found: 'a local table' }]);
  await cluster.query('CREATE TABLE empty.next (id int)');
  expect(await infoOf('empty')).toMatchObject({ tables: ['by_block', 'next', 'past', 'stray'] });
  expect(await count('empty.past')).toBe(1);
});

test('renamed, made ordinary again, dropped', async () => {
  await cluster.query('ALTER SCHEMA empty RENAME TO full_1');
  expect(await infoOf('full_1')).toMatchObject({ tables: ['by_block', 'next', 'past', 'stray'] });
  await cluster.query('CREATE TABLE full_1.child (id int REFERENCES full_1.stray)');
  await cluster.query('INSERT INTO full_1.child VALUES (2)');
  await cluster.undistributeSchema('full_1');
  expect([await infoOf('full_1'), await count('full_1.child'), await count('full_1.stray')]).toEqual([undefined, 1, 2]);
  expect((await cluster.tables()).filter(({ schema }) => schema === 'full_1')).toEqual([]);
  await expect(cluster.query('INSERT INTO full_1.child VALUES (9)')).rejects.toMatchObject({ code: '23503' });
  // A table that was lost before is in nobody's way, and a type of the schema is in a table of another.
  await cluster.query('CREATE TYPE made_2.mood AS ENUM ($$a$$); CREATE TABLE feeling (id int, mood made_2.mood); CREATE TABLE gone (id int)');
  for (const table of ['feeling', 'gone']) await cluster.createDistributedTable(table, 'id');
  await psql('DROP TABLE gone');
  const old = await cluster.shardOf('feeling', 1);
  await cluster.query('DROP SCHEMA made_2 CASCADE; DROP SCHEMA made_5');
  expect((await cluster.query('SELECT * FROM feeling')).fields.map(({ name }) => name)).toEqual(['id']);
  // Who plans by the old columns must find no shard.
  expect((await cluster.shardOf('feeling', 1)).name).not.toBe(old.name);
  for (let round = 0; round < 2; round += 1) {
    const { coordinator, nodes } = pair.databases;
    for (const { repair, node } of (await cluster.checkSchema()).differences) {
      const server = [coordinator, ...nodes].find(({ host, port, database }) => node === `${host}:${port}/${database}`);
      await run(present(server).connectionString, repair);
    }
  }
  expect(await infoOf('made_2')).toBe(undefined);
  expect((await cluster.query(`SELECT count(*)::int AS n FROM shardwright.colocation_group g WHERE distribution_type IS NULL AND colocation_id NOT IN (SELECT colocation_id FROM shardwright.distributed_schema)`)).rows).toEqual([{ n: 0 }]);
  expect((await cluster.query('SELECT count(*)::int AS n FROM shardwright.distributed_schema')).rows).toEqual([{ n: (await cluster.schemas()).length }]);
  await clean();
});

test.each<[what: string, text: string, fields: object]>([
  ['a foreign key to another schema\'s table', 'CREATE TABLE tenant_1.bad (tenant_id bigint, id int, FOREIGN KEY (tenant_id, id) REFERENCES orders)', { id: 'unsupportedTable', message: expect.stringContaining('not co-located') as string }],
  ['to another tenant\'s', 'CREATE TABLE tenant_1.bad (id int REFERENCES "Tenant 2".posts)', { id: 'unsupportedTable', message: expect.stringContaining('not co-located') as string }],
  ['to a local table', 'CREATE TABLE tenant_1.bad (id int REFERENCES notes)', { id: 'unsupportedTable', message: expect.stringContaining('local table') as string }],
  ['another kind of table', `SELECT create_reference_table('tenant_1.users')`, { id: 'alreadyDistributed' }],
  ['an altered table', `SELECT alter_distributed_table('tenant_1.users', distribution_column => 'id')`, { id: 'unsupportedTable', message: expect.stringContaining('schema "tenant_1" is distributed') as string }],
  ['a table alone', `SELECT undistribute_table('tenant_1.users')`, { id: 'unsupportedTable', message: expect.stringContaining('schema "tenant_1" is distributed') as string }],
  ['a table that leaves', 'ALTER TABLE tenant_1.users SET SCHEMA public', { id: 'unsupportedDdl' }],
  ['a distributed table that comes', 'ALTER TABLE items SET SCHEMA tenant_1', { id: 'unsupportedDdl' }],
  ['a table from elsewhere beside its own', `CREATE TABLE beside (id int); SELECT create_distributed_table('beside', NULL, colocate_with => 'tenant_1.users')`, { id: 'unsupportedTable', message: expect.stringContaining('distributed schema "tenant_1"') as string }],
  ['a schema twice', `SELECT citus_schema_distribute('tenant_1')`, { id: 'alreadyDistributed' }],
  ['public', `SELECT citus_schema_distribute('public')`, { id: 'invalidParameter' }],
  ['the catalog', `SELECT citus_schema_distribute('shardwright')`, { id: 'invalidParameter' }],
  ['one that is not there', `SELECT citus_schema_distribute('nowhere')`, { code: '3F000' }],
  ['an ordinary one made ordinary', `SELECT citus_schema_undistribute('plain_1')`, { id: 'notDistributed' }],
  ['a schema with tables that are distributed', `CREATE SCHEMA mixed; CREATE TABLE mixed.t (id int); SELECT create_distributed_table('mixed.t', 'id'); SELECT citus_schema_distribute('mixed')`, { id: 'alreadyDistributed' }],
])('refused: %s', async (_what, text, fields) => {
  for (const statement of text.split('; ').slice(0, -1)) await cluster.query(statement);
  await expect(cluster.query(text.split('; ').at(-1) ?? '')).rejects.toMatchObject(fields);
  expect((await cluster.query(`SELECT pg_catalog.to_regclass('tenant_1.bad') AS bad`)).rows).toEqual([{ bad: null }]);
});

test('made ordinary with reference tables it points to, and distributed again', async () => {
  const users = 'SELECT * FROM tenant_1.users ORDER BY id';
  const { rows } = await cluster.query(users);
  expect(rows).not.toHaveLength(0);
  for (const change of ['undistribute', 'distribute']) {
    await cluster.query(`SELECT citus_schema_${change}('tenant_1')`);
    expect((await cluster.query(users)).rows).toEqual(rows);
    await expect(cluster.query(`INSERT INTO tenant_1.users (email, country) VALUES ('d@x', 'xx')`)).rejects.toMatchObject({ code: '23503' });
    await expect(cluster.query(`DELETE FROM countries WHERE code IN (SELECT country FROM tenant_1.users)`)).rejects.toMatchObject({ code: '23503' });
    expect((await cluster.verify()).differences).toEqual([]);
  }
});
