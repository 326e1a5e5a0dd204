import { afterAll, beforeAll, expect, test } from 'vitest';
import { present } from '../../src/base/assert.ts';
import { nodeId } from '../../src/catalog/ids.ts';
import type { ReadRoute } from '../../src/cluster/read-route.ts';
import { type EmbeddedCluster, startEmbeddedCluster, volatileSettings } from '../../src/embedded.ts';
import { ReplicatedConnections } from '../../src/ha/replicated-connections.ts';
import { Cluster } from '../../src/index.ts';
import { until } from '../cluster/connections.ts';

/** On replicas, each shard in a request of its own. */
let cluster: Cluster;
let embedded: EmbeddedCluster;

beforeAll(async () => {
  embedded = await startEmbeddedCluster({ nodes: 1, replicas: 2, settings: volatileSettings });
  await embedded.cluster.query('CREATE TABLE t (a bigint PRIMARY KEY)');
  await embedded.cluster.createDistributedTable('t', 'a', { shardCount: 8 });
  await embedded.cluster.query('INSERT INTO t SELECT generate_series(1, 200)');
  const token = await embedded.cluster.readToken();
  cluster = new Cluster({ connectionString: embedded.connectionString, reads: 'prefer-replica', tuning: { lookupCostMax: 0 } });
  await until(async () => (await cluster.query({ text: 'SELECT pg_is_in_recovery() AS r FROM t WHERE a = 1', token })).rows[0]?.['r'] === true);
}, 120_000);

afterAll(async () => {
  await cluster.end();
  await embedded.stop();
});

const ports = `SELECT current_setting('port') AS port FROM t`;

/** Asks until each replica was chosen for a query; each must have been read on one server. */
async function expectOneServerEach(ask: () => Promise<readonly { readonly port: string }[]>): Promise<void> {
  const seen = new Set<string>();
  await until(async () => {
    const servers = new Set((await ask()).map(({ port }) => port));
    expect(servers.size).toBe(1);
    for (const port of servers) seen.add(port);
    return seen.size === 2;
  });
  expect([...seen].toSorted()).toEqual(embedded.servers(0).slice(1).map(({ port }) => String(port)).toSorted());
}

test('all requests of a query are read on one replica of the node', async () => {
  await expectOneServerEach(async () => (await cluster.query<{ port: string }>(ports)).rows);
});

function route(from: ReadRoute['from'], limits: Partial<ReadRoute> = {}): ReadRoute {
  return { from, maxLagMs: undefined, maxLagBytes: undefined, after: new Map(), catalogVersion: 0, chosen: new Map(), requests: 0, onReplicas: 0, ...limits };
}

async function portBy(connections: ReplicatedConnections, reads: ReadRoute): Promise<string | null | undefined> {
  return (await connections.query({ text: `SELECT current_setting('port')` }, { reads })).rows[0]?.[0];
}

test('who has begun on the primary stays there, and who has begun on a replica that is gone since fails', async () => {
  const [primary, ...replicas] = embedded.servers(0);
  const { host, port, user, database } = present(primary);
  const connections = new ReplicatedConnections({ id: nodeId(1), name: 'node', config: { client: { host, port, user, database } } }, { hosts: embedded.servers(0).map((one) => ({ host: one.host, port: one.port })) }, { failoverTimeoutMs: 3_000, waitersMax: 10 });
  try {
    const none = route('prefer-replica', { maxLagBytes: -1 });
    expect(await portBy(connections, none)).toBe(String(port));
    const begun = { ...none, maxLagBytes: undefined };
    for (let i = 0; i < 5; i += 1) expect(await portBy(connections, begun)).toBe(String(port));

    const gone = route('prefer-replica');
    const chosen = await portBy(connections, gone);
    const [lost] = replicas.filter((one) => String(one.port) === chosen);
    present(lost).kill();
    await until(() => connections.watch.servers.some((server) => server.address.port === lost?.port && server.health.state === 'down'));
    await expect(portBy(connections, gone)).rejects.toMatchObject({ id: 'connectionLost' });
    // It has changed nothing, so the statement may be asked anew: of another replica.
    expect(gone.onReplicas).toBe(2);
    expect(await portBy(connections, route('replica'))).toBe(String(replicas.find((one) => one !== lost)?.port));
  } finally {
    await connections.end();
  }
});
