import type { OracleCase, WriteCase } from '../oracle/oracle-case.ts';

/** What the fuzzer and the matrix found in queries, shrunk; each is replayed for ever. */
export const readFinds: readonly OracleCase[] = [
  // An expression over aggregates kept the WHERE clause above the gather.
  { sql: `SELECT (count(*) + 1) AS c0 FROM orders AS t0 WHERE t0.paid` },
  { sql: `SELECT round(avg(t1.credit)::numeric, 2) AS c0 FROM lines AS t0 JOIN accounts AS t1 ON t0.tenant_id = t1.tenant_id WHERE (t0.order_id IS NOT NULL)` },
  { sql: `SELECT sum(DISTINCT t0.credit) AS c0 FROM accounts AS t0 WHERE (t0.region_id BETWEEN 0::bigint AND 0::bigint)` },
  // The merge took USING > for ascending.
  { sql: `SELECT tenant_id, id FROM orders ORDER BY tenant_id USING >, id USING <`, order: 'total' },
];

/** What the fuzzer found in writes, shrunk. */
export const writeFinds: readonly WriteCase[] = [
  // Rows came back by shard, not in the order of the input.
  {
    name: 'INSERT over several tenants, some skipped, returns in the order of the input',
    steps: [{ sql: `INSERT INTO w_stock (tenant_id, id) VALUES (3, 6), (1, 1), (-42, 5), (4, 5), (9, 7), (2, 8) ON CONFLICT DO NOTHING RETURNING tenant_id, id`, order: 'total' }],
    volatileColumns: ['changed'],
  },
  {
    name: 'INSERT over several tenants, none skipped, returns in the order of the input',
    steps: [{ sql: `INSERT INTO w_stock (tenant_id, id) VALUES (3, 6), (-42, 5), (9, 7), (1, 8), (4, 9), (2, 8) ON CONFLICT (tenant_id, id) DO NOTHING RETURNING id * 2 AS double, upper(name)`, order: 'total' }],
    volatileColumns: ['changed'],
  },
];
