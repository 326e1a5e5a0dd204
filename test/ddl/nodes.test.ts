import { expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { shardName } from '../../src/catalog/shard-name.ts';
import { createDistributedTable } from '../../src/ddl/create-distributed-table.ts';
import { createReferenceTable } from '../../src/ddl/create-reference-table.ts';
import { removeNode } from '../../src/ddl/remove-node.ts';
import { undistributeTable } from '../../src/ddl/undistribute-table.ts';
import { addressOf, openTestCluster, type TestCluster } from './test-cluster.ts';

test('added twice, by another cluster, with a wrong database, and out of reach: told apart', async () => {
  await using one = await openTestCluster({ nodes: 1 });
  await using other = await openTestCluster({ nodes: 1, added: 0 });
  const node = addressOf(at(one.databases.nodes, 0));
  await expect(one.addNode(node)).rejects.toMatchObject({ id: 'nodeExists', message: expect.stringContaining(`${node.port}/${node.database}`) });
  const alias = { ...node, host: node.host === '127.0.0.1' ? 'localhost' : '127.0.0.1' };
  await expect(one.addNode(alias)).rejects.toMatchObject({ id: 'nodeExists', hint: expect.stringContaining('two addresses') });
  await expect(other.addNode(node)).rejects.toMatchObject({ id: 'nodeOfAnotherCluster', detail: expect.stringContaining('node 1 of cluster') });
  await expect(one.addNode({ ...node, database: 'nowhere' })).rejects.toMatchObject({ code: '3D000' });
  await expect(one.addNode({ ...node, port: 1 })).rejects.toMatchObject({ id: 'nodeUnreachable' });
  expect((await one.snapshot()).nodes).toHaveLength(1);
  expect((await other.snapshot()).nodes).toHaveLength(0);
});

test('the coordinator database itself as a node', async () => {
  await using cluster = await openTestCluster({ nodes: 1 });
  await cluster.addNode(addressOf(cluster.databases.coordinator));
  await cluster.sql(`CREATE TABLE r (k int PRIMARY KEY, v text); INSERT INTO r VALUES (1, 'one');
    CREATE TABLE t (k int REFERENCES r); INSERT INTO t SELECT 1 FROM generate_series(1, 50)`);
  await cluster.sql('ALTER TABLE t DROP CONSTRAINT t_k_fkey');
  await createReferenceTable(cluster.context, 'r');
  await createDistributedTable(cluster.context, 't', 'k', { shardCount: 4 });
  const reference = await cluster.table('r');
  const table = await cluster.table('t');
  const shards = table.kind === 'distributed' ? table.shardIds : [];
  expect(await cluster.sql(`SELECT relname FROM pg_class WHERE relname ~ '^t_\\d+$' ORDER BY 1`)).toEqual([1, 3].map((i) => [shardName('t', at(shards, i))]));
  if (reference.kind === 'reference') expect(await cluster.sql(`SELECT * FROM ${shardName('r', reference.shardId)}`)).toEqual([[1, 'one']]);
  await undistributeTable(cluster.context, 't');
  await undistributeTable(cluster.context, 'r');
  expect(await cluster.sql('SELECT (SELECT count(*)::int FROM t), (SELECT count(*)::int FROM r)')).toEqual([[50, 1]]);
});

async function referenceShard(cluster: TestCluster, name: string): Promise<string> {
  const table = await cluster.table(name);
  if (table.kind !== 'reference') throw new Error(`it is a ${table.kind} table`);
  return shardName(name, table.shardId);
}

test('a new node gets every reference table; writes planned before find no shard', async () => {
  await using cluster = await openTestCluster({ nodes: 3, added: 2 });
  await cluster.sql(`CREATE TABLE base (id int PRIMARY KEY, v text CHECK (v <> '')); INSERT INTO base SELECT g, 'v' || g FROM generate_series(1, 1000) g;
    CREATE TABLE extra (id int REFERENCES base ON DELETE CASCADE, part int, g int GENERATED ALWAYS AS (part * 2) STORED); CREATE INDEX extra_part ON extra (part)`);
  await createReferenceTable(cluster.context, 'base');
  await createReferenceTable(cluster.context, 'extra');
  const before = [await referenceShard(cluster, 'base'), await referenceShard(cluster, 'extra')];
  for (const node of [0, 1]) await cluster.onNode(node, `INSERT INTO ${before[1] ?? ''} SELECT g, g FROM generate_series(1, 10) g`);

  await cluster.addNode(addressOf(at(cluster.databases.nodes, 2)));

  const [base, extra] = [await referenceShard(cluster, 'base'), await referenceShard(cluster, 'extra')];
  expect([base, extra]).not.toEqual(before);
  const facts = `SELECT (SELECT count(*)::int FROM ${base}), (SELECT sum(g)::int FROM ${extra}),
    (SELECT array_agg(x.relname::text ORDER BY x.relname) FROM pg_index i JOIN pg_class x ON x.oid = indexrelid WHERE indrelid IN ('${base}'::regclass, '${extra}'::regclass)),
    (SELECT array_agg(conname || pg_get_constraintdef(oid) ORDER BY conname) FROM pg_constraint WHERE contype <> 'n' AND conrelid IN ('${base}'::regclass, '${extra}'::regclass))`;
  const first = await cluster.onNode(0, facts);
  expect(first[0]?.slice(0, 2)).toEqual([1000, 110]);
  expect(String(first[0]?.[3])).toContain(`REFERENCES ${base}(id)`);
  for (const node of [1, 2]) expect(await cluster.onNode(node, facts)).toEqual(first);
  await expect(cluster.onNode(0, `INSERT INTO ${before[0] ?? ''} VALUES (0, 'x')`)).rejects.toMatchObject({ code: '42P01' });
});

test('a node that has another domain of the same name is refused, which leaves no trace', async () => {
  await using cluster = await openTestCluster({ nodes: 2, added: 1 });
  await cluster.onNode(0, 'CREATE DOMAIN small AS int');
  await cluster.sql('CREATE DOMAIN small AS int; CREATE TABLE r (k small); INSERT INTO r VALUES (5)');
  await createReferenceTable(cluster.context, 'r');
  const shard = await referenceShard(cluster, 'r');
  await cluster.onNode(1, 'CREATE DOMAIN small AS int CHECK (VALUE < 5)');
  const second = addressOf(at(cluster.databases.nodes, 1));
  await expect(cluster.addNode(second)).rejects.toMatchObject({ id: 'unsupportedNode', message: expect.stringContaining('another type public.small') });
  expect(await referenceShard(cluster, 'r')).toBe(shard);
  expect(await cluster.onNode(1, `SELECT to_regclass('shardwright.node_identity') IS NULL`)).toEqual([[true]]);
  await cluster.onNode(1, 'ALTER DOMAIN small DROP CONSTRAINT small_check');
  await cluster.addNode(second);
  expect(await cluster.onNode(1, `SELECT * FROM ${await referenceShard(cluster, 'r')}`)).toEqual([[5]]);
});

test('removed only when it holds nothing; then it can be added again, even to another cluster', async () => {
  await using cluster = await openTestCluster({ nodes: 2 });
  await using other = await openTestCluster({ nodes: 1 });
  await cluster.sql('CREATE TABLE t (k int); CREATE TABLE r (k int); INSERT INTO r VALUES (1)');
  await createDistributedTable(cluster.context, 't', 'k', { shardCount: 3 });
  await createReferenceTable(cluster.context, 'r');
  const [first, second] = cluster.databases.nodes.map(addressOf);
  if (first === undefined || second === undefined) throw new Error('two nodes');
  await expect(removeNode(cluster.context, first)).rejects.toMatchObject({
    id: 'nodeInUse',
    message: expect.stringContaining('still holds 2 shards'),
    detail: 'They are of table public.t.',
  });
  await undistributeTable(cluster.context, 't');
  await removeNode(cluster.context, first);
  expect((await cluster.snapshot()).nodes.map(({ id }) => id)).toEqual([2]);
  expect(await cluster.onNode(0, `SELECT relname FROM pg_class WHERE relname ~ '^r_'`)).toEqual([]);
  await expect(removeNode(cluster.context, first)).rejects.toMatchObject({ id: 'undefinedNode' });
  await expect(removeNode(cluster.context, second)).rejects.toMatchObject({ id: 'nodeInUse', detail: 'They are public.r.' });
  await other.addNode(first);
  await expect(cluster.addNode(first)).rejects.toMatchObject({ id: 'nodeOfAnotherCluster' });
  await removeNode(other.context, first);
  await cluster.addNode(first);
  expect(await cluster.onNode(0, `SELECT * FROM ${await referenceShard(cluster, 'r')}`)).toEqual([[1]]);
});
