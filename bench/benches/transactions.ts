import type { TableDefinition } from '../data/table-definition.ts';
import type { Bench, Target, Variant } from '../harness/bench.ts';
import { createTable } from '../harness/create-table.ts';
import { runClients } from '../harness/run-clients.ts';
import type { Connectable, Connected, Side } from '../harness/side.ts';
import { ratioAtLeast, ratioAtMost } from '../harness/targets.ts';
import type { TestBed } from '../harness/test-bed.ts';

const companies = 1_000;
const walletsPerCompany = 20;

const wallets: TableDefinition = {
  name: 'wallets',
  columns: ['company_id', 'id', 'balance'],
  statements: ['CREATE TABLE wallets (company_id bigint NOT NULL, id int NOT NULL, balance bigint NOT NULL, PRIMARY KEY (company_id, id))'],
  placement: { kind: 'distributed', column: 'company_id' },
};

const entries: TableDefinition = {
  name: 'entries',
  columns: ['company_id', 'id', 'wallet', 'amount'],
  statements: ['CREATE TABLE entries (company_id bigint NOT NULL, id bigint NOT NULL, wallet int NOT NULL, amount bigint NOT NULL, PRIMARY KEY (company_id, id))'],
  placement: { kind: 'distributed', column: 'company_id', colocateWith: 'wallets' },
};

const fill = `INSERT INTO wallets (company_id, id, balance) SELECT c, w, 1000000 FROM generate_series(1, ${companies}) c, generate_series(1, ${walletsPerCompany}) w`;
const take = 'UPDATE wallets SET balance = balance - 1 WHERE company_id = $1 AND id = $2';
const give = 'UPDATE wallets SET balance = balance + 1 WHERE company_id = $1 AND id = $2';
const note = 'INSERT INTO entries (company_id, id, wallet, amount) VALUES ($1, $2, $3, 1)';

/** Transaction blocks: BEGIN, writes, COMMIT, each statement awaited as an application does. */
export const transactions: Bench = {
  name: 'transactions',
  about: 'transactions of one tenant (2 UPDATE, 1 INSERT) and of two tenants on two nodes (2 UPDATE), 1 and 32 clients',
  ownTables: true,
  variants: (bed) => {
    const work = new Transfers(bed);
    return [
      work.oneTenant(1),
      work.oneTenant(32, ratioAtLeast(0.85)),
      work.twoTenants(1, { p50: ratioAtMost(2.5) }),
      work.twoTenants(32, { throughput: ratioAtLeast(0.35) }),
    ];
  },
};

class Transfers {
  private ready = false;
  private nextEntry = 1;
  /** Tenants by the node that they are on. */
  private tenants: readonly (readonly number[])[] = [];

  constructor(private readonly bed: TestBed) {}

  oneTenant(clients: number, target?: Target): Variant {
    return {
      metrics: [{ name: `transactions/one-tenant-${clients}`, unit: 'ops/s', ...(target === undefined ? {} : { target }) }],
      prepare: () => this.prepare(),
      measure: async (side) => [(await this.run(side, clients, (client) => this.withinTenant(client))).operationsPerSecond],
    };
  }

  twoTenants(clients: number, targets: { readonly p50?: Target; readonly throughput?: Target }): Variant {
    return {
      metrics: [
        { name: `transactions/two-tenants-${clients}`, unit: 'ops/s', ...(targets.throughput === undefined ? {} : { target: targets.throughput }) },
        { name: `transactions/two-tenants-${clients}-p50`, unit: 'ms', ...(targets.p50 === undefined ? {} : { target: targets.p50 }) },
      ],
      prepare: () => this.prepare(),
      measure: async (side) => {
        const { operationsPerSecond, medianMs } = await this.run(side, clients, (client) => this.acrossTenants(client));
        return [operationsPerSecond, medianMs];
      },
    };
  }

  private run(side: Side, clients: number, work: (client: Connected) => Promise<void>): ReturnType<typeof runClients> {
    const pool: Connectable = side.pool(clients);
    const operation = async (): Promise<void> => {
      const client = await pool.connect();
      try {
        await client.query('BEGIN');
        await work(client);
        await client.query('COMMIT');
      } finally {
        client.release();
      }
    };
    return runClients({ clients, durationMs: this.bed.pace.measureMs, operation });
  }

  private async withinTenant(client: Connected): Promise<void> {
    const company = random(companies) + 1;
    const [from, to] = twoOf(walletsPerCompany);
    await client.query(take, [company, from + 1]);
    await client.query(give, [company, to + 1]);
    await client.query(note, [company, this.nextEntry++, from + 1]);
  }

  /** In the order of tenants, so that no two wait for each other. */
  private async acrossTenants(client: Connected): Promise<void> {
    const [a, b] = twoOf(this.tenants.length).map((node) => this.tenantOn(node));
    const [first, second] = [a ?? 1, b ?? 2].sort((x, y) => x - y);
    await client.query(take, [first, random(walletsPerCompany) + 1]);
    await client.query(give, [second, random(walletsPerCompany) + 1]);
  }

  private tenantOn(node: number): number | undefined {
    const tenants = this.tenants[node] ?? [];
    return tenants[random(tenants.length)];
  }

  private async prepare(): Promise<void> {
    if (this.ready) return;
    this.ready = true;
    const { plain, shardwright } = this.bed;
    for (const table of [wallets, entries]) {
      await createTable(plain.pool(1), table);
      await createTable(shardwright, table, shardwright);
    }
    for (const side of [plain.pool(1), shardwright]) await side.query(fill);
    const nodes = new Map<string, number[]>();
    for (let company = 1; company <= companies; company += 1) {
      const { node } = await shardwright.shardOf('wallets', company);
      nodes.set(node, [...(nodes.get(node) ?? []), company]);
    }
    this.tenants = [...nodes.values()];
  }
}

function random(below: number): number {
  return Math.floor(Math.random() * below);
}

/** Two different numbers below `count`, the smaller first. */
function twoOf(count: number): [number, number] {
  const a = random(count);
  const b = (a + 1 + random(count - 1)) % count;
  return a < b ? [a, b] : [b, a];
}
