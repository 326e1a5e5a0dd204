import { setTimeout as wait } from 'node:timers/promises';
import { sqlStateOf } from '../../../src/base/errors.ts';
import { at } from '../../../src/base/assert.ts';
import { Cluster, type ClusterClient } from '../../../src/index.ts';
import { Random } from '../../oracle/random.ts';
import { doHarm, type Harm } from '../chaos.ts';
import { settle } from '../settle.ts';
import type { SoakOptions } from '../soak-options.ts';
import type { SoakServers } from '../soak-servers.ts';
import { checkHistory } from './check-history.ts';
import type { Anomaly, Entry, FinalLists, Operation } from './history.ts';

export type ListLevel = 'consistent snapshots' | 'read committed';

export interface ListsReport extends Harm {
  readonly history: readonly Entry[];
  readonly anomalies: readonly Anomaly[];
}

const tenants = 12;
const lanes = 8;
/** After so many transactions lists of their own are used, so that lists stay short. */
const generationLength = 150;

/** Transactions append to lists of several nodes and read others, while connections are cut and servers killed. */
export async function runLists(servers: SoakServers, level: ListLevel, { seed, seconds, processes, serverKills }: SoakOptions): Promise<ListsReport> {
  const { connectionString } = servers;
  const options = { connectionString, statementTimeoutMs: 5_000, recoveryIntervalMs: 300, connectTimeoutMs: 2_000 };
  const clusters = Array.from({ length: processes }, () => new Cluster(options));
  const first = at(clusters, 0);
  await first.query('CREATE TABLE lists (tenant_id int, id int, items text[] NOT NULL, PRIMARY KEY (tenant_id, id))');
  await first.createDistributedTable('lists', 'tenant_id', { shardCount: 6 });
  const nodes = new Map(await Promise.all(Array.from({ length: tenants }, async (_, i) => [i + 1, (await first.shardOf('lists', i + 1)).node] as const)));
  const over = AbortSignal.timeout(seconds * 1_000);
  const work = new ListWork(nodes, level);
  const running = Array.from({ length: lanes }, (_, lane) => work.run(at(clusters, lane % processes), new Random(seed * 100 + lane), { lane, over }));
  const harm = await doHarm(servers, { random: new Random(seed), serverKills }, over);
  await Promise.all(running);
  await settle(first);
  const lists = await finalLists(first);
  await Promise.all(clusters.map((cluster) => cluster.end()));
  return { ...harm, history: work.history, anomalies: checkHistory(work.history, lists) };
}

class ListWork {
  readonly history: Entry[] = [];
  #count = 0;

  constructor(
    private readonly nodes: ReadonlyMap<number, unknown>,
    private readonly level: ListLevel,
  ) {}

  async run(cluster: Cluster, random: Random, { lane, over }: { readonly lane: number; readonly over: AbortSignal }): Promise<void> {
    for (let i = 0; !over.aborted; i += 1) {
      this.#count += 1;
      const done: Operation[] = [];
      const id = `${lane}-${i}`;
      const outcome = await this.#transaction(cluster, { id, random, done });
      this.history.push({ id, operations: done, outcome });
      if (outcome !== 'committed') await wait(10);
    }
  }

  async #transaction(cluster: Cluster, { id, random, done }: { readonly id: string; readonly random: Random; readonly done: Operation[] }): Promise<Entry['outcome']> {
    let client: ClusterClient | undefined;
    let ending = false;
    try {
      client = await cluster.connect();
      if (this.level === 'consistent snapshots') await client.query('SET shardwright.consistent_snapshots = on');
      await client.query(`BEGIN ISOLATION LEVEL ${this.level === 'consistent snapshots' ? 'REPEATABLE READ' : 'READ COMMITTED'}`);
      const generation = Math.floor(this.#count / generationLength);
      for (const [i, { tenant, appends }] of this.#choose(random).entries()) done.push(await (appends ? append : read)(client, { tenant, generation, value: `${id}-${i}` }));
      ending = true;
      const { command } = await client.query('COMMIT');
      return command === 'COMMIT' ? 'committed' : 'aborted';
    } catch (error) {
      // A statement may have appended before its connection was lost; such a value must never be seen.
      return ending && sqlStateOf(error) === '08007' ? 'unknown' : 'aborted';
    } finally {
      client?.release(true);
    }
  }

  /**
   * What a transaction does to which tenants' lists. One that appends does so on two nodes at least: consistent snapshots may show one of two transactions on one node each without the
   * other.
   */
  #choose(random: Random): { readonly tenant: number; readonly appends: boolean }[] {
    const all = [...this.nodes.keys()];
    const chosen = random.sample(all, random.int(2, 4)).map((tenant) => ({ tenant, appends: false }));
    if (random.chance(0.4)) return chosen;
    const tenant = random.pick(all);
    const other = random.pick(all.filter((one) => this.nodes.get(one) !== this.nodes.get(tenant)));
    const appends = [tenant, other].toSorted((a, b) => a - b).map((one) => ({ tenant: one, appends: true }));
    return random.chance(0.5) ? [...chosen, ...appends] : [at(appends, 0), ...chosen, at(appends, 1)];
  }
}

interface Asked {
  readonly tenant: number;
  readonly generation: number;
  readonly value: string;
}

async function append(client: ClusterClient, { tenant, generation, value }: Asked): Promise<Operation> {
  const text = 'INSERT INTO lists VALUES ($1, $2, ARRAY[$3]) ON CONFLICT (tenant_id, id) DO UPDATE SET items = lists.items || excluded.items';
  await client.query(text, [tenant, generation, value]);
  return { kind: 'append', key: `${tenant}/${generation}`, value };
}

async function read(client: ClusterClient, { tenant, generation }: Asked): Promise<Operation> {
  const { rows } = await client.query<{ items: string[] }>('SELECT items FROM lists WHERE tenant_id = $1 AND id = $2', [tenant, generation]);
  return { kind: 'read', key: `${tenant}/${generation}`, list: rows[0]?.items ?? [] };
}

async function finalLists(cluster: Cluster): Promise<FinalLists> {
  const { rows } = await cluster.query<{ tenant_id: number; id: number; items: string[] }>('SELECT tenant_id, id, items FROM lists');
  return new Map(rows.map(({ tenant_id: tenant, id, items }) => [`${tenant}/${id}`, items]));
}
