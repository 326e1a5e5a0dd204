import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import { createNodePools, type NodePools } from '../../src/cluster/node-pools.ts';
import { compareCopies, type TableCopy } from '../../src/verify/compare-copies.ts';
import { createTestDatabases, type TestDatabases } from '../support/test-databases.ts';

let databases: TestDatabases;
let pools: NodePools;
let client: Client;
beforeAll(async () => {
  databases = await createTestDatabases({ nodes: 0 });
  const { host, port, user, database, connectionString } = databases.coordinator;
  pools = createNodePools([{ id: coordinatorNodeId, name: 'one', config: { client: { host, port, user, database } } }]);
  client = await new Client(connectionString).connect();
  await client.query(`CREATE TABLE a (k int PRIMARY KEY, v text); INSERT INTO a SELECT g, 'v' || g FROM generate_series(1, 2000) g`);
  await client.query(`CREATE TABLE low AS SELECT * FROM a WHERE k <= 700; CREATE TABLE high AS SELECT * FROM a WHERE k > 700`);
}, 30_000);
afterAll(async () => {
  await client.end();
  await pools.end();
  await databases.drop();
});

async function compare(sides: readonly (readonly string[])[], isSample: boolean, key: 'k' | 'none' = 'k'): Promise<{ keys: string[]; reads: number }> {
  const connections = await Promise.all(sides.flat().map(() => pools.get(coordinatorNodeId).acquire()));
  let [next, reads] = [0, 0];
  const copies = sides.map((side): TableCopy => side.map((sql) => ({ sql, connection: at(connections, next++) })));
  try {
    for (const connection of connections) await connection.query({ text: 'BEGIN ISOLATION LEVEL REPEATABLE READ' });
    const columns = [{ name: 'k', type: 'integer' }, { name: 'v', type: 'text' }];
    const { differences } = await compareCopies(copies, { columns, key: key === 'none' ? undefined : [key] }, { differencesMax: 5_000, isSample, onRead: ({ rows }) => (reads += rows) });
    return { keys: differences.map((difference) => difference.key).toSorted(), reads };
  } finally {
    for (const connection of connections) await connection.query({ text: 'ROLLBACK' });
    for (const connection of connections) connection.release();
  }
}

test('one table and two that make it up', async () => {
  for (const isSample of [true, false]) expect(await compare([['a'], ['low', 'high']], isSample)).toEqual({ keys: [], reads: 4_000 });
  await client.query(`UPDATE high SET v = 'w' WHERE k = 900; INSERT INTO low VALUES (900, 'v900')`);
  expect((await compare([['low', 'high'], ['a']], false)).keys).toEqual(['(900)']);
  await client.query(`UPDATE high SET v = 'v900' WHERE k = 900; DELETE FROM low WHERE k = 900`);
});

test('a sample notices any row too many, and about every 16th change; without a key it is all', async () => {
  await client.query(`DELETE FROM high WHERE k = 901`);
  expect((await compare([['a'], ['low', 'high']], true)).keys).toEqual(['(901)']);
  await client.query(`INSERT INTO high VALUES (901, 'v901'); CREATE TABLE changed AS TABLE a`);
  let noticed = 0;
  for (let k = 1; k <= 2_000; k += 40) {
    await client.query(`UPDATE changed SET v = 'w' WHERE k = ${k}`);
    const { keys } = await compare([['a'], ['changed']], true);
    expect([[], [`(${k})`]]).toContainEqual(keys);
    noticed += keys.length;
    if (k === 1) expect((await compare([['a'], ['changed']], true, 'none')).keys).toEqual(['(1,v1)', '(1,w)']);
    await client.query(`UPDATE changed SET v = 'v${k}' WHERE k = ${k}`);
  }
  expect(noticed).toBeGreaterThan(0);
  expect(noticed).toBeLessThan(15);
});
