import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, startCluster } from './start-cluster.ts';
import { untilOneWaits } from './until-one-waits.ts';

/** Writers of a reference table, each of whose copies is written at another moment. */
let pair: ClusterAndPlain;
let cluster: Cluster;
beforeAll(async () => {
  pair = await startCluster();
  cluster = pair.cluster;
  await cluster.query('CREATE TABLE regions (id int PRIMARY KEY, name text)');
  await cluster.createReferenceTable('regions');
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);
beforeEach(() => cluster.query(`TRUNCATE regions; INSERT INTO regions SELECT i, 'r' || i FROM generate_series(1, 5) i`));

async function expectAlike(): Promise<void> {
  expect((await cluster.verify()).differences).toEqual([]);
}

const writes = [
  [`UPDATE regions SET name = name || '!'`, `INSERT INTO regions VALUES (10, 'new')`],
  ['DELETE FROM regions WHERE id = 10', `INSERT INTO regions VALUES (10, 'new')`],
  [`UPDATE regions SET name = 'x' WHERE name = 'other'`, `UPDATE regions SET name = 'other' WHERE id = 3`],
  [`INSERT INTO regions SELECT max(id) + 1, 'next' FROM regions HAVING max(id) > 5`, `INSERT INTO regions VALUES (10, 'new')`],
] as const;

test.each(writes.slice(0, 3))('a snapshot of one node is older than those of others: %s', async (write, meanwhile) => {
  const session = await cluster.connect();
  try {
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await session.query('SELECT FROM orders WHERE tenant_id = 1');
    await cluster.query(meanwhile);
    await expect(session.query(write)).rejects.toMatchObject({ code: '40001', id: 'concurrentWrites' });
  } finally {
    await session.query('ROLLBACK');
    session.release();
  }
  await cluster.query(write);
  await expectAlike();
});

test('who waits for a writer on the first copy sees all of it on every copy, or none', { timeout: 60_000 }, async () => {
  for (let i = 0; i < 12; i += 1) {
    const first = await cluster.connect();
    await first.query(`BEGIN; UPDATE regions SET name = 'first' WHERE id = 1`);
    await first.query('INSERT INTO regions VALUES ($1, $2)', [100 + i, 'new']);
    const second = cluster.query(`UPDATE regions SET name = name || '!'`);
    await untilOneWaits(pair.databases.nodes);
    await first.query('COMMIT');
    expect((await second).rowCount).toBeGreaterThanOrEqual(5 + i);
    first.release();
  }
  await expectAlike();
});

test.each(writes)('beside another writer copies stay alike: %s', async (write, meanwhile) => {
  const settled = await Promise.allSettled(Array.from({ length: 12 }, async (_, i) => cluster.query(i % 2 === 0 ? write : meanwhile)));
  for (const result of settled) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: '23505' });
  await expectAlike();
});
