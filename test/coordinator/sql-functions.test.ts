import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, startCluster } from './start-cluster.ts';

let pair: ClusterAndPlain;
let cluster: Cluster;
beforeAll(async () => {
  pair = await startCluster();
  cluster = pair.cluster;
  await cluster.query('CREATE TABLE a (k bigint PRIMARY KEY); CREATE TABLE b (k bigint PRIMARY KEY); CREATE TABLE c (k bigint PRIMARY KEY); CREATE TABLE d (k bigint PRIMARY KEY)');
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

const tableOf = async (name: string) => (await cluster.tables()).find((table) => table.name === name);

test('create_distributed_table by position, with names, and with parameters', async () => {
  const { rows, fields, command, rowCount } = await cluster.query(`SELECT create_distributed_table('a', 'k')`);
  expect({ rows, command, rowCount }).toEqual({ rows: [{ create_distributed_table: '' }], command: 'SELECT', rowCount: 1 });
  expect(fields).toMatchObject([{ name: 'create_distributed_table', dataTypeID: 2278, dataTypeSize: 4, dataTypeModifier: -1 }]);
  await cluster.query(`SELECT create_distributed_table(distribution_column => 'k', table_name => 'b', shard_count := 5, colocate_with => 'none')`);
  await cluster.query('SELECT create_distributed_table($1, $2, colocate_with => $3)', ['public.c', 'k', 'b']);
  expect(await tableOf('a')).toMatchObject({ shardCount: 32 });
  expect(await tableOf('b')).toMatchObject({ shardCount: 5 });
  expect((await tableOf('c'))?.colocationId).toBe((await tableOf('b'))?.colocationId);
  await cluster.query('SELECT undistribute_table($1) AS done', ['c']);
  expect(await tableOf('c')).toBe(undefined);
});

test('get_shard_id_for_distribution_column', async () => {
  const { rows, fields } = await cluster.query(`SELECT get_shard_id_for_distribution_column('orders', 5)`);
  expect(rows).toEqual([{ get_shard_id_for_distribution_column: String((await cluster.shardOf('orders', 5)).shardId) }]);
  expect(fields).toMatchObject([{ dataTypeID: 20, dataTypeSize: 8 }]);
  expect((await cluster.query({ text: 'SELECT get_shard_id_for_distribution_column($1, distribution_value => $2) AS s', values: ['orders', '5'], rowMode: 'array' })).rows).toEqual([[String((await cluster.shardOf('orders', 5)).shardId)]]);
});

test('create_reference_table, and nodes by their functions', async () => {
  await cluster.query(`SELECT create_reference_table('d')`);
  expect(await tableOf('d')).toMatchObject({ kind: 'reference' });
  const [node] = pair.databases.nodes;
  await expect(cluster.query('SELECT citus_add_node($1, $2)', [node?.host, node?.port])).rejects.toMatchObject({ code: '3D000' });
  await expect(cluster.query(`SELECT citus_remove_node('nowhere.invalid', 5432)`)).rejects.toMatchObject({ id: 'undefinedNode' });
});

test.each([
  ['an unknown argument', `SELECT create_distributed_table('a', 'k', shards => 3)`, '42883'],
  ['too many arguments', `SELECT create_reference_table('a', 'b')`, '42883'],
  ['too few arguments', `SELECT create_distributed_table('a')`, '42883'],
  ['an argument given twice', `SELECT create_distributed_table('a', 'k', table_name => 'a')`, '42883'],
  ['an unknown table', `SELECT create_distributed_table('nothing', 'k')`, '42P01'],
  ['an unknown column', `SELECT create_distributed_table('notes', 'nothing')`, '42703'],
  ['a table distributed already', `SELECT create_distributed_table('orders', 'tenant_id')`, '42P16'],
  ['another way of distributing', `SELECT create_distributed_table('notes', 'id', 'range')`, '22023'],
  ['a shard count that is no number', `SELECT create_distributed_table('notes', 'id', shard_count => 'many')`, '22023'],
])('%s', async (_, text, code) => {
  await expect(cluster.query(text)).rejects.toMatchObject({ code });
});

test('not in a block', async () => {
  const client = await cluster.connect();
  try {
    await client.query('BEGIN');
    await expect(client.query(`SELECT undistribute_table('orders')`)).rejects.toMatchObject({ code: '25001' });
    await client.query('ROLLBACK');
  } finally {
    client.release();
  }
});

test('a stale process never reads an empty shell, nor writes what it read there', async () => {
  const other = pair.another();
  await other.query('CREATE TABLE copies (n bigint)');
  for (let i = 0; i < 4; i += 1) {
    await cluster.query(`CREATE TABLE moved${i} (k int PRIMARY KEY)`);
    await cluster.query(`INSERT INTO moved${i} SELECT generate_series(1, 100)`);
    const count = `SELECT count(*)::int AS n FROM moved${i}`;
    const session = await other.connect();
    try {
      await session.query('BEGIN');
      const changing = cluster.createDistributedTable(`moved${i}`, 'k', { shardCount: 4 });
      const progress = { over: false };
      const changed = changing.then(() => (progress.over = true));
      while (!progress.over) {
        expect((await other.query(count)).rows).toEqual([{ n: 100 }]);
        await other.query(`INSERT INTO copies SELECT count(*) FROM moved${i}`).catch((error: { code: string }) => expect(['0A000', '42P01']).toContain(error.code));
      }
      await changed;
      const inBlock = await session.query(count).then(({ rows }) => rows, (error: { code: string }) => error.code);
      expect(['42P01', JSON.stringify([{ n: 100 }])]).toContain(typeof inBlock === 'string' ? inBlock : JSON.stringify(inBlock));
    } finally {
      session.release();
    }
  }
  expect((await other.query('SELECT n FROM copies WHERE n <> 100')).rows).toEqual([]);
});

test('a table that one cluster object distributes is known to another', async () => {
  const other = pair.another();
  await cluster.query('CREATE TABLE shared (k int PRIMARY KEY)');
  await cluster.query('INSERT INTO shared SELECT generate_series(1, 100)');
  expect((await other.query('SELECT count(*)::int AS n FROM shared')).rows).toEqual([{ n: 100 }]);
  await cluster.createDistributedTable('shared', 'k');
  expect((await other.query('SELECT count(*)::int AS n FROM shared')).rows).toEqual([{ n: 100 }]);
  await other.query('INSERT INTO shared VALUES (101)');
  expect((await cluster.query('SELECT k FROM shared WHERE k = 101')).rows).toEqual([{ k: 101 }]);
  await cluster.undistributeTable('shared');
  expect((await other.query('SELECT count(*)::int AS n FROM shared')).rows).toEqual([{ n: 101 }]);
});
