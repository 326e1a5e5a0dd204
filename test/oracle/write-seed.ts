import type { Queryable } from './outcome.ts';

/** The content of the write tables before each write case: one statement per row, in this order. */
export const writeSeed: readonly (readonly [table: string, columns: string, values: string])[] = [
  ['w_places', 'code, label, rank, seen', `'P1', 'first', 1, '2024-01-01Z'`],
  ['w_places', 'code, label, rank, seen', `'P2', NULL, 2, '2024-01-01Z'`],
  ['w_places', 'code, label, rank, seen', `'P3', 'third', NULL, '2024-01-01Z'`],
  ['w_stock', 'tenant_id, id, name, balance, qty, mark, tags, changed, place', `1, 1, 'one', 10, 1, 'ok', '{a}', '2024-01-01Z', 'P1'`],
  ['w_stock', 'tenant_id, id, name, balance, qty, mark, tags, changed, place', `1, 2, 'two', 20.50, 2, 'sad', NULL, '2024-01-01Z', NULL`],
  ['w_stock', 'tenant_id, id, name, balance, qty, mark, tags, changed, place', `2, 1, 'one', 0, 3, 'happy', '{}', '2024-01-01Z', 'P2'`],
  ['w_stock', 'tenant_id, id, name, balance, qty, mark, tags, changed, place', `3, 1, 'ünï', 7.25, NULL, 'ok', '{x,y}', '2024-01-01Z', 'P1'`],
  ['w_stock', 'tenant_id, id, name, balance, qty, mark, tags, changed, place', `4, 5, NULL, 1, 5, NULL, NULL, NULL, NULL`],
  ['w_stock', 'tenant_id, id, name, balance, qty, mark, tags, changed, place', `-42, 1, 'minus', 3, 6, 'ok', NULL, '2024-01-01Z', NULL`],
  ['w_log', 'tenant_id, id, stock_id, ref, token, note', `1, 1, 1, 11, '00000000-0000-0000-0000-000000000001', 'kept'`],
  ['w_log', 'tenant_id, id, stock_id, ref, token, note', `1, 2, 2, 12, '00000000-0000-0000-0000-000000000002', NULL`],
  ['w_log', 'tenant_id, id, stock_id, ref, token, note', `5, 3, NULL, 13, '00000000-0000-0000-0000-000000000003', 'free'`],
  ['w_words', 'word, count, first_seen', `'old', 1, '2024-01-01Z'`],
  ['w_words', 'word, count, first_seen', `'ower', 2, '2024-01-01Z'`],
  ['w_words', 'word, count, first_seen', `'Žofie', 3, '2024-01-01Z'`],
];

const emptied = ['w_log', 'w_stock', 'w_words', 'w_places'] as const;

/** Brings the write tables back to their seed. Children are emptied first, since foreign keys hold. */
export async function restoreWriteTables(pool: Queryable): Promise<void> {
  for (const table of emptied) await pool.query(`DELETE FROM ${table}`);
  for (const [table, columns, values] of writeSeed) await pool.query(`INSERT INTO ${table} (${columns}) VALUES (${values})`);
}
