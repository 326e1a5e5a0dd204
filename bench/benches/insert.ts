import type { TableDefinition } from '../data/table-definition.ts';
import type { Bench, Target, Variant } from '../harness/bench.ts';
import { createTable } from '../harness/create-table.ts';
import { runClients } from '../harness/run-clients.ts';
import { ratioAtLeast } from '../harness/targets.ts';
import type { TestBed } from '../harness/test-bed.ts';

const impressions: TableDefinition = {
  name: 'impressions',
  columns: ['company_id', 'id', 'ad_id', 'cost'],
  statements: [
    `CREATE TABLE impressions (company_id bigint NOT NULL, id bigint NOT NULL, ad_id bigint NOT NULL, cost numeric(12,4) NOT NULL,
       seen_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (company_id, id))`,
  ],
  placement: { kind: 'distributed', column: 'company_id', colocateWith: 'companies' },
};

const rowsPerStatement = 100;

/** INSERT of one row and of a hundred, of one tenant and of many. Every statement commits on its own. */
export const insert: Bench = {
  name: 'insert',
  about: 'INSERT of 1 row (1, 32 clients) and of 100 rows (many tenants, one tenant)',
  variants: (bed) => {
    const inserts = new Inserts(bed);
    return [
      inserts.variant({ name: 'insert/1', clients: 1, rows: 1, tenants: 'many' }),
      inserts.variant({ name: 'insert/32', clients: 32, rows: 1, tenants: 'many', target: ratioAtLeast(0.9) }),
      inserts.variant({ name: 'insert/100-rows-many-tenants', clients: 1, rows: rowsPerStatement, tenants: 'many', target: ratioAtLeast(0.5) }),
      inserts.variant({ name: 'insert/100-rows-many-tenants-8', clients: 8, rows: rowsPerStatement, tenants: 'many', target: ratioAtLeast(0.5) }),
      inserts.variant({ name: 'insert/100-rows-one-tenant', clients: 1, rows: rowsPerStatement, tenants: 'one', target: ratioAtLeast(0.47) }),
    ];
  },
};

interface InsertWork {
  readonly name: string;
  readonly clients: number;
  readonly rows: number;
  readonly tenants: 'one' | 'many';
  readonly target?: Target;
}

/** The inserts into one table, whose ids go on from variant to variant. */
class Inserts {
  private nextId = 1;
  private ready = false;

  constructor(private readonly bed: TestBed) {}

  variant({ target, ...work }: InsertWork): Variant {
    const text = insertText(work.rows);
    return {
      metrics: [{ name: work.name, unit: 'ops/s', ...(target === undefined ? {} : { target }) }],
      prepare: () => this.prepare(),
      measure: async (side) => {
        const pool = side.pool(work.clients);
        const operation = (): Promise<unknown> => pool.query({ text, values: this.values(work), ...(work.rows === 1 ? { name: 'insert-one' } : {}) });
        return [(await runClients({ clients: work.clients, durationMs: this.bed.pace.measureMs, operation })).operationsPerSecond];
      },
    };
  }

  private async prepare(): Promise<void> {
    if (this.ready) return;
    this.ready = true;
    await createTable(this.bed.plain.pool(1), impressions);
    await createTable(this.bed.shardwright, impressions, this.bed.shardwright);
  }

  private values({ rows, tenants }: InsertWork): unknown[] {
    const { companies } = this.bed.rows.size;
    const values: unknown[] = [];
    const tenant = (this.nextId % companies) + 1;
    for (let row = 0; row < rows; row += 1) {
      const id = this.nextId++;
      values.push(tenants === 'one' ? tenant : (id % companies) + 1, id, id % 5000, '0.1250');
    }
    return values;
  }
}

function insertText(rows: number): string {
  const tuples = Array.from({ length: rows }, (_, row) => `($${row * 4 + 1}, $${row * 4 + 2}, $${row * 4 + 3}, $${row * 4 + 4})`);
  return `INSERT INTO impressions (company_id, id, ad_id, cost) VALUES ${tuples.join(', ')}`;
}
