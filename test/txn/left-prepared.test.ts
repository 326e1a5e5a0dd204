import { expect, test } from 'vitest';
import { until } from '../cluster/connections.ts';
import { createTestDatabases } from '../support/test-databases.ts';
import { startMutingProxy } from './muting-proxy.ts';
import { Client } from 'pg';
import { at } from '../../src/base/assert.ts';
import { Cluster } from '../../src/index.ts';

/** The process lives, but cannot tell a server the outcome at that moment: it does so when the server is back, long before it is time for recovery. */
test.each([
  ['committed', 'COMMIT PREPARED', 1],
  ['rolled back', 'ROLLBACK PREPARED', 0],
] as const)('a part that could not be %s for a moment is so when its server is back', async (outcome, said, price) => {
  await using databases = await createTestDatabases({ nodes: 2 });
  const [first, second] = [at(databases.nodes, 0), at(databases.nodes, 1)];
  await using proxy = await startMutingProxy(first);
  const cluster = new Cluster({ connectionString: databases.coordinator.connectionString, recoveryIntervalMs: 3_600_000 });
  const client = await new Client(first.connectionString).connect();
  const prepared = async (): Promise<unknown[]> => (await client.query('SELECT gid FROM pg_prepared_xacts WHERE database = current_database()')).rows;
  try {
    await cluster.addNode({ host: '127.0.0.1', port: proxy.port, database: first.database });
    await cluster.addNode({ host: second.host, port: second.port, database: second.database });
    await cluster.query('CREATE TABLE prices (id int, price int, UNIQUE (id) DEFERRABLE INITIALLY DEFERRED)');
    await cluster.createDistributedTable('prices', 'id', { shardCount: 4 });
    await cluster.query('INSERT INTO prices SELECT g, 0 FROM generate_series(1, 40) g');
    const closing = proxy.closeAt(said);
    const written = write(cluster, outcome);
    await closing;
    await written;
    expect(await prepared()).toHaveLength(1);
    proxy.open();
    await until(async () => (await prepared()).length === 0);
    expect((await cluster.query('SELECT price, count(*)::int FROM prices GROUP BY price')).rows).toEqual([{ price, count: 40 }]);
  } finally {
    await Promise.all([client.end(), cluster.end()]);
  }
}, 60_000);

/** All rows, on both nodes; the second decides, and refuses what is to be rolled back. */
async function write(cluster: Cluster, outcome: 'committed' | 'rolled back'): Promise<void> {
  const session = await cluster.connect();
  try {
    const on = async (node: number): Promise<number[]> => {
      const places = await Promise.all(Array.from({ length: 40 }, async (_, i) => ({ id: i + 1, nodeId: (await cluster.shardOf('prices', i + 1)).nodeId })));
      return places.filter(({ nodeId }) => nodeId === node).map(({ id }) => id);
    };
    const [here, there] = [await on(1), await on(2)];
    await session.query('BEGIN');
    if (outcome === 'rolled back') await session.query(`INSERT INTO prices VALUES (${at(there, 0)}, 1)`);
    for (const ids of [there, here]) for (const id of ids) await session.query('UPDATE prices SET price = 1 WHERE id = $1', [id]);
    const committing = session.query('COMMIT');
    if (outcome === 'committed') await committing;
    else await expect(committing).rejects.toMatchObject({ code: '23505' });
  } finally {
    session.release();
  }
}
