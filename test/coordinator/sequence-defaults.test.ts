import type { Pool } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, startCluster } from './start-cluster.ts';

let both: ClusterAndPlain;

const made = `CREATE SEQUENCE numbers;
  CREATE TABLE bills (tenant_id bigint, id int, no text DEFAULT 'no. ' || lpad(nextval('numbers')::text, 4, '0'), of oid DEFAULT 'numbers'::regclass, PRIMARY KEY (tenant_id, id));
  CREATE TABLE kinds (code text PRIMARY KEY, no int DEFAULT 10 * nextval('numbers'));
  CREATE TABLE keys (id bigint DEFAULT 10 * nextval('numbers') PRIMARY KEY, twin bigint DEFAULT currval('numbers'))`;

beforeAll(async () => {
  both = await startCluster();
  for (const side of [both.cluster, both.plain]) await side.query(made);
  await both.cluster.createDistributedTable('bills', 'tenant_id', { colocateWith: 'orders' });
  await both.cluster.createDistributedTable('keys', 'id', { shardCount: 4 });
  await both.cluster.createReferenceTable('kinds');
});

afterAll(() => both[Symbol.asyncDispose]());

/** MERGE, which takes a value for each row of its source, comes last. */
const statements = [
  'INSERT INTO bills (tenant_id, id) VALUES (1, 1) RETURNING no',
  'INSERT INTO bills (tenant_id, id) VALUES (1, 2), (2, 2) RETURNING no',
  'INSERT INTO bills VALUES (1, 3, DEFAULT, DEFAULT) RETURNING no',
  'INSERT INTO bills (tenant_id, id) SELECT tenant_id, id + 10 FROM orders WHERE id = 1',
  'INSERT INTO bills (tenant_id, id) SELECT tenant_id, 50 FROM orders WHERE tenant_id = 3 AND id = 1 RETURNING no',
  'INSERT INTO bills (tenant_id, id) VALUES (1, 1) ON CONFLICT DO NOTHING',
  `INSERT INTO bills (tenant_id, id) VALUES (1, 1), (1, 4) ON CONFLICT (tenant_id, id) DO UPDATE SET no = 'again'`,
  `INSERT INTO kinds (code) VALUES ('a'), ('b') RETURNING no`,
  `INSERT INTO kinds (code) SELECT 'k' || id FROM orders WHERE tenant_id = 1`,
  'INSERT INTO keys DEFAULT VALUES RETURNING id = 10 * twin',
  'INSERT INTO keys (twin) VALUES (1), (2)',
  'MERGE INTO bills b USING (VALUES (4, 20), (5, 20), (1, 1)) s (t, i) ON b.tenant_id = s.t AND b.id = s.i WHEN NOT MATCHED THEN INSERT (tenant_id, id) VALUES (s.t, s.i)',
];

const totals = [
  `SELECT count(*)::int, count(no)::int, count(DISTINCT no)::int, count(of)::int, bool_and(no ~ '^no. [0-9]{4}$' OR no = 'again') FROM bills`,
  'SELECT count(*)::int, count(no)::int, count(DISTINCT no)::int, bool_and(no % 10 = 0) FROM kinds',
  'SELECT count(*)::int, bool_and(id % 10 = 0), count(twin)::int FROM keys',
];

async function outcome(side: Pick<Cluster | Pool, 'query'>, text: string): Promise<unknown> {
  const { command, rowCount, rows } = await side.query({ text, rowMode: 'array' });
  return { command, rowCount, rows };
}

test('defaults over values of sequences are computed for each row, however it comes, in the order of one PostgreSQL', async () => {
  for (const text of statements) expect({ text, got: await outcome(both.cluster, text) }).toEqual({ text, got: await outcome(both.plain, text) });
  for (const text of totals) expect({ text, got: await outcome(both.cluster, text) }).toEqual({ text, got: await outcome(both.plain, text) });
});

test('so it is with COPY, and each copy of a reference table has the same', async () => {
  await both.cluster.copyFrom('COPY bills (tenant_id, id) FROM STDIN', '6\t100\n7\t100\n8\t100\n');
  await both.cluster.copyFrom('COPY kinds (code) FROM STDIN', 'x\ny\n');
  const { rows } = await both.cluster.query(`SELECT (SELECT count(DISTINCT no)::int FROM bills WHERE id = 100) AS bills, (SELECT count(DISTINCT no)::int FROM kinds WHERE code IN ('x', 'y')) AS kinds`);
  expect(rows).toEqual([{ bills: 3, kinds: 2 }]);
  expect((await both.cluster.verify()).differences).toEqual([]);
});

test.each([
  'UPDATE bills SET no = DEFAULT',
  'UPDATE bills SET no = DEFAULT WHERE tenant_id = 1',
  'INSERT INTO bills (tenant_id, id) VALUES (1, 1) ON CONFLICT (tenant_id, id) DO UPDATE SET no = DEFAULT',
  'UPDATE kinds SET no = DEFAULT',
])('%s is refused', async (text) => {
  await expect(both.cluster.query(text)).rejects.toMatchObject({ code: '0A000', detail: expect.stringMatching(/default/) as string });
});
