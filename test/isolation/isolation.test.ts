import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';
import { differences } from './differences.ts';
import type { Layout } from './interleaving.ts';
import { interleavings } from './interleavings.ts';
import { type Place, runInterleaving } from './run-interleaving.ts';

let pair: ClusterAndPlain;
let places: { readonly cluster: Place; readonly plain: Place };
let layouts: Readonly<Record<'one tenant' | 'several nodes', Layout>>;
const clients: Client[] = [];
beforeAll(async () => {
  pair = await startCluster();
  const text = 'CREATE TABLE cells (tenant_id bigint, id int, value int, PRIMARY KEY (tenant_id, id))';
  await Promise.all([pair.cluster.query(text), pair.plain.query(text)]);
  await pair.cluster.createDistributedTable('cells', 'tenant_id', { colocateWith: 'orders' });
  const { coordinator, nodes } = pair.databases;
  const observe = async (connectionString: string | undefined): Promise<Client> => {
    const client = await new Client({ connectionString }).connect();
    clients.push(client);
    return client;
  };
  places = {
    cluster: { pool: pair.cluster, observers: await Promise.all([coordinator, ...nodes].map(({ connectionString }) => observe(connectionString))) },
    plain: { pool: pair.plain, observers: [await observe(pair.plain.options.connectionString)] },
  };
  const byNode = new Map<unknown, number>();
  for (let tenant = 1; tenant <= 12; tenant += 1) byNode.set((await pair.cluster.shardOf('cells', tenant)).node, tenant);
  const [x, y, z] = [...byNode.values()] as [number, number, number];
  layouts = { 'one tenant': { x, y: x, z: x, w: x }, 'several nodes': { x, y, z, w: x } };
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.end()));
  await pair[Symbol.asyncDispose]();
}, 15_000);

const on = 'SET shardwright.consistent_snapshots = on';
const levels = [
  { level: 'READ COMMITTED', before: '' },
  { level: 'REPEATABLE READ', before: '' },
  { level: 'SERIALIZABLE', before: '' },
  { level: 'REPEATABLE READ', before: on },
  { level: 'SERIALIZABLE', before: on },
] as const;

describe.each(['one tenant', 'several nodes'] as const)('%s', (layout) => {
  describe.each(levels.map((one) => ({ ...one, title: `${one.level}${one.before === '' ? '' : ', consistent snapshots'}` })))('$title', ({ level, before, title }) => {
    test.each(interleavings)('$name', async (interleaving) => {
      const how = { layout: layouts[layout], modes: `ISOLATION LEVEL ${level}` };
      const cluster = await runInterleaving(places.cluster, interleaving, { ...how, before });
      const plain = await runInterleaving(places.plain, interleaving, { ...how, before: '' });
      expect(cluster).toHaveLength(plain.length);
      const differing = cluster.flatMap((line, i) => (line === plain[i] ? [] : [`${line}; plain: ${outcomeIn(at(plain, i))}`]));
      expect(differing).toEqual(differences[`${layout}, ${title}`]?.[interleaving.name] ?? []);
    });
  });
});

function outcomeIn(line: string): string {
  return at(line.split(': '), 1);
}
