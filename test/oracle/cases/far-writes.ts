import type { OracleCase, WriteCase } from '../oracle-case.ts';

const volatileColumns = ['changed', 'seen', 'first_seen', 'token', 'w_log.id', 'w_log.ref'];

function write(sql: string, values?: readonly unknown[], flags: Partial<OracleCase> = {}): WriteCase {
  return { name: values === undefined ? sql : `${sql} -- ${JSON.stringify(values)}`, steps: [{ sql, ...(values === undefined ? {} : { values }), ...flags }], volatileColumns };
}

function steps(name: string, ...texts: readonly string[]): WriteCase {
  return { name, session: true, volatileColumns, steps: texts.map((sql) => ({ sql })) };
}

/** Writes that read rows of other shard groups, of other servers or of tables that are placed otherwise than their target. */
export const farWriteCases: readonly WriteCase[] = [
  write(`UPDATE w_stock SET qty = (SELECT max(qty) FROM w_stock) WHERE id = 1`),
  write(`UPDATE w_stock SET qty = (SELECT count(*) FROM w_words WHERE count > $1) WHERE id IN (SELECT id FROM w_stock WHERE balance > $2) RETURNING *`, [1, 5], { volatile: [7] }),
  write(`UPDATE w_stock s SET name = w.word FROM w_words w WHERE w.count = s.qty RETURNING s.id, w.*`, undefined, { volatile: [3] }),
  write(`UPDATE w_stock AS "S" SET name = "S".name || '-' || o.name FROM w_stock o WHERE o.id = 5 AND "S".tenant_id <> o.tenant_id`),
  write(`UPDATE w_stock SET (name, qty) = (SELECT max(word), sum(count)::int FROM w_words w WHERE w.count <= w_stock.qty) WHERE tenant_id IN (1, 2)`),
  write(`UPDATE w_stock SET qty = 9 WHERE EXISTS (SELECT FROM w_stock o WHERE o.id = w_stock.id AND o.tenant_id <> w_stock.tenant_id)`),
  write(`UPDATE w_stock s SET qty = r.n FROM (SELECT place, count(*) AS n FROM w_stock GROUP BY place) r WHERE r.place = s.place RETURNING s.tenant_id, s.id, r.n`),
  write(`WITH big AS (SELECT word, count FROM w_words WHERE count > 1) UPDATE w_stock SET name = big.word || tenant_id FROM big WHERE big.count = qty AND EXISTS (SELECT FROM big b WHERE b.count = 3)`),
  write(`UPDATE w_stock SET changed = now(), qty = (SELECT count(*) FROM w_words) WHERE now() = (SELECT now())`),
  write(`UPDATE w_stock SET qty = 1 / (SELECT 0 FROM w_words LIMIT 1) WHERE id = 12345`),
  write(`UPDATE w_stock SET qty = 1 / (SELECT count(*) - 3 FROM w_words)`),
  write(`UPDATE w_stock SET qty = (SELECT count FROM w_words) WHERE id = 1`),
  write(`UPDATE w_stock SET qty = (SELECT count FROM w_words) WHERE id = 12345`),
  write(`UPDATE w_stock SET qty = (SELECT 1000 + max(count) FROM w_words)`, undefined, { errorFields: 'code' }),
  write(`UPDATE w_stock SET nothing = (SELECT 1 FROM w_words)`),
  write(`DELETE FROM w_log WHERE ref IN (SELECT ref FROM w_log GROUP BY ref HAVING count(*) = 1) RETURNING note`),
  write(`DELETE FROM w_log l USING w_words w WHERE w.count = l.stock_id RETURNING l.note, w.word`),
  write(`DELETE FROM w_stock WHERE (SELECT count(*) FROM w_words) < 0`),
  write(`DELETE FROM w_log WHERE note = ANY (ARRAY(SELECT 'kept' FROM w_words)) OR ref > ALL (SELECT count FROM w_words WHERE count > 100)`),
  write(`DELETE FROM w_words WHERE count < (SELECT avg(count) FROM w_words)`),
  write(`DELETE FROM w_log l USING w_log m WHERE m.ref = l.ref + 1 AND m.tenant_id IS NOT NULL`),
  write(`DELETE FROM w_stock s WHERE NOT EXISTS (SELECT FROM w_log l WHERE l.stock_id = s.id) AND s.tenant_id > (SELECT min(id) FROM regions)`),
  write(`UPDATE w_places SET rank = (SELECT count(*) FROM w_stock s WHERE s.place = w_places.code) + 10`),
  write(`UPDATE w_places p SET label = s.names FROM (SELECT place, string_agg(name, ',' ORDER BY name) AS names FROM w_stock GROUP BY place) s WHERE s.place = p.code RETURNING p.code, s.names`),
  write(`DELETE FROM w_places WHERE code NOT IN (SELECT place FROM w_stock WHERE place IS NOT NULL) RETURNING *`, undefined, { volatile: [3] }),
  steps('a local table from distributed ones',
    'BEGIN', 'CREATE TEMP TABLE notes_of (name text, n int)', `INSERT INTO notes_of VALUES ('a', 1), ('one', 2), ('two', 3)`,
    'UPDATE notes_of SET n = (SELECT count(*) FROM w_stock s WHERE s.name = notes_of.name)', 'SELECT * FROM notes_of ORDER BY name',
    'DELETE FROM notes_of USING w_stock s WHERE s.name = notes_of.name AND s.tenant_id = 2 RETURNING notes_of.name, s.id', 'SELECT * FROM notes_of ORDER BY name', 'ROLLBACK'),
  steps('in a transaction block, seen by what follows, and undone',
    'BEGIN', `UPDATE w_stock SET qty = (SELECT max(qty) + 1 FROM w_stock)`, `SELECT sum(qty) FROM w_stock`, 'SAVEPOINT s', `DELETE FROM w_log WHERE note IN (SELECT note FROM w_log)`,
    `SELECT count(*) FROM w_log`, 'ROLLBACK TO s', `UPDATE w_stock SET qty = 1 / (SELECT 0 FROM w_words LIMIT 1)`, 'ROLLBACK TO s', `SELECT count(*) FROM w_log`, 'COMMIT'),
];
