import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { present } from '../../src/base/assert.ts';
import { type EmbeddedCluster, startEmbeddedCluster, volatileSettings } from '../../src/embedded.ts';
import { until } from '../cluster/connections.ts';
import { isGone, receivingStopped, waits } from './stopped-receiver.ts';

let embedded: EmbeddedCluster;

beforeAll(async () => {
  embedded = await startEmbeddedCluster({ nodes: 1, replicas: 1, synchronous: true, settings: volatileSettings, cluster: { recoveryIntervalMs: 500, failoverTimeoutMs: 30_000 } });
  await embedded.cluster.query('CREATE TABLE t (a bigint, b int); CREATE TABLE local (a bigint, b int)');
  await embedded.cluster.createDistributedTable('t', 'a', { shardCount: 2 });
}, 120_000);

afterAll(() => embedded.stop());

afterEach(async () => {
  for (const which of ['coordinator', 0] as const) await embedded.rejoin(which);
});

const writes = {
  'an INSERT': (table: string) => embedded.cluster.query(`INSERT INTO ${table} VALUES (1, 1)`),
  'a query that writes': (table: string) => embedded.cluster.query(`WITH new AS (INSERT INTO ${table} VALUES (1, 1) RETURNING a) SELECT a FROM new`),
  'a transaction': (table: string) => embedded.cluster.transaction((client) => client.query(`INSERT INTO ${table} VALUES (1, 1)`)),
  'a COPY': (table: string) => embedded.cluster.copyFrom(`COPY ${table} FROM STDIN`, '1\t1\n'),
} satisfies Record<string, (table: string) => Promise<unknown>>;

const cases = Object.entries(writes).flatMap(([what, write]) => ([['local', 'coordinator'], ['t', 0]] as const).map(([table, which]) => ({ what, write, table, which })));

test.each(cases)('$what into $table, committed while its server died: it is not done twice', async ({ write, table, which }) => {
  const { cluster } = embedded;
  await cluster.query(`TRUNCATE ${table}`);
  const primary = embedded.primaryOf(which);
  const receiver = await receivingStopped(present(embedded.servers(which).find((server) => server !== primary)));
  const writing = write(table).then(() => undefined, (error: unknown) => error);
  await until(() => waits(primary, 'SyncRep'));
  primary.kill();
  await until(() => isGone(primary));
  receiver.goOn('to the end');
  await until(() => receiver.isGone());
  await embedded.failover(which);
  const outcome = await writing;
  // It may also have been found out.
  if (outcome !== undefined) expect(outcome).toMatchObject({ code: '08007' });
  // It had reached the replica.
  expect((await cluster.query(`SELECT count(*)::int FROM ${table}`)).rows).toEqual([{ count: 1 }]);
});
