import type { OracleCase, WriteCase } from '../oracle/oracle-case.ts';

/** What the fuzzer and the matrix found in queries, shrunk; each is replayed for ever. */
export const readFinds: readonly OracleCase[] = [
  // An expression over aggregates kept the WHERE clause above the gather.
  { sql: `SELECT (count(*) + 1) AS c0 FROM orders AS t0 WHERE t0.paid` },
  { sql: `SELECT round(avg(t1.credit)::numeric, 2) AS c0 FROM lines AS t0 JOIN accounts AS t1 ON t0.tenant_id = t1.tenant_id WHERE (t0.order_id IS NOT NULL)` },
  { sql: `SELECT sum(DISTINCT t0.credit) AS c0 FROM accounts AS t0 WHERE (t0.region_id BETWEEN 0::bigint AND 0::bigint)` },
  // The merge took USING > for ascending.
  { sql: `SELECT tenant_id, id FROM orders ORDER BY tenant_id USING >, id USING <`, order: 'total' },
  // A condition was copied to where its table has another name.
  { sql: `SELECT r2.ms FROM ghosts AS r0 JOIN visits AS r2 ON r0.label = r2.page AND r0.id <= 0 WHERE r0.id = ANY (SELECT s0.line FROM lines AS s0 JOIN visits AS s1 ON s0.line = s1.ms WHERE s0.tenant_id = r0.tenant_id)` },
  // Common table expressions that nothing reads, or nothing any more.
  { sql: `WITH "Cte ü" AS (SELECT r0.tenant_id AS c0 FROM settings AS r0) SELECT t0."select" FROM "Ünï"."Odd ""Name" AS t0 JOIN events AS t2 ON true` },
  { sql: `WITH a AS (SELECT 1 FROM settings WHERE name = $1), b AS (SELECT $2::int AS x), c AS (SELECT 2) SELECT o.id FROM orders o, b WHERE o.id = b.x`, values: ['x', 3] },
  { sql: `WITH a AS (SELECT r2.id FROM blanks AS r0 JOIN other.items AS r1 ON r0.o IN (SELECT true FROM settings) JOIN regions AS r2 ON true) SELECT t1.name FROM accounts AS t1` },
  { sql: `WITH RECURSIVE a AS (SELECT r0.key AS c0 FROM events AS r0), b AS (SELECT 1 AS c0, x.account_id AS c1 FROM orders AS x UNION SELECT r.c0 + 1, x."from" FROM b AS r JOIN "Ünï"."Odd ""Name" AS x ON true) SELECT t0.c0 FROM a AS t0` },
  { sql: `WITH a AS (SELECT true AS c0 FROM (SELECT s0.value FROM settings AS s0) AS r0) SELECT ARRAY(SELECT t1.id FROM regions AS r0 JOIN ((SELECT s0.id FROM accounts AS s0 JOIN a ON true) UNION SELECT s2.qty FROM accounts AS s0 JOIN lines AS s2 ON true ORDER BY 1 LIMIT 0) AS t1 ON true WHERE t0.id = r0.id ORDER BY 1) FROM ghosts AS t0` },
  { sql: `WITH a AS (SELECT nope FROM accounts WHERE tenant_id = 1) SELECT count(*) FROM orders` },
  // What holds for rows above a LIMIT was taken for true below it.
  { sql: `SELECT a.credit, r.c FROM accounts AS a CROSS JOIN LATERAL (SELECT r0.a AS c FROM (SELECT o.discount AS a, o.id AS b, o.tenant_id AS k FROM orders AS o ORDER BY 1, 2, 3 LIMIT 6) AS r0 WHERE a.tenant_id = r0.k) AS r WHERE a.tenant_id = 2` },
  // A column of the query around was taken for the result column of its name.
  { sql: `SELECT t3.c1 FROM (VALUES (2::bigint, 1), (1, 2)) AS t3(c0, c1) WHERE EXISTS (SELECT e1.i AS c0 FROM blanks AS e1 WHERE e1.i = c0)` },
  { sql: `SELECT count(*) FROM accounts a WHERE a.id IN (VALUES (a.region_id), ((SELECT max(o.id) FROM orders o WHERE o.account_id = a.id)))` },
  // Rows around a subquery, equal to its distribution column, but of tables that are not co-located with it.
  { sql: `SELECT a.id FROM accounts a WHERE NOT EXISTS (SELECT FROM marks m WHERE m.tenant_id = a.tenant_id AND m.id > 3)` },
  { sql: `SELECT a.id, w.id FROM accounts a LEFT JOIN LATERAL (SELECT m.id FROM marks m WHERE m.tenant_id = a.tenant_id) w ON true` },
  // A column under another name was to have an index.
  { sql: `SELECT t1.id, (SELECT max(r.b) FROM visits AS r(a, b, c) WHERE r.c = t2.seq) FROM orders t1 JOIN events AS t2 ON t1.id = t2.seq` },
  // A count of texts has no collation.
  { sql: `SELECT t0.id FROM orders AS t0 JOIN (SELECT count(DISTINCT r0.page) AS c0 FROM visits AS r0 HAVING true) AS t1 ON t0.id = t1.c0` },
  // A query that depends on rows around it was to be run by itself, for its keys.
  { sql: `SELECT count(*) FROM lines AS t0 CROSS JOIN (SELECT r2.id, rank() OVER (ORDER BY r1.id) FROM accounts AS r1 JOIN marks AS r2 ON r1.id < r2.id WHERE r1.name IN (SELECT s2.body FROM notes AS s2 WHERE s2.id = r2.id)) AS t1` },
  { sql: `SELECT count(*) FROM blanks AS t0 CROSS JOIN (SELECT r2.id, rank() OVER (ORDER BY r1.ms) FROM visits AS r1 JOIN marks AS r2 ON r1.ms < r2.id WHERE r1.page IN (SELECT s2.label FROM ghosts AS s2 WHERE s2.id = r2.id)) AS t1` },
  // A join's condition names a relation around the query, and a later one of its own has that name.
  { sql: `WITH a AS (SELECT 0.00 AS c0 FROM regions), b AS (SELECT id AS c1, count(*) AS c2 FROM marks WHERE tenant_id < 3 GROUP BY id) SELECT t2.c1 FROM a AS t1 JOIN b AS t2 ON true WHERE t1.c0 IN (SELECT t2.c0 FROM other.items AS i JOIN b AS r1 ON i.id < t2.c2 JOIN a AS t2 ON true)` },
  // An aggregate of no rows is a row, too: a LATERAL query's condition on a column around it says nothing of the rows around.
  { sql: `SELECT t0."from" AS c0 FROM "Ünï"."Odd ""Name" AS t0 CROSS JOIN LATERAL (SELECT every(true) AS c0 FROM unnest('{3,NULL,1,1}'::int[]) AS r0(c0) WHERE t0."select" = 1) AS t1` },
  { sql: `SELECT a.tenant_id, t.n FROM accounts AS a CROSS JOIN LATERAL (SELECT count(*) AS n FROM orders AS o WHERE o.tenant_id = a.tenant_id AND o.tenant_id = 3) AS t` },
  { sql: `SELECT o.id, t.n FROM orders AS o, LATERAL (SELECT count(*) AS n FROM accounts AS a WHERE a.tenant_id = o.tenant_id AND o.tenant_id IN (1, 3)) AS t` },
  { sql: `SELECT o.id, t.tenant_id FROM orders AS o, LATERAL (SELECT a.tenant_id FROM accounts AS a WHERE a.tenant_id = o.tenant_id AND o.tenant_id IN (1, 3)) AS t` },
  // A table was placed by the hash of a column that an alias has another name for.
  { sql: `SELECT a.tenant_id, l.o, l.sku FROM (SELECT id, tenant_id FROM accounts) AS a LEFT JOIN lines AS l(t, o, n) ON l.o = a.tenant_id` },
  // By the hash of a column that was not read: the condition that names it had been met already.
  { sql: `SELECT a.name, o.amount FROM (SELECT name, tenant_id FROM accounts) AS a JOIN orders AS o ON o.id = o.account_id AND o.account_id = a.tenant_id` },
  // Common table expressions that nothing reads: the name stands for another one further in, for a table, or the clause goes on behind the query.
  { sql: `WITH a AS (SELECT tenant_id FROM lines) SELECT t.id FROM (WITH a AS (SELECT id FROM accounts) SELECT id FROM a) AS t` },
  { sql: `WITH b AS (SELECT id FROM orders), orders AS (SELECT 1 FROM lines) SELECT id FROM b` },
  { sql: `SELECT a.id, (WITH x AS (SELECT id FROM marks) SELECT max(s.id) FROM (WITH x AS (SELECT id FROM orders) SELECT id FROM x) s) FROM accounts a` },
  { sql: `WITH RECURSIVE r(n) AS (SELECT id FROM orders UNION ALL SELECT n + 1 FROM r WHERE n < 3) SEARCH DEPTH FIRST BY n SET o SELECT id FROM accounts` },
  { sql: `WITH RECURSIVE r(n) AS (SELECT id FROM orders UNION ALL SELECT n + 1 FROM r WHERE n < 3) CYCLE n SET o USING p, b AS (SELECT 1 FROM lines) SELECT count(*) FROM accounts, b` },
  // A table was taken for the common table expression behind the query that reads it.
  { sql: `WITH b AS (SELECT s.id FROM (SELECT id FROM orders ORDER BY id, tenant_id LIMIT 3) AS s, accounts), orders AS (SELECT -7::bigint AS id) SELECT b.id, orders.id FROM b, orders, marks` },
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
