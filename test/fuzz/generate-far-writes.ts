import type { Random } from '../oracle/random.ts';
import type { Parameter } from './query-tree.ts';

type Part = string | Parameter;

/** Writes that read rows of other tenants and tables. Whatever order rows come in, one PostgreSQL would end with the same: no row is matched by several that differ. */
export function farWrite(random: Random): Part[] {
  return random.weighted<() => Part[]>([
    [4, () => updateFar(random)],
    [3, () => deleteFar(random)],
    [4, () => insertRows(random)],
    [3, () => mergeRows(random)],
    [2, () => moveRows(random)],
    [2, () => writeInWith(random)],
    [1, () => updateReference(random)],
  ])();
}

function updateFar(random: Random): Part[] {
  return random.weighted<() => Part[]>([
    [3, () => ['UPDATE w_stock SET qty = ', scalar(random), ' % 900', condition(random), returning(random)]],
    [2, () => [`UPDATE w_stock SET qty = q.n::int % 900, changed = now() FROM ${grouped(random)} q WHERE q.id = w_stock.id`, random.pick(['', ' AND w_stock.tenant_id > 0', ' AND q.n > 1']), random.pick(['', ' RETURNING w_stock.tenant_id, w_stock.id, q.n'])]],
    [1, () => ['UPDATE w_stock SET (qty, balance) = (SELECT count(*)::int % 900, 10 + min(l.qty) FROM lines l WHERE l.order_id = w_stock.id AND l.qty > 0)', condition(random)]],
    [1, () => [`WITH q AS ${grouped(random)} UPDATE w_stock s SET name = 'q' || s.id || '-' || q.n FROM q WHERE q.id = s.id AND s.tenant_id IN (SELECT tenant_id FROM accounts)`]],
    [1, () => [`UPDATE w_words SET count = `, scalar(random, 'w_words.count'), random.pick(['', ` WHERE word IN (SELECT name FROM w_stock)`, ' WHERE count > (SELECT min(id) FROM accounts)'])]],
  ])();
}

function deleteFar(random: Random): Part[] {
  return random.weighted<() => Part[]>([
    [3, () => ['DELETE FROM w_log WHERE stock_id IN (SELECT id FROM ', random.pick(['w_stock', 'orders', 'accounts']), ' WHERE id < ', number(random), ')']],
    [2, () => ['DELETE FROM w_stock', condition(random), returning(random)]],
    [2, () => [`DELETE FROM w_log l USING ${grouped(random)} q WHERE q.id = l.stock_id`, random.pick(['', ' RETURNING l.note, q.n'])]],
    [1, () => ['DELETE FROM w_words WHERE count < ', scalar(random, 'w_words.count')]],
    [1, () => ['DELETE FROM w_places WHERE NOT EXISTS (SELECT FROM w_stock s WHERE s.place = w_places.code)']],
  ])();
}

function insertRows(random: Random): Part[] {
  return random.weighted<() => Part[]>([
    [3, () => ['INSERT INTO w_stock (tenant_id, id, qty, name) SELECT ', random.pick(['tenant_id', 'tenant_id % 10', 'tenant_id + 1', '1 + abs(tenant_id % 4)']), ' AS t, id + ', number(random), ` AS i, (max(quantity) % 900)::int, 'g' || id FROM orders WHERE tenant_id BETWEEN -99 AND 99 GROUP BY 1, 2, id`, conflict(random), returning(random)]],
    [2, () => ['INSERT INTO w_stock (tenant_id, id, name) SELECT tenant_id, id + ', number(random), `, name || 'c' FROM w_stock`, random.pick(['', ' WHERE qty IS NOT NULL', ' ORDER BY id']), random.pick(['', ' ON CONFLICT DO NOTHING'])]],
    [2, () => [`INSERT INTO w_words (word, count) SELECT coalesce(name, '-'), count(*) FROM ${random.pick(['w_stock', 'regions', 'accounts'])} GROUP BY 1 ON CONFLICT (word) DO `, random.pick(['NOTHING', 'UPDATE SET count = w_words.count + excluded.count']), random.pick(['', ' RETURNING word, count'])]],
    [1, () => [`INSERT INTO w_log (tenant_id, stock_id, note) SELECT tenant_id, id, left(name, 8) FROM w_stock WHERE qty > `, number(random), random.pick(['', ' RETURNING tenant_id, note'])]],
    [1, () => [`INSERT INTO w_places (code, label) SELECT 'R' || id, name FROM regions WHERE id > `, number(random), ` ON CONFLICT (code) DO UPDATE SET label = excluded.label || '!' RETURNING code, label`]],
    [1, () => ['INSERT INTO w_stock (tenant_id, id, qty) VALUES (', number(random), ', 50 + (SELECT count(*)::int FROM w_log), (SELECT max(qty) FROM w_stock)), (2, 60, NULL)', random.pick(['', ' ON CONFLICT DO NOTHING'])]],
  ])();
}

function mergeRows(random: Random): Part[] {
  const source = random.pick([
    '(SELECT tenant_id, id, max(quantity) % 90 AS n FROM orders WHERE tenant_id BETWEEN -99 AND 99 GROUP BY 1, 2)',
    '(SELECT tenant_id + 1 AS tenant_id, id, max(qty) AS n FROM w_stock GROUP BY 1, 2)',
    '(SELECT tenant_id, stock_id AS id, count(*)::int AS n FROM w_log WHERE stock_id IS NOT NULL GROUP BY 1, 2)',
    '(VALUES (1::bigint, 1, 7), (2, 9, 8), (8, 8, NULL))',
  ]);
  const matched = random.pick(['UPDATE SET qty = s.n', 'DELETE', 'DO NOTHING', `UPDATE SET qty = coalesce(t.qty, 0) + 1, name = 'm' || t.id`]);
  const insert = random.pick(['', '', ' WHEN NOT MATCHED THEN INSERT (tenant_id, id, qty) VALUES (s.tenant_id, s.id, s.n)', ' WHEN NOT MATCHED AND s.id < 4 THEN INSERT (tenant_id, id) VALUES (s.tenant_id, s.id)']);
  const on = random.pick(['t.tenant_id = s.tenant_id AND t.id = s.id', 's.id = t.id AND s.tenant_id = t.tenant_id AND t.qty IS NOT NULL']);
  return [`MERGE INTO w_stock t USING ${source} s (tenant_id, id, n) ON ${on} WHEN MATCHED`, random.pick(['', ' AND t.qty > 1', ' AND s.n IS NOT NULL']), ` THEN ${matched}${insert}`];
}

/** The distribution column is set. */
function moveRows(random: Random): Part[] {
  return random.weighted<() => Part[]>([
    [2, () => [`UPDATE w_words SET word = `, random.pick([`word || '.'`, `upper(word) || count`, `'w' || count || word`]), random.pick(['', ' WHERE count > 1', ` WHERE word <> 'old'`]), random.pick(['', ' RETURNING word, count'])]],
    [2, () => ['UPDATE w_log SET tenant_id = tenant_id + ', number(random), ', stock_id = NULL', random.pick(['', ' WHERE note IS NOT NULL', ' WHERE tenant_id = 1']), random.pick(['', ' RETURNING tenant_id, note'])]],
    [1, () => ['UPDATE w_log SET tenant_id = (SELECT max(id) FROM accounts), stock_id = NULL WHERE ref < 13']],
  ])();
}

function writeInWith(random: Random): Part[] {
  return random.weighted<() => Part[]>([
    [2, () => [`WITH d AS (DELETE FROM w_log RETURNING *) INSERT INTO w_words (word, count) SELECT coalesce(note, '?') || coalesce(stock_id, 0) || tenant_id, 1 FROM d ON CONFLICT DO NOTHING`]],
    [2, () => ['WITH u AS (UPDATE w_stock SET qty = coalesce(qty, 0) + 1 WHERE id < ', number(random), ' RETURNING tenant_id, id, qty) SELECT id, sum(qty), count(*) FROM u GROUP BY id']],
    [1, () => [`WITH n AS (INSERT INTO w_stock (tenant_id, id) VALUES (6, `, number(random), `), (7, 3) RETURNING tenant_id, id) INSERT INTO w_log (tenant_id, stock_id, note) SELECT tenant_id, id, 'new' FROM n`]],
  ])();
}

function updateReference(random: Random): Part[] {
  return [`UPDATE w_places SET label = coalesce(label, '') || `, random.pick([`(SELECT count(*) FROM w_stock s WHERE s.place = w_places.code)`, `(SELECT max(name) FROM w_stock)`]), random.pick(['', ' WHERE code IN (SELECT place FROM w_stock)'])];
}

/** A number that depends on rows elsewhere, and may on the row. */
function scalar(random: Random, column = 'w_stock.id'): string {
  return random.pick([
    'coalesce((SELECT max(qty) FROM w_log JOIN w_stock USING (tenant_id)), 1)', `(SELECT count(*)::int FROM orders o WHERE o.id = ${column})`, '(SELECT count(*)::int FROM w_words WHERE count > 1)',
    `coalesce((SELECT max(a.id)::int FROM accounts a WHERE a.id < ${column}), 2)`, '(SELECT count(*)::int FROM regions r JOIN lines l ON l.qty = r.id)',
  ]);
}

function condition(random: Random): string {
  return random.pick([
    '', ' WHERE id IN (SELECT id FROM orders WHERE quantity > 5)', ' WHERE EXISTS (SELECT FROM lines l WHERE l.qty = w_stock.id)', ' WHERE NOT EXISTS (SELECT FROM w_log l WHERE l.tenant_id = w_stock.tenant_id AND l.stock_id = w_stock.id)',
    ' WHERE tenant_id IN (SELECT tenant_id FROM accounts WHERE credit > 100)', ' WHERE id = ANY (SELECT stock_id FROM w_log)', ' WHERE tenant_id = 1 AND id <= (SELECT max(rank) FROM w_places)', ' WHERE qty > (SELECT avg(qty) FROM w_stock)',
  ]);
}

/** One row for each id. */
function grouped(random: Random): string {
  return random.pick(['(SELECT id, count(*) AS n FROM orders GROUP BY id)', '(SELECT id, max(qty) AS n FROM w_stock GROUP BY id)', '(SELECT region_id AS id, count(DISTINCT tenant_id) AS n FROM accounts GROUP BY 1)', '(SELECT id, length(name) AS n FROM regions)']);
}

function conflict(random: Random): string {
  return random.pick(['', ' ON CONFLICT DO NOTHING', ' ON CONFLICT (tenant_id, id) DO UPDATE SET qty = coalesce(w_stock.qty, 0) + 1']);
}

function returning(random: Random): string {
  return random.pick(['', '', ' RETURNING tenant_id, id, qty']);
}

function number(random: Random): Part {
  const text = String(random.int(0, 6));
  return random.chance(0.4) ? { kind: 'parameter', value: text } : text;
}
