import { setTimeout as delay } from 'node:timers/promises';
import { at } from '../../src/base/assert.ts';
import { sqlStateOf } from '../../src/base/errors.ts';
import type { Cluster } from '../../src/index.ts';
import { type GroupName, groupNames } from './patroni-cluster.ts';

interface Write {
  readonly target: GroupName;
  readonly entry: number;
  readonly endedMs: number;
  /** Undefined when it was acknowledged. */
  readonly code: string | undefined;
}

const lanesPerTarget = 3;
const pauseMs = 3;
const shardCount = 8;

/** Writers of single rows, outside of transactions, for each node and for a local table of the coordinator database. No unique index keeps a row from being written twice. */
export class SingleWrites {
  #writes: Write[] = [];
  #next = 0;
  #over = new AbortController();
  #lanes: Promise<void>[] = [];

  private constructor(
    private readonly cluster: Cluster,
    private readonly tenants: ReadonlyMap<GroupName, readonly number[]>,
  ) {}

  static async create(cluster: Cluster): Promise<SingleWrites> {
    await cluster.query('CREATE TABLE entries (tenant bigint NOT NULL, entry bigint NOT NULL)');
    await cluster.query('CREATE TABLE local_entries (tenant bigint NOT NULL, entry bigint NOT NULL)');
    await cluster.createDistributedTable('entries', 'tenant', { shardCount });
    const tenants = new Map<GroupName, number[]>(groupNames.map((name) => [name, []]));
    for (let tenant = 1; tenant <= 40; tenant += 1) tenants.get(at(groupNames, (await cluster.shardOf('entries', tenant)).nodeId))?.push(tenant);
    tenants.set('coordinator', [0]);
    return new SingleWrites(cluster, tenants);
  }

  async start(): Promise<void> {
    await this.cluster.query('TRUNCATE entries');
    await this.cluster.query('TRUNCATE local_entries');
    this.#writes = [];
    this.#over = new AbortController();
    this.#lanes = [...this.tenants].flatMap(([target, tenants]) => Array.from({ length: lanesPerTarget }, () => this.#lane(target, tenants)));
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await Promise.all(this.#lanes);
  }

  get acknowledged(): number {
    return this.#writes.filter(({ code }) => code === undefined).length;
  }

  /** When the first write was acknowledged from then on. */
  resumedMs(target: GroupName, fromMs: number): number | undefined {
    return this.#writes.find((write) => write.target === target && write.code === undefined && write.endedMs >= fromMs)?.endedMs;
  }

  /** How many failed, by SQLSTATE. */
  failures(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { code } of this.#writes) if (code !== undefined) counts.set(code, (counts.get(code) ?? 0) + 1);
    return counts;
  }

  /** Compares what is there with what was said. `lost`: acknowledged and not there; `doubled`; `undead`: failed for certain and there. */
  async compare(): Promise<{ readonly lost: number; readonly doubled: number; readonly undead: number }> {
    const read = async (table: string): Promise<[number, number][]> => {
      const { rows } = await this.cluster.query<{ entry: string; times: string }>(`SELECT entry, count(*) AS times FROM ${table} GROUP BY entry`);
      return rows.map(({ entry, times }) => [Number(entry), Number(times)]);
    };
    const times = new Map([...(await read('entries')), ...(await read('local_entries'))]);
    const count = (isSo: (write: Write, there: number) => boolean): number => this.#writes.filter((write) => isSo(write, times.get(write.entry) ?? 0)).length;
    return {
      lost: count(({ code }, there) => code === undefined && there === 0),
      doubled: count((_write, there) => there > 1),
      undead: count(({ code }, there) => code !== undefined && code !== '08007' && there > 0),
    };
  }

  async #lane(target: GroupName, tenants: readonly number[]): Promise<void> {
    while (!this.#over.signal.aborted) {
      const entry = (this.#next += 1);
      const code = await this.cluster.query(`INSERT INTO ${target === 'coordinator' ? 'local_entries' : 'entries'} VALUES ($1, $2)`, [at(tenants, entry % tenants.length), entry]).then(() => undefined, (error: unknown) => sqlStateOf(error) ?? String(error));
      this.#writes.push({ target, entry, endedMs: performance.now(), code });
      await delay(pauseMs);
    }
  }
}
