import type { OracleCase, WriteCase } from '../oracle-case.ts';

/** Columns whose values come from clocks and sequences. */
const volatileColumns = ['changed', 'seen', 'first_seen', 'token', 'w_log.id', 'w_log.ref'];

function write(sql: string, values?: readonly unknown[], flags: Partial<OracleCase> = {}): WriteCase {
  const name = values === undefined ? sql : `${sql} -- ${JSON.stringify(values)}`;
  return { name, steps: [{ sql, ...(values === undefined ? {} : { values }), ...flags }], volatileColumns };
}

/** May touch several shard groups: then it is refused, and what it would have written is compared where there is but one. */
function perhaps(sql: string, values?: readonly unknown[]): WriteCase {
  return write(sql, values, { refused: true });
}

/** WITH that writes, and INSERT … SELECT. */
export const routerWriteCases: readonly WriteCase[] = [
  write(`WITH new AS (INSERT INTO w_stock (tenant_id, id) VALUES (1, 900) RETURNING id) SELECT id FROM new`),
  write(`WITH new AS (INSERT INTO w_stock (tenant_id, id, qty) VALUES ($1, 900, 5), ($1, 901, NULL) RETURNING *) SELECT tenant_id, id, twice FROM new ORDER BY id`, [2], { order: 'total' }),
  write(`WITH w AS (UPDATE w_stock SET qty = 1 WHERE tenant_id = 1 RETURNING id) SELECT count(*) FROM w`),
  write(`WITH w AS (UPDATE w_stock SET qty = 1 WHERE tenant_id = 1) SELECT count(*), sum(qty) FROM w_stock WHERE tenant_id = 1`),
  write(`WITH gone AS (DELETE FROM w_log WHERE tenant_id = 1 RETURNING *) SELECT count(*) FROM gone`),
  write(`WITH gone AS (DELETE FROM w_log WHERE tenant_id = $1 RETURNING *) SELECT note FROM gone WHERE note > 'a'`, ['1']),
  write(`WITH gone AS (DELETE FROM w_stock WHERE tenant_id = 2 RETURNING tenant_id, id, name, qty) INSERT INTO w_stock (tenant_id, id, name, qty) SELECT tenant_id, id + 1000, 'moved ' || id, qty FROM gone RETURNING id, name`),
  write(`WITH gone AS (DELETE FROM w_stock WHERE tenant_id = 2 RETURNING *) INSERT INTO w_stock (tenant_id, id, name) SELECT 2, id + 1000, name || '!' FROM gone`),
  write(`WITH u AS (UPDATE w_stock AS s SET qty = s.qty + 1 FROM w_places p WHERE p.code = s.place AND s.tenant_id = 1 RETURNING s.id, p.label) SELECT * FROM u`),
  write(`WITH a AS (UPDATE w_stock SET qty = 10 WHERE tenant_id = 1 AND id = 1 RETURNING *), b AS (INSERT INTO w_stock (tenant_id, id, qty) SELECT tenant_id, 950, qty FROM a RETURNING *) UPDATE w_stock SET name = 'from b' FROM b WHERE w_stock.tenant_id = b.tenant_id AND w_stock.id = 2 RETURNING w_stock.name, b.qty`),
  write(`WITH a AS (SELECT id FROM w_stock WHERE tenant_id = 1 ORDER BY id LIMIT 2), d AS (DELETE FROM w_log USING a WHERE w_log.tenant_id = 1 AND w_log.stock_id = a.id RETURNING 1) SELECT count(*) FROM d, a`),
  write(`WITH n AS (INSERT INTO w_stock AS s (tenant_id, id, qty) VALUES (1, 1, 7) ON CONFLICT (tenant_id, id) DO UPDATE SET qty = excluded.qty + 1 RETURNING s.id, s.qty, xmax = 0 AS fresh) SELECT * FROM n`),
  write(`WITH n AS (INSERT INTO w_stock (tenant_id, id, qty) VALUES (1, 1, 7) ON CONFLICT ON CONSTRAINT w_stock_pkey DO NOTHING RETURNING id) SELECT count(*) FROM n`),
  write(`WITH n AS (INSERT INTO w_stock (tenant_id, id, name) VALUES (1, 960, 'one')) SELECT 1`),
  write(`WITH n AS (INSERT INTO w_log (tenant_id, note) VALUES (1, 'a'), (1, 'b') RETURNING id, ref, token, note) SELECT note, id IS NULL, ref IS NULL, token IS NULL FROM n`),
  write(`WITH n AS (INSERT INTO w_log (tenant_id, id, note) VALUES (1, DEFAULT, 'a'), (1, 4711, 'b') RETURNING id, note) SELECT note, id = 4711 FROM n`),
  write(`WITH n AS (INSERT INTO w_log VALUES (1) RETURNING id) SELECT count(id) FROM n`),
  write(`WITH n AS (INSERT INTO w_log (tenant_id, note) VALUES ($2, $1) RETURNING id, note) INSERT INTO w_log (tenant_id, id, ref, note) SELECT $2, id, 1, 'copy' FROM n RETURNING note`, ['x', 3]),
  write(`WITH s AS (INSERT INTO w_stock (tenant_id, id) VALUES (5, 970) RETURNING tenant_id, id) INSERT INTO w_log (tenant_id, stock_id, note) VALUES (5, (SELECT count(*) FROM s), 'n')`),
  write(`WITH x AS (SELECT 1) INSERT INTO w_stock (tenant_id, id) VALUES (1, 980) RETURNING id`),
  write(`INSERT INTO w_stock (tenant_id, id) SELECT tenant_id, id + 5000 FROM w_stock WHERE tenant_id = 1`),
  write(`INSERT INTO w_stock SELECT tenant_id, id + 5000, 'n' || id FROM w_stock WHERE tenant_id = $1 RETURNING *`, [1], { volatile: [7] }),
  write(`INSERT INTO w_stock (id, tenant_id) SELECT g, 9007199254740993 FROM generate_series(1, 3) g RETURNING tenant_id, id`),
  write(`INSERT INTO public.w_stock (tenant_id, id, place) SELECT 4, 900 + rank, code FROM w_places WHERE rank IS NOT NULL ON CONFLICT (tenant_id, name) DO UPDATE SET qty = 3`),
  write(`INSERT INTO w_stock (tenant_id, id) SELECT 1, 1`),
  write(`INSERT INTO w_stock (tenant_id, id) SELECT 1, 'x'::text`),
  write(`INSERT INTO w_stock (tenant_id, id) SELECT 1`),
  write(`INSERT INTO w_stock (tenant_id, nothing) SELECT 1, 2`),
  write(`INSERT INTO w_words SELECT lower(word) || 'x', count FROM w_words WHERE word = 'old'`, undefined, { refused: true }),
  write(`INSERT INTO w_words SELECT 'fresh', count FROM w_words WHERE word = 'fresh'`),
  write(`WITH n AS (INSERT INTO w_stock (tenant_id, id) VALUES (NULL, 900)) SELECT 1`, undefined, { errorFields: 'code' }),
  write(`WITH n AS (INSERT INTO w_stock (tenant_id, id) VALUES ($1, 900)) SELECT 1`, [null], { errorFields: 'code' }),
  write(`WITH n AS (INSERT INTO w_stock (tenant_id, id, balance) VALUES (1, 900, -1)) SELECT 1`),
  write(`WITH d AS (DELETE FROM w_log WHERE tenant_id = 1 AND nothing = 2) SELECT 1`),
  write(`WITH d AS (DELETE FROM w_log WHERE tenant_id = 1) SELECT * FROM d`),
  perhaps(`WITH gone AS (DELETE FROM w_log RETURNING *) SELECT count(*) FROM gone WHERE tenant_id = 1`),
  perhaps(`WITH gone AS (DELETE FROM w_log WHERE tenant_id = 1 RETURNING *) INSERT INTO w_stock (tenant_id, id) SELECT 2, 990 FROM gone`),
  perhaps(`WITH u AS (UPDATE w_stock SET qty = 4 WHERE tenant_id = 1 AND qty = 2 RETURNING qty) SELECT count(*) FROM u, w_stock s WHERE s.tenant_id = u.qty`),
  perhaps(`WITH n AS (INSERT INTO w_places (code, label) VALUES ('NN', 'n') RETURNING code) UPDATE w_stock SET name = 'nn' WHERE tenant_id = 1 AND id = 1`),
  perhaps(`INSERT INTO w_log (tenant_id, note) SELECT tenant_id, 'n' FROM w_stock WHERE tenant_id = 1`),
  perhaps(`INSERT INTO w_stock (tenant_id, id) SELECT NULL, 1 WHERE false`),
  write(`INSERT INTO w_log (tenant_id, note) TABLE w_stock`),
  perhaps(`INSERT INTO w_stock (tenant_id, id) SELECT tenant_id + 1, id + 6000 FROM w_stock WHERE tenant_id = 1`),
  perhaps(`INSERT INTO w_stock (tenant_id, id) SELECT 1, 7001 UNION ALL SELECT 2, 7002`),
  perhaps(`WITH n AS (INSERT INTO w_stock (tenant_id, id) VALUES (1, 900) ON CONFLICT (tenant_id, id) DO UPDATE SET tenant_id = 2) SELECT 1`),
  {
    name: 'in a transaction, with a prepared name',
    session: true, volatileColumns,
    steps: ['BEGIN', `WITH gone AS (DELETE FROM w_log WHERE tenant_id = 1 RETURNING *) SELECT count(*) FROM gone`, `SELECT count(*) FROM w_log`, `UPDATE w_stock SET qty = 4 WHERE tenant_id = 2`, 'COMMIT'].map((sql) => ({ sql })),
  },
];
