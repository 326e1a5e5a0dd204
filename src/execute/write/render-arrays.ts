import { prepareValue } from 'pg/lib/utils.js';
import type { ArrayColumn, ArrayRows } from '../../plan/insert/array-rows.ts';
import type { TargetHole, ValueSlot } from '../../plan/insert/insert-plan.ts';
import { fillTemplate } from '../../sql/template.ts';

export interface ArrayInput {
  /** Which of the rows. */
  readonly rows: readonly number[];
  /** Leaves out the columns that the server can fill by itself. */
  readonly leaves: boolean;
  readonly targetSql: (hole: TargetHole) => string;
  /** A value as the caller gave it. */
  readonly valueOf: (slot: ValueSlot) => unknown;
}

/** The INSERT with an array of text per column. Undefined when a value is binary, which arrays of text do not carry. */
export function renderArrays(arrays: ArrayRows, { rows, leaves, targetSql, valueOf }: ArrayInput): { sql: string; values: string[] } | undefined {
  const sent: ArrayColumn[] = [];
  const values: string[] = [];
  for (const [i, column] of arrays.columns.entries()) {
    if (leaves && column.leavable) continue;
    const array = arrayText(arrays, rows, { column: i, valueOf });
    if (array === undefined) return undefined;
    sent.push(column);
    values.push(array);
  }
  const names = sent.map(({ name }) => name).join(', ');
  const parts = sent.map(({ elementType }, i) => `pg_catalog.unnest($${i + 1}::${elementType}[])`).join(', ');
  const sql = `${fillTemplate(arrays.head, targetSql)} (${names})${arrays.overriding} SELECT * FROM ROWS FROM (${parts})${fillTemplate(arrays.tail, targetSql)}`;
  return { sql, values };
}

function arrayText({ rows: all }: ArrayRows, rows: readonly number[], { column, valueOf }: { readonly column: number; readonly valueOf: ArrayInput['valueOf'] }): string | undefined {
  let text = '{';
  for (const row of rows) {
    const slot = all[row]?.[column];
    const value = slot === undefined ? null : prepareValue(valueOf(slot));
    if (typeof value === 'object' && value !== null) return undefined;
    if (text.length > 1) text += ',';
    text += value === null ? 'NULL' : quoted(value);
  }
  return `${text}}`;
}

function quoted(value: string): string {
  return needsEscape.test(value) ? `"${value.replace(escaped, '\\$&')}"` : `"${value}"`;
}

const needsEscape = /["\\]/;
const escaped = /["\\]/g;
