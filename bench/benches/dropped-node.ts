import { setTimeout as delay } from 'node:timers/promises';
import { at } from '../../src/base/assert.ts';
import { startEmbeddedCluster, volatileSettings } from '../../src/embedded.ts';
import type { Cluster } from '../../src/index.ts';
import { startMutingProxy } from '../../test/txn/muting-proxy.ts';
import type { Bench } from '../harness/bench.ts';
import { quantile } from '../harness/statistics.ts';
import { valueAtMost } from '../harness/targets.ts';

const clients = 4;
const waitersOfLost = 100;
const roundMs = 8_000;

/** What is felt on other nodes of a node whose packets are dropped, neither answered nor refused, while a hundred statements wait for it. */
export const droppedNode: Bench = {
  name: 'dropped-node',
  about: 'queries to other nodes while packets of one are dropped',
  ownTables: true,
  variants: () => [
    {
      metrics: [
        { name: 'dropped-node/others-p99', unit: '×', target: valueAtMost(1.2, '×') },
        { name: 'dropped-node/connections-tried', unit: 'connections', target: valueAtMost(2, '') },
      ],
      clusterOnly: true,
      warm: true,
      costly: true,
      measure,
    },
  ],
};

/** The 99th percentile to the other node, by that before, with the only server of the node lost; and how many connections to it stood at most. */
async function measure(): Promise<readonly number[]> {
  await using embedded = await startEmbeddedCluster({ nodes: 2, settings: volatileSettings, cluster: { failoverTimeoutMs: 2 * roundMs } });
  const { cluster } = embedded;
  const server = embedded.primaryOf(0);
  await using proxy = await startMutingProxy(server);
  await cluster.setNodeAddresses(1, { hosts: [{ host: '127.0.0.1', port: proxy.port }] });
  await cluster.query('CREATE TABLE t (a bigint PRIMARY KEY)');
  await cluster.createDistributedTable('t', 'a', { shardCount: 8 });
  const [lost, other] = [await valueOn(cluster, 1), await valueOn(cluster, 2)];
  await p99(cluster, other);
  const before = await p99(cluster, other);
  await proxy.mute();
  const waiting = Promise.allSettled(Array.from({ length: waitersOfLost }, () => cluster.query('SELECT FROM t WHERE a = $1', [lost])));
  const over = new AbortController();
  const counting = countMost(cluster, `${proxy.port}`, over.signal);
  const during = await p99(cluster, other);
  over.abort();
  const most = await counting;
  proxy.cut();
  await waiting;
  return [during / before, most];
}

async function p99(cluster: Cluster, value: number): Promise<number> {
  const times: number[] = [];
  const endMs = performance.now() + roundMs;
  await Promise.all(Array.from({ length: clients }, async () => {
    while (performance.now() < endMs) {
      const startMs = performance.now();
      await cluster.query('SELECT FROM t WHERE a = $1', [value]);
      times.push(performance.now() - startMs);
    }
  }));
  return quantile(times, 0.99);
}

async function countMost(cluster: Cluster, port: string, over: AbortSignal): Promise<number> {
  // Those that were open when the packets began to be dropped are broken with the second probe without an answer: after four seconds at most.
  await delay(roundMs * 0.8);
  let most = 0;
  for (; !over.aborted; await delay(10)) most = Math.max(most, cluster.connectionCounts().find(({ node }) => node.includes(port))?.open ?? 0);
  return most;
}

async function valueOn(cluster: Cluster, node: number): Promise<number> {
  const values = Array.from({ length: 100 }, (_, i) => i);
  const nodes = await Promise.all(values.map(async (value) => (await cluster.shardOf('t', value)).nodeId));
  return at(values, nodes.findIndex((found) => found === node));
}
