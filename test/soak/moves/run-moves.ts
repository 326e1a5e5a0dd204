import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Client } from 'pg';
import { at } from '../../../src/base/assert.ts';
import { Cluster } from '../../../src/index.ts';
import { createMoveTables, listRemains } from '../../move/move-cluster.ts';
import { rowsThere, startLoad } from '../../move/writing-load.ts';
import { Random } from '../../oracle/random.ts';
import type { SoakOptions } from '../soak-options.ts';
import type { SoakServers } from '../soak-servers.ts';
import { skewedTenants } from './skewed-tenants.ts';
import type { WritingReport, WritingTask } from './writing-process.ts';
import { forkScript } from '../../support/child-script.ts';

export interface MovesReport {
  /** How many of each were made. */
  readonly made: ReadonlyMap<Deed, number>;
  /** Statements of the application that were acknowledged. */
  readonly writes: number;
  readonly objections: readonly string[];
}

export type Deed = 'move' | 'split' | 'isolate' | 'merge';

/** So far; those of the other process are not known before the end. */
type MovesProgress = Omit<MovesReport, 'objections'> & { readonly failures: number; readonly seconds: number };

interface MovesOptions extends Pick<SoakOptions, 'seed' | 'seconds' | 'jobs'> {
  /** Called between two deeds, every ten seconds or so. */
  readonly onProgress?: ((progress: MovesProgress) => void) | undefined;
}

const progressEveryMs = 10_000;

const tenants = 64;
const writers = 32;
/** Above, neighbours are merged before anything is split again. */
const groupsMax = 24;

/** Where the keys of the second process begin. */
const otherKeys = 5e7;

/**
 * Shard groups move, split, are isolated and merged one after the other, at random, so many or for so long, while 32 writers insert, update and delete, most of it for few tenants, some of it over all nodes: half of them in the process
 * that moves, half in another, which learns of each move by what its statements find. No statement may fail, and at the end there must be what was acknowledged, where its hash says, and nothing else.
 */
export async function runMoves({ servers, connectionString }: SoakServers, { seed, seconds, jobs, onProgress }: MovesOptions): Promise<MovesReport> {
  const random = new Random(seed);
  const cluster = new Cluster({ connectionString });
  const other = forkScript(new URL('writing-process.ts', import.meta.url));
  try {
    await createMoveTables(cluster);
    // Statements are short, however many rows there are.
    await cluster.query('CREATE INDEX ON orders (id); CREATE INDEX ON items (tenant, id); CREATE INDEX ON items (id)');
    other.send({ connectionString, seed: seed + 2, tenants, writers: writers / 2, from: otherKeys } satisfies WritingTask);
    const load = startLoad([cluster], { tenants, writers: writers / 2, from: 0, tenantOf: skewedTenants(seed + 1, tenants) });
    const made = new Map<Deed, number>();
    const objections: string[] = [];
    const began = performance.now();
    let toldAt = began;
    const isOver = jobs === undefined ? pastTime(seconds) : (done: number): boolean => done >= jobs;
    for (let done = 0; !isOver(done); done += 1) {
      const deed = await perform(cluster, random).catch((error: unknown) => void objections.push(String(error)));
      if (deed !== undefined) made.set(deed, (made.get(deed) ?? 0) + 1);
      if (performance.now() - toldAt < progressEveryMs) continue;
      toldAt = performance.now();
      onProgress?.({ made, writes: load.writes(), failures: load.failures.length + objections.length, seconds: Math.round((toldAt - began) / 1000) });
    }
    const [expected, there] = await Promise.all([load.stop(), stopped(other)]);
    const failures = [...load.failures.map(String), ...there.failures];
    objections.push(...failures.map((error) => `a statement failed: ${error}`), ...(await compare(cluster, [...expected, ...there.expected])));
    const ask = async (node: number, text: string): Promise<unknown[][]> => onServer(at(servers, node).connectionString, text);
    objections.push(...(await listRemains(ask, servers.slice(1).map((_, i) => i + 1))));
    return { made, writes: load.writes() + there.writes, objections };
  } finally {
    other.kill('SIGKILL');
    await cluster.end();
  }
}

function pastTime(seconds: number): () => boolean {
  const end = performance.now() + seconds * 1000;
  return () => performance.now() >= end;
}

/** Throws when the process has ended by itself. */
async function stopped(other: ChildProcess): Promise<WritingReport> {
  const died = once(other, 'exit').then(() => Promise.reject(new Error('the other process has ended')));
  died.catch(() => undefined);
  const said = once(other, 'message');
  other.send('stop');
  const [report] = (await Promise.race([said, died])) as [WritingReport];
  return report;
}

/** One of them, at random. */
export async function perform(cluster: Cluster, random: Random): Promise<Deed> {
  const shards = (await cluster.shards()).filter(({ table }) => table === 'orders').toSorted((a, b) => (a.min ?? 0) - (b.min ?? 0));
  const nodes = (await cluster.nodes()).map(({ id }) => id);
  const place = random.int(0, shards.length - 1);
  const { shardId, nodeId, min = 0, max = 0 } = at(shards, place);
  const deed = shards.length > groupsMax ? 'merge' : random.weighted([[4, 'move'], [max - min > 2 ? 2 : 0, 'split'], [2, 'isolate'], [shards.length > 4 ? 3 : 0, 'merge']] as const);
  switch (deed) {
    case 'move':
      await cluster.moveShardGroup(shardId, { to: random.pick(nodes.filter((id) => id !== nodeId)) });
      break;
    case 'split': {
      const into = random.int(2, 3);
      await cluster.splitShardGroup(shardId, { into, nodes: Array.from({ length: into }, () => random.pick(nodes)) });
      break;
    }
    case 'isolate':
      await cluster.isolateTenant('orders', random.int(0, tenants - 1), { to: random.pick(nodes) });
      break;
    case 'merge': {
      const first = Math.min(place, shards.length - 2);
      await cluster.mergeShardGroups(at(shards, first).shardId, at(shards, first + 1).shardId, { to: random.pick(nodes) });
    }
  }
  return deed;
}

async function compare(cluster: Cluster, expected: readonly string[]): Promise<string[]> {
  const there = await rowsThere(cluster, 0);
  const acknowledged = new Set(expected);
  const found = new Set(there.orders);
  return [
    ...expected.filter((line) => !found.has(line)).map((line) => `acknowledged, but not there: ${line}`),
    ...there.orders.filter((line) => !acknowledged.has(line)).map((line) => `there, but not acknowledged: ${line}`),
    ...(there.orders.length === found.size ? [] : ['rows are there twice']),
    ...(there.orphans === 0 ? [] : [`${there.orphans} items without their order`]),
    ...(await cluster.verify()).differences.map((difference) => JSON.stringify(difference)),
    ...(await cluster.checkSchema()).differences.map((difference) => JSON.stringify(difference)),
  ];
}

async function onServer(connectionString: string, text: string): Promise<unknown[][]> {
  const client = await new Client(connectionString).connect();
  try {
    return ([await client.query({ text, rowMode: 'array' })].flat().at(-1)?.rows ?? []) as unknown[][];
  } finally {
    await client.end();
  }
}
