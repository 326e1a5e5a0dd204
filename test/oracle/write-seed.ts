import type { Queryable } from './outcome.ts';

/** The content of the write tables before each write case: one statement per row, in this order. */
export const writeSeed: readonly (readonly [table: WriteTable, columns: string, values: string])[] = [
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

/** Children before those they refer to, since foreign keys hold. */
export const writeTableNames = ['w_log', 'w_stock', 'w_words', 'w_places'] as const;
export type WriteTable = (typeof writeTableNames)[number];

/** With them: emptying it empties its children, or is refused because of them. */
const children: Readonly<Partial<Record<WriteTable, readonly WriteTable[]>>> = { w_places: ['w_stock', 'w_log'], w_stock: ['w_log'] };

/** Brings write tables back to their seed, and what refers to them: all in one text, so in one transaction. */
export async function restoreWriteTables(pool: Queryable, touched: ReadonlySet<WriteTable>): Promise<void> {
  const restored = new Set([...touched].flatMap((table) => [table, ...(children[table] ?? [])]));
  const emptied = writeTableNames.filter((table) => restored.has(table)).map((table) => `DELETE FROM ${table}`);
  const filled = writeSeed.filter(([table]) => restored.has(table)).map(([table, columns, values]) => `INSERT INTO ${table} (${columns}) VALUES (${values})`);
  if (emptied.length > 0) await pool.query([...emptied, ...filled].join(';\n'));
}
