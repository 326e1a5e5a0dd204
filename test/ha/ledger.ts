import { present } from '../../src/base/assert.ts';
import { sqlStateOf } from '../../src/base/errors.ts';
import type { Cluster } from '../../src/index.ts';

export interface Tally {
  acknowledged: number;
  /** Failed, by SQLSTATE. */
  readonly failed: Map<string, number>;
}

/**
 * Writers that put numbered entries into `ledger`, which has no unique index, so that what is written twice is seen: single rows, and transactions over two tenants. What each write has come to is kept, to be compared with
 * the table at the end.
 */
export class Ledger {
  readonly #acknowledged = new Set<number>();
  readonly #unknown = new Set<number>();
  readonly #failed = new Set<number>();
  readonly singles: Tally = { acknowledged: 0, failed: new Map() };
  readonly transactions: Tally = { acknowledged: 0, failed: new Map() };
  #next = 0;
  #stopped = false;
  readonly #writers: Promise<void>[] = [];

  constructor(private readonly cluster: Cluster) {}

  static async create(cluster: Cluster): Promise<Ledger> {
    await cluster.query('CREATE TABLE ledger (tenant bigint NOT NULL, entry bigint NOT NULL)');
    await cluster.createDistributedTable('ledger', 'tenant', { shardCount: 4 });
    return new Ledger(cluster);
  }

  start(writers: number): void {
    for (let i = 0; i < writers; i += 1) this.#writers.push(this.#write(i % 2 === 0));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#writers);
  }

  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  /** What is wrong with the table: acknowledged entries that are lost, doubled or halved ones, and failed ones that are there. */
  async objections(): Promise<string[]> {
    const { rows } = await this.cluster.query<{ entry: string; times: string }>('SELECT entry, count(*) AS times FROM ledger GROUP BY entry');
    const times = new Map(rows.map(({ entry, times: count }) => [Number(entry), Number(count)]));
    const wanted = (entry: number): number => (entry % 2 === 0 ? 1 : 2);
    return [
      ...[...this.#acknowledged].filter((entry) => times.get(entry) !== wanted(entry)).map((entry) => `acknowledged entry ${entry} is there ${times.get(entry) ?? 0} times`),
      ...[...this.#failed].filter((entry) => times.has(entry)).map((entry) => `failed entry ${entry} is there`),
      ...[...this.#unknown].filter((entry) => ![undefined, wanted(entry)].includes(times.get(entry))).map((entry) => `unknown entry ${entry} is there in part`),
    ];
  }

  async #write(isSingle: boolean): Promise<void> {
    while (!this.#stopped) {
      // Even numbers are single rows, odd ones transactions of two.
      const entry = this.#next * 2 + (isSingle ? 0 : 1);
      this.#next += 1;
      const tally = isSingle ? this.singles : this.transactions;
      try {
        if (isSingle) await this.cluster.query('INSERT INTO ledger VALUES ($1, $2)', [entry % 50, entry]);
        else await this.#transfer(entry);
        tally.acknowledged += 1;
        this.#acknowledged.add(entry);
      } catch (error) {
        const code = present(sqlStateOf(error), String(error));
        tally.failed.set(code, (tally.failed.get(code) ?? 0) + 1);
        (code === '08007' ? this.#unknown : this.#failed).add(entry);
      }
    }
  }

  /** Without trying again, so that what it fails with is seen. */
  async #transfer(entry: number): Promise<void> {
    await this.cluster.transaction(async (client) => {
      for (const tenant of [entry % 50, (entry + 7) % 50]) await client.query('INSERT INTO ledger VALUES ($1, $2)', [tenant, entry]);
    }, { retries: 0 });
  }
}
