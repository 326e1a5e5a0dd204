import type { OracleCase, WriteCase } from '../oracle-case.ts';

function session(name: string, ...steps: readonly (string | OracleCase)[]): WriteCase {
  return { name, session: true, volatileColumns: ['changed', 'seen', 'first_seen', 'token', 'w_log.id', 'w_log.ref'], steps: steps.map((step) => (typeof step === 'string' ? { sql: step } : step)) };
}

const readStock = `SELECT tenant_id, id, qty FROM w_stock`;
const showTypes = `SELECT id, d, ts, tstz, iv, by, f8, f4, cash FROM wide`;

/** Statements of one client from `connect()`: transaction blocks, settings, cursors. */
export const sessionCases: WriteCase[] = [
  session('a transaction inside one tenant commits', 'BEGIN', `UPDATE w_stock SET qty = 100 WHERE tenant_id = 1`, `SELECT sum(qty) FROM w_stock WHERE tenant_id = 1`, 'COMMIT', readStock),
  session('a transaction inside one tenant rolls back', 'BEGIN', `UPDATE w_stock SET qty = 100 WHERE tenant_id = 1`, readStock, 'ROLLBACK', readStock),
  session('a transaction over tenants commits', 'BEGIN', `UPDATE w_stock SET qty = 7 WHERE tenant_id = 1`, `UPDATE w_stock SET qty = 8 WHERE tenant_id = 2`, `INSERT INTO w_stock (tenant_id, id) VALUES (9, 9), (4, 9)`, readStock, 'COMMIT', readStock),
  session('a transaction over tenants rolls back', 'BEGIN', `UPDATE w_stock SET qty = 0`, `DELETE FROM w_log`, `SELECT count(*), sum(qty) FROM w_stock`, 'ROLLBACK', readStock),
  session('a transaction reads its own fan-out write', 'BEGIN', `UPDATE w_stock SET qty = qty + 1`, `SELECT sum(qty), count(*) FROM w_stock`, `SELECT name, qty FROM w_stock WHERE qty > 3 ORDER BY qty, name`, 'COMMIT'),
  session('reference and distributed tables in one transaction', 'BEGIN', `INSERT INTO w_places (code, label) VALUES ('T', 'tx')`, `UPDATE w_stock SET place = 'T' WHERE tenant_id = 1`, `SELECT s.id, p.label FROM w_stock s JOIN w_places p ON p.code = s.place`, 'COMMIT', `SELECT count(*) FROM w_places`),
  session('an error spoils the block', 'BEGIN', `UPDATE w_stock SET qty = 0 WHERE tenant_id = 1`, `INSERT INTO w_stock (tenant_id, id) VALUES (1, 1)`, `SELECT 1`, readStock, `nonsense`, 'COMMIT', readStock),
  session('an error of analysis spoils the block', 'BEGIN', `SELECT nothing FROM w_stock`, `SELECT count(*) FROM w_stock`, 'ROLLBACK', `SELECT count(*) FROM w_stock`),
  session('an error of the parser spoils the block', 'BEGIN', `SELEC`, `SELECT count(*) FROM w_stock`, 'ROLLBACK', `SELECT count(*) FROM w_stock`),
  session('savepoints', 'BEGIN', `UPDATE w_stock SET qty = 1 WHERE tenant_id = 1`, 'SAVEPOINT a', `UPDATE w_stock SET qty = 2 WHERE tenant_id = 1`, 'ROLLBACK TO SAVEPOINT a', `SELECT qty FROM w_stock WHERE tenant_id = 1`, 'RELEASE a', 'COMMIT', readStock),
  session('a savepoint over several tenants', 'BEGIN', 'SAVEPOINT a', `UPDATE w_stock SET qty = 5`, `INSERT INTO w_stock (tenant_id, id) VALUES (1, 1)`, 'ROLLBACK TO a', `UPDATE w_stock SET qty = qty + 1 WHERE tenant_id = 2`, 'COMMIT', readStock),
  session('nested savepoints of the same name', 'BEGIN', 'SAVEPOINT s', `DELETE FROM w_log WHERE tenant_id = 1`, 'SAVEPOINT s', `DELETE FROM w_log`, 'ROLLBACK TO s', `SELECT count(*) FROM w_log`, 'RELEASE s', 'ROLLBACK TO s', `SELECT count(*) FROM w_log`, 'COMMIT'),
  session('transaction commands outside their place', 'COMMIT', 'ROLLBACK', 'SAVEPOINT a', 'ROLLBACK TO a', 'BEGIN', 'BEGIN', 'RELEASE nothing', 'ROLLBACK', readStock),
  session('other words for the same', 'START TRANSACTION', `UPDATE w_stock SET qty = 3 WHERE tenant_id = 1`, 'END', 'BEGIN WORK', `UPDATE w_stock SET qty = 4 WHERE tenant_id = 1`, 'ABORT', readStock),
  session('read only', 'BEGIN READ ONLY', readStock, `UPDATE w_stock SET qty = 1 WHERE tenant_id = 1`, 'ROLLBACK', 'START TRANSACTION READ ONLY', `DELETE FROM w_places`, 'COMMIT'),
  session('isolation level', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SHOW transaction_isolation', readStock, 'COMMIT', 'BEGIN', 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'SHOW transaction_isolation', `SELECT count(*) FROM w_stock`, 'COMMIT'),
  session('now() is the transaction\'s', 'BEGIN', `UPDATE w_stock SET changed = now() WHERE tenant_id IN (1, 2)`, `SELECT count(DISTINCT changed) FROM w_stock WHERE tenant_id IN (1, 2)`, 'COMMIT'),
  session('search_path', `SELECT count(*), min(label) FROM items`, `SET search_path TO other, public`, `SELECT count(*), min(label) FROM items`, `SELECT label FROM items WHERE tenant_id = 1`, `SHOW search_path`, `SET search_path TO "Ünï"`, `SELECT count(*) FROM "Odd ""Name"`, `SELECT count(*) FROM orders`, 'RESET search_path', `SELECT count(*) FROM orders`),
  session('search_path of a transaction only', 'BEGIN', `SET LOCAL search_path TO other`, `SELECT min(label) FROM items`, 'COMMIT', `SELECT min(label) FROM items`),
  session('TimeZone', `SET TimeZone TO 'Asia/Tokyo'`, showTypes, `SELECT date_trunc('day', placed_at), count(*) FROM orders GROUP BY 1`, `SELECT tenant_id, id, placed_at::date FROM orders WHERE tenant_id = 1`, 'RESET TimeZone', showTypes),
  session('DateStyle and IntervalStyle', `SET DateStyle TO 'German'`, `SET IntervalStyle TO 'iso_8601'`, showTypes, { sql: `SELECT d, tstz FROM wide ORDER BY d, tstz LIMIT 8`, order: 'total' }, `SELECT id FROM wide WHERE d = '29.02.2024'`, `SELECT max(d), min(ts), min(iv), sum(iv) FROM wide WHERE id < 3`),
  session('DateStyle of SQL with days first', `SET DateStyle TO 'SQL, DMY'`, `SELECT id FROM wide WHERE d = '29/02/2024'`, `SELECT d FROM wide ORDER BY id`, { sql: `SELECT id FROM wide WHERE d = $1`, values: ['29/02/2024'] }),
  session('bytea_output and extra_float_digits', `SET bytea_output TO 'escape'`, `SET extra_float_digits TO -10`, showTypes, { sql: `SELECT by, f8 FROM wide ORDER BY by, f8, id`, order: 'total' }, `SELECT min(f8), sum(f4) FROM wide WHERE f8 = 0.1`),
  session('a setting that fails', `SET TimeZone TO 'Nowhere/Never'`, `SHOW TimeZone`, `SELECT count(*) FROM orders`),
  session('SET LOCAL ends with its block', 'BEGIN', `SET LOCAL TimeZone TO 'Asia/Tokyo'`, showTypes, 'ROLLBACK', showTypes),
  session('application_name and custom settings', `SET application_name TO 'mine'`, `SHOW application_name`, `SET my.tenant TO '2'`, `SELECT id FROM orders WHERE tenant_id = current_setting('my.tenant')::bigint`, `SELECT current_setting('my.tenant'), count(*) FROM orders`),
  session('set_config', `SELECT set_config('TimeZone', 'America/New_York', false)`, showTypes),
  session('statement_timeout', `SET statement_timeout TO '1min'`, `SHOW statement_timeout`, `SELECT count(*) FROM orders`),
  session('views', 'BEGIN', `CREATE VIEW paid AS SELECT tenant_id, id, amount FROM orders WHERE paid`,
    `CREATE VIEW totals (tenant, total, n) AS SELECT tenant_id, sum(amount), count(*) FROM paid GROUP BY tenant_id`, `SELECT * FROM paid WHERE tenant_id = 2`,
    { sql: `SELECT * FROM totals WHERE tenant = $1`, values: [3] }, `SELECT max(total), sum(n) FROM totals`, { sql: `SELECT * FROM totals ORDER BY total DESC, tenant LIMIT 3`, order: 'total' },
    `SELECT r.name, p.id FROM regions r JOIN paid p ON p.amount > 600 AND p.id % 3 = r.id`, `SELECT a.name, t.n FROM accounts a LEFT JOIN totals t ON t.tenant = a.tenant_id WHERE a.id = 1`,
    `CREATE OR REPLACE VIEW paid AS SELECT tenant_id, id, amount FROM orders WHERE paid AND amount > 100`, `SELECT count(*) FROM paid`, `SELECT sum(n) FROM totals`,
    `ALTER VIEW totals RENAME COLUMN n TO many`, `SELECT many FROM totals WHERE tenant = 4`, `DROP VIEW paid CASCADE`, `SELECT 1 FROM totals`, 'ROLLBACK'),
  session('views, committed and dropped', `CREATE VIEW v_stock WITH (security_barrier) AS SELECT tenant_id, id, qty, name FROM w_stock WHERE qty > 1`, `SELECT * FROM v_stock`,
    `UPDATE w_stock SET qty = 0 WHERE tenant_id = 1`, `SELECT count(*) FROM v_stock WHERE tenant_id = 1`, `SELECT count(*), max(name) FROM v_stock WHERE 1 / (qty - 1) < 5`, 'DROP VIEW v_stock', `SELECT 1 FROM v_stock`, 'DROP VIEW v_stock'),
  session('a cursor over one tenant', 'BEGIN', { sql: `DECLARE c CURSOR FOR SELECT id FROM orders WHERE tenant_id = 1 ORDER BY id` }, { sql: 'FETCH 3 FROM c', order: 'total' }, { sql: 'FETCH 2 FROM c', order: 'total' }, 'CLOSE c', 'COMMIT'),
  session('a cursor over all tenants', 'BEGIN', `DECLARE c CURSOR FOR SELECT tenant_id, id FROM orders ORDER BY tenant_id, id`, { sql: 'FETCH 3 FROM c', order: 'total' }, { sql: 'FETCH FORWARD 2 FROM c', order: 'total' }, 'CLOSE c', 'COMMIT'),
  session('prepared in SQL', `PREPARE p (bigint) AS SELECT id FROM orders WHERE tenant_id = $1`, 'EXECUTE p(2)', 'EXECUTE p(3)', 'DEALLOCATE p', 'EXECUTE p(2)'),
  session('a temporary table', `CREATE TEMP TABLE scratch (tenant_id bigint, x int)`, `INSERT INTO scratch VALUES (1, 10), (2, 20)`, `SELECT * FROM scratch`, `SELECT o.id, s.x FROM orders o JOIN scratch s ON s.tenant_id = o.tenant_id WHERE o.tenant_id = 2`, `DROP TABLE scratch`),
  session('a temporary table shadows a distributed one', `CREATE TEMP TABLE items (label text)`, `INSERT INTO items VALUES ('shadow')`, `SELECT * FROM items`, `SELECT count(*) FROM public.items`, `DROP TABLE items`, `SELECT count(*) FROM items`),
  session('currval and lastval', `INSERT INTO w_log (tenant_id, note) VALUES (1, 'x')`, { sql: `SELECT currval('w_log_id_seq') > 0` }),
  session('locks', 'BEGIN', `LOCK TABLE w_stock IN SHARE MODE`, `SELECT count(*) FROM w_stock`, 'COMMIT', `SELECT pg_advisory_lock(5)`, `SELECT pg_advisory_unlock(5)`),
];
