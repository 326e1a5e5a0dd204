import type { OracleCase, WriteCase } from '../oracle/oracle-case.ts';
import type { Random } from '../oracle/random.ts';
import { farWrite } from './generate-far-writes.ts';
import { renderParts } from './query-tree.ts';
import type { Parameter } from './query-tree.ts';

type Part = string | Parameter;

const tenants = ['1', '2', '3', '4', '-42', '9', '9007199254740993'] as const;
const volatileColumns = ['changed', 'seen', 'first_seen', 'token', 'w_log.id', 'w_log.ref'] as const;

/** Some statements one after the other on the write tables; their contents are compared at the end. */
export function makeWrites(random: Random): WriteCase {
  const steps = Array.from({ length: random.int(1, 6) }, () => makeWrite(random));
  return { name: steps.map(({ sql }) => sql).join('; '), steps, volatileColumns };
}

function makeWrite(random: Random): OracleCase {
  const parts = random.weighted<() => Part[]>([
    [5, () => insertStock(random)],
    [5, () => updateStock(random)],
    [3, () => deleteFrom(random)],
    [2, () => insertWords(random)],
    [2, () => writePlaces(random)],
    [2, () => readBack(random)],
    [6, () => farWrite(random)],
  ])();
  const { sql, values } = renderParts(parts);
  const ordered = sql.startsWith('INSERT') && sql.includes('RETURNING') && !sql.includes('SELECT');
  return { sql, ...(values.length > 0 ? { values } : {}), ...(ordered ? { order: 'total' as const } : {}), errorFields: 'none' };
}

function insertStock(random: Random): Part[] {
  const rows = Array.from({ length: random.weighted([[4, 1], [3, 3], [2, 8]]) }, () => random);
  const tuples = rows.map((): Part[] => [
    '(', tenant(random), ', ', value(random, String(random.int(1, 6))), ', ', random.pick([`'n${random.int(1, 30)}'`, 'NULL', 'DEFAULT']), ', ',
    value(random, String(random.int(random.chance(0.05) ? -2 : 0, 40))), ', ', random.pick(['DEFAULT', `'P1'`, `'P2'`, 'NULL']), ')',
  ]);
  const conflict = random.pick(['', ' ON CONFLICT DO NOTHING', ' ON CONFLICT (tenant_id, id) DO NOTHING', ' ON CONFLICT (tenant_id, id) DO UPDATE SET qty = EXCLUDED.qty + 1, changed = now()']);
  return ['INSERT INTO w_stock (tenant_id, id, name, qty, place) VALUES ', ...tuples.flatMap((tuple, index) => (index === 0 ? tuple : [', ', ...tuple])), conflict, returning(random)];
}

function updateStock(random: Random): Part[] {
  const set = random.pick(['qty = qty + 1', 'qty = coalesce(qty, 0) * 2, changed = now()', `name = name || 'x'`, 'balance = balance - 3', `tags = array_append(tags, 'n')`, `mark = 'happy', qty = NULL`, `name = 'same'`]);
  return [`UPDATE w_stock SET ${set}`, ...where(random), returning(random)];
}

function deleteFrom(random: Random): Part[] {
  const table = random.pick(['w_stock', 'w_log'] as const);
  return [`DELETE FROM ${table}`, ...(table === 'w_stock' ? [...where(random), returning(random)] : [' WHERE tenant_id = ', tenant(random)])];
}

function insertWords(random: Random): Part[] {
  const word = (): Part => value(random, random.pick(['old', 'ower', 'new', '', 'Žofie', '🐘']), true);
  const conflict = random.pick(['', ' ON CONFLICT DO NOTHING', ' ON CONFLICT (word) DO UPDATE SET count = w_words.count + EXCLUDED.count']);
  return ['INSERT INTO w_words (word) VALUES (', word(), ')', ...(random.chance(0.4) ? [', (', word(), ')'] : []), conflict, random.chance(0.4) ? ' RETURNING word, count' : ''];
}

function writePlaces(random: Random): Part[] {
  return random.weighted<() => Part[]>([
    [2, () => ['INSERT INTO w_places (code, label) VALUES (', value(random, `Q${random.int(1, 4)}`, true), `, 'q') ON CONFLICT (code) DO UPDATE SET label = 'again' RETURNING code, label`]],
    [2, () => [`UPDATE w_places SET label = coalesce(label, '') || '+', seen = now()`, random.pick(['', ` WHERE code = 'P1'`, ' WHERE rank > 1'])]],
    [1, () => [`DELETE FROM w_places WHERE code = 'P3'`]],
  ])();
}

function readBack(random: Random): Part[] {
  return [random.pick(['SELECT count(*), sum(qty), min(name) FROM w_stock', 'SELECT mark, count(*) FROM w_stock GROUP BY mark', 'SELECT s.tenant_id, s.id, p.label FROM w_stock s JOIN w_places p ON p.code = s.place'])];
}

function where(random: Random): Part[] {
  return random.weighted<() => Part[]>([
    [5, () => [' WHERE tenant_id = ', tenant(random)]],
    [3, () => [' WHERE tenant_id = ', tenant(random), ' AND id = ', value(random, String(random.int(1, 5)))]],
    [2, () => [' WHERE tenant_id IN (', tenant(random), ', ', tenant(random), ')']],
    [2, () => [' WHERE qty > ', value(random, String(random.int(0, 8)))]],
    [1, () => [` WHERE place = 'P1'`]],
    [1, () => []],
  ])();
}

function returning(random: Random): string {
  return random.pick(['', '', ' RETURNING tenant_id, id', ' RETURNING tenant_id, id, qty, twice, name', ' RETURNING id * 2 AS double, upper(name)']);
}

function tenant(random: Random): Part {
  return value(random, random.pick(tenants));
}

function value(random: Random, text: string, quoted = false): Part {
  if (random.chance(0.5)) return { kind: 'parameter', value: text };
  return quoted ? `'${text}'` : text;
}
