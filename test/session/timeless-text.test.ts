import { expect, test } from 'vitest';
import { isTimeless } from '../../src/session/timeless-text.ts';

test.each([
  'SELECT * FROM orders WHERE tenant_id = $1 AND placed_at < now()',
  'SELECT NOW (), current_date, known FROM orders WHERE tenant_id = $1',
  `INSERT INTO orders (tenant_id, note) VALUES ($1, 'eternity')`,
])('%s can be prepared', (text) => {
  expect(isTimeless({ text })).toBe(true);
});

test.each([
  `SELECT * FROM orders WHERE tenant_id = $1 AND placed_at < 'today'`,
  `SELECT * FROM orders WHERE tenant_id = $1 AND placed_at < ' NOW '`,
  `SELECT '10:00 tomorrow'::timestamptz, $1::int`,
  `SELECT date 'yesterday', $1::int`,
  `SELECT E'n\\x6fw'::timestamptz, $1::int`,
  `SELECT U&'n\\006fw'::timestamptz, $1::int`,
  `SELECT $1::int /* ${'x'.repeat(10_000)} */`,
])('%s is parsed each time', (text) => {
  expect(isTimeless({ text })).toBe(false);
});
