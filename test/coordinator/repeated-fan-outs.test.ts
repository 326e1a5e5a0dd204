import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { present } from '../../src/base/assert.ts';
import { type ClusterAndPlain, startCluster } from './start-cluster.ts';

let open: ClusterAndPlain | undefined;
beforeAll(async () => {
  open = await startCluster();
});
afterAll(() => open?.[Symbol.asyncDispose]());

const sorted = (rows: readonly unknown[]): string[] => rows.map((row) => JSON.stringify(row)).sort();

describe('shard groups of a node read as one', () => {
  test.each([
    'SELECT note, count(*), sum(total), avg(total) FROM orders GROUP BY note',
    "SELECT o.note, max(o.at) FROM public.orders AS o WHERE o.id > 2 AND o.mood <> 'sad' GROUP BY o.note HAVING count(*) > 3",
    'SELECT count(*) FROM orders',
    'SELECT public.orders.id % 2 AS odd, count(DISTINCT note), min(at) FROM public.orders GROUP BY 1',
    "SELECT c.name, sum(o.total) FROM orders o JOIN countries c ON c.code = CASE o.id % 2 WHEN 0 THEN 'de' ELSE 'fr' END GROUP BY c.name",
    'WITH big AS (SELECT note, total FROM orders WHERE total > 20) SELECT note, sum(total) FROM big GROUP BY note',
    'SELECT note, count(*) FROM orders WHERE tenant_id IN (1, 2, 3, 5, 8) GROUP BY note',
  ])('%s', async (sql) => {
    const both = present(open);
    const { plain } = both;
    const cluster = both.another({ tuning: { unite: true } });
    expect((await cluster.explain(sql)).text).toContain('United shard groups');
    const rows = sorted((await cluster.query(sql)).rows);
    expect(rows).toEqual(sorted((await plain.query(sql)).rows));
    await cluster.end();
  });

  test.each([
    'SELECT note, count(orders) FROM orders GROUP BY note',
    'SELECT note, count(o.*) FROM orders o GROUP BY note',
    'SELECT note, count(*) FROM ONLY orders GROUP BY note',
    'SELECT note, count(*) FROM orders TABLESAMPLE BERNOULLI (100) GROUP BY note',
    'SELECT o.note, count(*) FROM orders o JOIN items i ON i.tenant_id = o.tenant_id GROUP BY o.note',
    'SELECT n, count(*) FROM orders AS o(a, b, c, n) GROUP BY n',
    'SELECT note, id FROM orders',
  ])('not: %s', async (sql) => {
    const both = present(open);
    const { plain } = both;
    const cluster = both.another({ tuning: { unite: true } });
    expect((await cluster.explain(sql)).text).not.toContain('United shard groups');
    const rows = sorted((await cluster.query(sql)).rows);
    expect(rows).toEqual(sorted((await plain.query(sql)).rows));
    await cluster.end();
  });

  test('tried when many groups come, kept when fewer come by it', async () => {
    const { cluster, plain } = present(open);
    const many = 'SELECT x, count(*) FROM orders CROSS JOIN generate_series(1, 300) x GROUP BY x';
    const apart = 'SELECT x, tenant_id % 12 AS t, count(*) FROM orders CROSS JOIN generate_series(1, 300) x GROUP BY 1, 2';
    for (const sql of [many, apart]) {
      const expected = sorted((await plain.query(sql)).rows);
      for (let run = 0; run < 12; run += 1) expect(sorted((await cluster.query(sql)).rows)).toEqual(expected);
    }
    expect((await cluster.explain(many)).text).toContain('United shard groups');
    expect((await cluster.explain(apart)).text).not.toContain('United shard groups');
    const workers = "SELECT current_setting('max_parallel_workers_per_gather') AS workers";
    expect((await cluster.query(`${workers} FROM orders GROUP BY 1`)).rows).toEqual((await plain.query(workers)).rows);
  });
});

test('a literal that means the time of its reading is read in each run', async () => {
  const { cluster } = present(open);
  const times = new Set<unknown>();
  for (let run = 0; run < 12; run += 1) times.add((await cluster.query<{ t: Date }>("SELECT DISTINCT to_char('now'::timestamptz, 'SS.US') AS t FROM orders WHERE id > $1", [0])).rows.map(({ t }) => t).join());
  expect(times.size).toBe(12);
});

test('the same rows whichever plan a repeated lookup runs by; errors leave no trace', async () => {
  const { cluster, plain } = present(open);
  const text = 'SELECT tenant_id, id, 10 / ($3::int - id) AS x FROM orders WHERE id BETWEEN $1 AND $2 ORDER BY id, tenant_id';
  for (let run = 0; run < 40; run += 1) {
    const values = [1 + (run % 3), 3, 9];
    expect((await cluster.query(text, values)).rows).toEqual((await plain.query(text, values)).rows);
    if (run % 4 === 0) await expect(cluster.query(text, [1, 3, 2])).rejects.toMatchObject({ code: '22012' });
    expect((await cluster.query("SELECT DISTINCT current_setting('plan_cache_mode') AS mode FROM orders WHERE tenant_id = $1", [1 + (run % 12)])).rows).toEqual([{ mode: 'auto' }]);
  }
});
