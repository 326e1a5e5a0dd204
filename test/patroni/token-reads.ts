import { setTimeout as delay } from 'node:timers/promises';
import { sqlStateOf } from '../../src/base/errors.ts';
import type { Cluster } from '../../src/index.ts';

const shardCount = 8;
const tenantsMax = 40;
const lanesPerNode = 2;
const pauseMs = 3;

/** What readers have seen in a trial. */
export interface ReadTally {
  /** That were answered, with a token. */
  readonly reads: number;
  /** Of these, which showed less than the token stands for: there must be none. */
  readonly old: number;
  /** Those without a token that showed less than was acknowledged: replicas may. */
  readonly oldWithout: number;
  /** Rows that at the end are behind what was acknowledged, or ahead of what was asked for. */
  readonly wrong: number;
  /** Reads that failed, by SQLSTATE. */
  readonly failed: ReadonlyMap<string, number>;
}

/** Each lane counts up a row of its own, and reads it, on a replica where one is fit, with the token of the last write that was acknowledged: it must never see less. */
export class TokenReads {
  #tally = { reads: 0, old: 0, oldWithout: 0, wrong: 0, failed: new Map<string, number>() };
  #over = new AbortController();
  #lanes: Promise<void>[] = [];

  private constructor(
    private readonly cluster: Cluster,
    /** Of the lanes' rows. */
    private readonly tenants: readonly number[],
  ) {}

  /** The cluster must have `readTokens`. */
  static async create(cluster: Cluster): Promise<TokenReads> {
    await cluster.query('CREATE TABLE counters (tenant bigint PRIMARY KEY, value bigint NOT NULL)');
    await cluster.createDistributedTable('counters', 'tenant', { shardCount });
    const ofNode = new Map<number, number[]>();
    for (let tenant = 1; tenant <= tenantsMax; tenant += 1) {
      const { nodeId } = await cluster.shardOf('counters', tenant);
      ofNode.set(nodeId, [...(ofNode.get(nodeId) ?? []), tenant].slice(0, lanesPerNode));
    }
    return new TokenReads(cluster, [...ofNode.values()].flat());
  }

  async start(): Promise<void> {
    await this.cluster.query('TRUNCATE counters');
    await this.cluster.query('INSERT INTO counters SELECT unnest($1::bigint[]), 0', [this.tenants]);
    this.#tally = { reads: 0, old: 0, oldWithout: 0, wrong: 0, failed: new Map() };
    this.#over = new AbortController();
    this.#lanes = this.tenants.map((tenant) => this.#lane(tenant));
  }

  async stop(): Promise<ReadTally> {
    this.#over.abort();
    await Promise.all(this.#lanes);
    return this.#tally;
  }

  async #lane(tenant: number): Promise<void> {
    let [asked, acknowledged]: [number, number] = [0, 0];
    let token: string | undefined;
    while (!this.#over.signal.aborted) {
      asked += 1;
      const written = await this.cluster.query('UPDATE counters SET value = $2 WHERE tenant = $1', [tenant, asked]).catch(() => undefined);
      if (written !== undefined) [acknowledged, token] = [asked, written.readToken];
      if (token !== undefined) await this.#readTwice(tenant, { least: acknowledged, token });
      await delay(pauseMs);
    }
    const value = await this.#read(tenant, { reads: 'primary' });
    if (value !== undefined && (value < acknowledged || value > asked)) this.#tally.wrong += 1;
  }

  async #readTwice(tenant: number, { least, token }: { readonly least: number; readonly token: string }): Promise<void> {
    const without = await this.#read(tenant, { reads: 'prefer-replica' });
    if (without !== undefined && without < least) this.#tally.oldWithout += 1;
    const value = await this.#read(tenant, { reads: 'prefer-replica', token });
    if (value === undefined) return;
    this.#tally.reads += 1;
    if (value < least) this.#tally.old += 1;
  }

  /** 0 where the row is not there yet; undefined when it failed. */
  async #read(tenant: number, how: { readonly reads: 'primary' | 'prefer-replica'; readonly token?: string }): Promise<number | undefined> {
    try {
      const { rows } = await this.cluster.query<{ value: string }>({ text: 'SELECT value FROM counters WHERE tenant = $1', values: [tenant], ...how });
      return Number(rows[0]?.value ?? 0);
    } catch (error) {
      const code = sqlStateOf(error) ?? String(error);
      this.#tally.failed.set(code, (this.#tally.failed.get(code) ?? 0) + 1);
      return undefined;
    }
  }
}
