import { expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { startEmbeddedCluster, startPostgres, volatileSettings, type PostgresServer } from '../../src/embedded.ts';
import { withServer } from '../../src/embedded/with-server.ts';
import { until } from '../cluster/connections.ts';

const settings = volatileSettings;

async function value(server: PostgresServer, text: string): Promise<string | null | undefined> {
  return withServer(server, async (connection) => (await connection.query({ text })).rows[0]?.[0]);
}

test.each([15, 18] as const)('version %s: a standby made beside writes has all rows, is promoted, and the old primary follows it', async (major) => {
  await using primary = await startPostgres({ major, settings });
  await value(primary, 'CREATE TABLE t AS SELECT g AS a FROM generate_series(1, 20000) g');
  await value(primary, 'CREATE TABLE written (a int)');
  const stopped = new AbortController();
  const writing = (async () => {
    for (let i = 0; !stopped.signal.aborted; i += 1) await value(primary, `INSERT INTO written VALUES (${i})`);
  })();
  await using standby = await primary.startStandby();
  stopped.abort();
  await writing;
  const rows = await value(primary, 'SELECT count(*) FROM written');
  expect(Number(rows)).toBeGreaterThan(0);
  await until(async () => (await value(standby, 'SELECT count(*) FROM written')) === rows);
  expect(await value(standby, 'SELECT count(*) FROM t WHERE pg_is_in_recovery()')).toBe('20000');
  await primary.halt();
  await standby.promote();
  await value(standby, 'INSERT INTO t VALUES (0)');
  await primary.follow(standby);
  await until(async () => (await value(primary, 'SELECT count(*) FROM t')) === '20001');
  expect(await value(primary, 'SELECT pg_is_in_recovery()')).toBe('t');
});

test('a cluster with synchronous replicas: failover, the lost server back as a standby, switchover', async () => {
  await using embedded = await startEmbeddedCluster({ nodes: 1, replicas: 1, synchronous: true, settings });
  const [first, second] = embedded.servers(0);
  expect(embedded.nodes).toMatchObject([{ port: first?.port, replicas: [{ port: second?.port }] }]);
  expect(embedded.servers('coordinator')).toHaveLength(2);
  await until(async () => (await value(embedded.primaryOf(0), 'SELECT sync_state FROM pg_stat_replication')) === 'sync');
  await value(embedded.primaryOf(0), 'CREATE TABLE t (a int)');
  await embedded.failover(0);
  expect(embedded.nodes).toMatchObject([{ port: second?.port, replicas: [] }]);
  // Nobody is there to wait for.
  await value(embedded.primaryOf(0), 'INSERT INTO t VALUES (1)');
  await embedded.rejoin(0);
  expect(embedded.servers(0).map(({ port }) => port)).toEqual([first?.port, second?.port]);
  await value(embedded.primaryOf(0), 'INSERT INTO t VALUES (2)');
  await embedded.switchover(0);
  expect(embedded.primaryOf(0)).toBe(at(embedded.servers(0), 0));
  await value(embedded.primaryOf(0), 'INSERT INTO t VALUES (3)');
  await until(async () => (await value(at(embedded.servers(0), 1), 'SELECT sum(a) FROM t')) === '6');
  await expect(embedded.failover(7)).rejects.toMatchObject({ id: 'invalidParameter' });
});
