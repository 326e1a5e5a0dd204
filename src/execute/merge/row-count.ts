import { ClusterError } from '../../base/errors.ts';
import type { RowCount } from '../../plan/merge-plan.ts';

/**
 * The number of rows that a LIMIT or OFFSET asks for, null for NULL. Throws what PostgreSQL does: `<clause> must not be negative`, and for
 * parameters that are no bigint the errors of its input function.
 */
export function rowCountOf(count: RowCount, { clause, values }: { readonly clause: 'LIMIT' | 'OFFSET'; readonly values: readonly unknown[] }): number | null {
  const rows = count.kind === 'constant' ? count.rows : parameterRows(values[count.number - 1]);
  if (rows === null || rows >= 0) return rows;
  throw new ClusterError('invalidParameter', `${clause} must not be negative`, { sqlState: clause === 'LIMIT' ? '2201W' : '2201X' });
}

/** Rounded beyond 2^53, where no result reaches. */
function parameterRows(value: unknown): number | null {
  if (value === null || value === undefined) return null;
  const text = typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' ? String(value) : JSON.stringify(value);
  if (!/^\s*[+-]?\d+\s*$/.test(text)) {
    throw new ClusterError('invalidParameter', `invalid input syntax for type bigint: "${text}"`, { sqlState: '22P02' });
  }
  const exact = BigInt(text.trim().replace(/^\+/, ''));
  if (BigInt.asIntN(64, exact) !== exact) {
    throw new ClusterError('invalidParameter', `value "${text}" is out of range for type bigint`, { sqlState: '22003' });
  }
  return Number(exact);
}
