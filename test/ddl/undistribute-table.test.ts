import { expect, test } from 'vitest';
import { createDistributedTable } from '../../src/ddl/create-distributed-table.ts';
import { createReferenceTable } from '../../src/ddl/create-reference-table.ts';
import { dropDistributedTable } from '../../src/ddl/drop-distributed-table.ts';
import { truncateTables } from '../../src/ddl/truncate-tables.ts';
import { undistributeTable } from '../../src/ddl/undistribute-table.ts';
import { rowsOf } from './shards-of.ts';
import { openTestCluster, type TestCluster } from './test-cluster.ts';

const noShards = async (cluster: TestCluster): Promise<void> => {
  for (const node of [0, 1]) {
    expect(await cluster.onNode(node, `SELECT relname FROM pg_class WHERE relname ~ '_1020\\d\\d$' AND relkind IN ('r', 'i')`)).toEqual([]);
  }
  const { tables, colocationGroups } = await cluster.snapshot();
  expect([tables.size, colocationGroups.size]).toEqual([0, 0]);
};

test.each(['postgres', 'murmur3'] as const)('rows come back to the letter, and the table takes rows again (%s)', async (hash) => {
  await using cluster = await openTestCluster({ nodes: 2 });
  await cluster.sql(`CREATE TABLE t (k int, id int GENERATED ALWAYS AS IDENTITY, s text, d int GENERATED ALWAYS AS (k * 2) STORED, PRIMARY KEY (k, id));
    INSERT INTO t (k, s) SELECT g % 77, E'\\t\\\\' || g FROM generate_series(1, 3000) g`);
  const before = (await cluster.sql('SELECT t::text FROM t ORDER BY id')).map(String);
  await createDistributedTable(cluster.context, 't', 'k', { hash, shardCount: 7 });
  await undistributeTable(cluster.context, 't');
  expect((await cluster.sql('SELECT t::text FROM t ORDER BY id')).map(String)).toEqual(before);
  await cluster.sql('INSERT INTO t (k) VALUES (1)');
  await noShards(cluster);
  await createDistributedTable(cluster.context, 't', 'k', { hash, shardCount: 3 });
  expect(await rowsOf(cluster, 't')).toHaveLength(3001);
});

test('a reference table comes back once, not once per node', async () => {
  await using cluster = await openTestCluster({ nodes: 2 });
  await cluster.sql('CREATE TABLE r (k int); INSERT INTO r VALUES (1), (1), (2)');
  await createReferenceTable(cluster.context, 'r');
  await undistributeTable(cluster.context, 'r');
  expect(await cluster.sql('SELECT k FROM r ORDER BY k')).toEqual([[1], [1], [2]]);
  await noShards(cluster);
});

test('refused while foreign keys connect it, and for a table that is not distributed', async () => {
  await using cluster = await openTestCluster({ nodes: 2 });
  await cluster.sql('CREATE TABLE p (k int PRIMARY KEY); CREATE TABLE c (k int REFERENCES p); CREATE TABLE local (k int)');
  await createDistributedTable(cluster.context, 'p', 'k', { shardCount: 2 });
  await createDistributedTable(cluster.context, 'c', 'k', { shardCount: 2 });
  await expect(undistributeTable(cluster.context, 'p')).rejects.toMatchObject({ id: 'unsupportedTable', message: expect.stringContaining('cannot undistribute table "p": foreign key "c_k_fkey" from "c"') });
  await expect(undistributeTable(cluster.context, 'c')).rejects.toMatchObject({ id: 'unsupportedTable', message: expect.stringContaining('to "p"') });
  await expect(undistributeTable(cluster.context, 'local')).rejects.toMatchObject({ id: 'notDistributed' });
  await expect(dropDistributedTable(cluster.context, 'local')).rejects.toMatchObject({ id: 'notDistributed' });
});

test('dropped with its shards; what depends on it needs CASCADE', async () => {
  await using cluster = await openTestCluster({ nodes: 2 });
  await cluster.sql('CREATE TABLE p (k int PRIMARY KEY); CREATE TABLE c (k int REFERENCES p); CREATE VIEW v AS SELECT * FROM c');
  await createDistributedTable(cluster.context, 'p', 'k', { shardCount: 2 });
  await createDistributedTable(cluster.context, 'c', 'k', { shardCount: 2 });
  expect([...(await cluster.snapshot()).dependentViews.keys()]).toEqual(['6.public.v']);
  await expect(dropDistributedTable(cluster.context, 'p')).rejects.toMatchObject({ code: '2BP01', message: expect.stringContaining('table p') });
  await dropDistributedTable(cluster.context, 'p', { cascade: true });
  await expect(dropDistributedTable(cluster.context, 'c')).rejects.toMatchObject({ code: '2BP01' });
  await dropDistributedTable(cluster.context, 'c', { cascade: true });
  await noShards(cluster);
});

test('truncated on all nodes, in one transaction', async () => {
  await using cluster = await openTestCluster({ nodes: 2 });
  await cluster.sql('CREATE TABLE r (k int); INSERT INTO r VALUES (1); CREATE TABLE t (k int); INSERT INTO t SELECT generate_series(1, 100)');
  await createReferenceTable(cluster.context, 'r');
  await createDistributedTable(cluster.context, 't', 'k', { shardCount: 5 });
  const snapshot = await cluster.snapshot();
  const tables = [await cluster.table('r'), await cluster.table('t')];
  const undone = cluster.context.begin();
  await truncateTables(undone, { snapshot, tables });
  await undone.rollback();
  expect(await rowsOf(cluster, 't')).toHaveLength(100);
  const done = cluster.context.begin();
  await truncateTables(done, { snapshot, tables });
  await done.commit();
  expect(await rowsOf(cluster, 't')).toEqual([]);
  await undistributeTable(cluster.context, 'r');
  expect(await cluster.sql('SELECT * FROM r')).toEqual([]);
});
