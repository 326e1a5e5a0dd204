import { setTimeout as delay } from 'node:timers/promises';
import { at } from '../../../src/base/assert.ts';
import { ClusterError, sqlStateOf } from '../../../src/base/errors.ts';
import { type EmbeddedCluster, type EmbeddedWhich, type PostgresMajor, startEmbeddedCluster, volatileSettings } from '../../../src/embedded.ts';
import { withServer } from '../../../src/embedded/with-server.ts';
import type { Cluster } from '../../../src/index.ts';
import { lineOf, StrictMirror } from '../../feed/strict-mirror.ts';
import { createMoveTables } from '../../move/move-cluster.ts';
import { startLoad } from '../../move/writing-load.ts';
import { Random } from '../../oracle/random.ts';
import { type Deed, perform } from '../moves/run-moves.ts';
import type { SoakOptions } from '../soak-options.ts';

export interface FeedReport {
  /** How many of each were made. */
  readonly made: ReadonlyMap<Deed, number>;
  /** Moves and the like that failed, by what they failed with. */
  readonly refused: ReadonlyMap<string, number>;
  readonly failovers: number;
  readonly writes: number;
  /** Events that the receiver took, and those that came again. */
  readonly events: number;
  readonly repeated: number;
  readonly openings: number;
  readonly rows: number;
  readonly objections: readonly string[];
}

const tables = ['orders', 'items', 'plans'] as const;
const writers = 6;
const tenants = 64;
const betweenFailoversMs = 8_000;

/**
 * A receiver that believes nothing reads a feed, leaving off and going on at random, while rows are written, shard groups move, split, are isolated and merged, and the primaries of nodes and of the coordinator database are killed and their
 * standbys promoted, one after the other. At the end its copy must equal the source, row for row.
 */
export async function runFeed({ major, nodes }: { readonly major: PostgresMajor; readonly nodes: number }, { seed, seconds }: Pick<SoakOptions, 'seed' | 'seconds'>): Promise<FeedReport> {
  await using embedded = await startEmbeddedCluster({
    major, nodes, replicas: 1, synchronous: true, settings: { ...volatileSettings, shared_buffers: '32MB' }, cluster: { recoveryIntervalMs: 1_000, failoverTimeoutMs: 30_000 },
  });
  const { cluster } = embedded;
  await createMoveTables(cluster);
  await cluster.query('ALTER TABLE items REPLICA IDENTITY FULL; CREATE INDEX ON orders (id); CREATE INDEX ON items (tenant, id); CREATE INDEX ON items (id)');
  const over = new AbortController();
  const objections: string[] = [];
  const failed = (what: string) => (error: unknown) => void objections.push(`${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  const receiver = new Receiver(cluster, new Random(seed + 1), over.signal);
  const receiving = receiver.run().catch(failed('the receiver'));
  const load = startLoad([cluster], { tenants, writers, from: 0 });
  const made = new Map<Deed, number>();
  const refused = new Map<string, number>();
  const harm = new AbortController();
  const failing = failOver(embedded, new Random(seed + 2), harm.signal);
  failing.done.catch(failed('a failover'));
  const random = new Random(seed);
  // On a busy machine the first failover may take longer than a short run.
  for (const endMs = performance.now() + seconds * 1000; (performance.now() < endMs || failing.count() === 0) && objections.length === 0;) {
    await perform(cluster, random).then((deed) => count(made, deed), (error: unknown) => count(refused, nameOf(error)));
    await delay(100);
  }
  harm.abort();
  await failing.done.catch(() => undefined);
  await load.stop();
  await evenOut(cluster, receiver.mirror, () => objections.length > 0);
  over.abort();
  await receiving;
  const differing = await Promise.all(tables.map(async (table) => differences(table, receiver.mirror.lines(table), await linesOf(cluster, table))));
  objections.push(...differing.flat(), ...(await cluster.verify()).differences.map((difference) => JSON.stringify(difference)));
  const rows = tables.reduce((sum, table) => sum + receiver.mirror.lines(table).length, 0);
  const { openings, mirror: { ids: { size: events }, repeated } } = receiver;
  return { made, refused, failovers: failing.count(), writes: load.writes(), events, repeated, openings, rows, objections };
}

class Receiver {
  readonly mirror = new StrictMirror();
  openings = 0;

  constructor(
    private readonly cluster: Cluster,
    private readonly random: Random,
    private readonly signal: AbortSignal,
  ) {}

  async run(): Promise<void> {
    while (!this.signal.aborted) {
      this.openings += 1;
      try {
        await this.#readSome();
      } catch (error) {
        if (this.signal.aborted) return;
        // The coordinator database has failed over.
        if (!mayOpenAgain(error)) throw error;
        await delay(200);
      }
    }
  }

  async #readSome(): Promise<void> {
    const { mirror, random, signal } = this;
    const from = mirror.cursor !== undefined && random.chance(0.5) ? mirror.cursor : undefined;
    const changes = this.cluster.changes(tables, { name: 'mirror', from, snapshot: true, signal });
    mirror.reopened();
    let left = random.int(1, 20_000);
    for await (const change of changes) {
      mirror.apply(change);
      if (change.cursor !== undefined && random.chance(0.05)) changes.confirm(change.cursor);
      left -= 1;
      if (left === 0) return;
    }
  }
}

function mayOpenAgain(error: unknown): boolean {
  return /^(08...|57P0[1-5]|40001)$/.test(sqlStateOf(error) ?? '') || (error instanceof ClusterError && error.id === 'feedInUse');
}

/** Of a node only when its standby has the feed's slot. */
function failOver(embedded: EmbeddedCluster, random: Random, signal: AbortSignal): { readonly done: Promise<void>; readonly count: () => number } {
  let made = 0;
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      await delay(random.int(betweenFailoversMs / 2, betweenFailoversMs), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const which = random.pick(['coordinator', ...embedded.nodes.map((_, i) => i)] as const);
      if (which !== 'coordinator' && !(await slotTakenOver(embedded, which, signal))) return;
      await embedded.failover(which);
      made += 1;
      await delay(random.int(0, 2_000));
      await embedded.rejoin(which);
    }
  };
  return { done: run(), count: () => made };
}

async function slotTakenOver(embedded: EmbeddedCluster, which: EmbeddedWhich, signal: AbortSignal): Promise<boolean> {
  const standby = embedded.servers(which).find((server) => server !== embedded.primaryOf(which)) ?? at(embedded.servers(which), 0);
  // The worker that synchronizes slots rests for long when there is nothing to do, but for a signal.
  const text = `SELECT pg_reload_conf(), EXISTS (SELECT FROM pg_replication_slots WHERE slot_name LIKE 'shardwright_feed%' AND synced AND NOT temporary)`;
  while (!signal.aborted) {
    if ((await withServer(standby, async (connection) => (await connection.query({ text })).rows[0]?.[1])) === 't') return true;
    await delay(200);
  }
  return false;
}

const evenWithinMs = 120_000;

async function evenOut(cluster: Cluster, mirror: StrictMirror, isOver: () => boolean): Promise<void> {
  const expected = new Map(await Promise.all(tables.map(async (table) => [table, (await linesOf(cluster, table)).length] as const)));
  for (const endMs = performance.now() + evenWithinMs; performance.now() < endMs && !isOver();) {
    if (tables.every((table) => mirror.lines(table).length === expected.get(table))) break;
    await delay(500);
  }
  // An update changes no count.
  await delay(2_000);
}

async function linesOf(cluster: Cluster, table: string): Promise<string[]> {
  return (await cluster.query<Record<string, unknown>>(`SELECT * FROM ${table}`)).rows.map(lineOf).toSorted();
}

function differences(table: string, copied: readonly string[], there: readonly string[]): string[] {
  const [copy, source] = [new Set(copied), new Set(there)];
  return [
    ...(copied.length === there.length ? [] : [`${table}: ${copied.length} rows in the copy, ${there.length} in the source`]),
    ...copied.filter((line) => !source.has(line)).map((line) => `${table}: in the copy alone: ${line.slice(0, 200)}`),
    ...there.filter((line) => !copy.has(line)).map((line) => `${table}: in the source alone: ${line.slice(0, 200)}`),
  ];
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function nameOf(error: unknown): string {
  return error instanceof ClusterError ? error.id : (sqlStateOf(error) ?? String(error));
}
