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

export interface RowArrays {
  readonly columns: readonly ArrayColumn[];
  /** Arrays in the server's text form. */
  readonly values: readonly string[];
}

/** The INSERT with an array of text per column. Undefined when a value is binary, which arrays of text do not carry. */
export function renderArrays(arrays: ArrayRows, input: ArrayInput): { sql: string; values: readonly string[] } | undefined {
  const sent = rowArrays(arrays, input);
  if (sent === undefined) return undefined;
  const source = unnested(sent.columns.map(({ elementType }) => elementType));
  return { sql: `${insertHead(arrays, sent.columns, input.targetSql)} SELECT * FROM ROWS FROM (${source})${insertTail(arrays, input.targetSql)}`, values: sent.values };
}

/** An array of text per column. Undefined when a value is binary. */
export function rowArrays(arrays: ArrayRows, { rows, leaves, valueOf }: Omit<ArrayInput, 'targetSql'>): RowArrays | undefined {
  const columns: ArrayColumn[] = [];
  const values: string[] = [];
  for (const [i, column] of arrays.columns.entries()) {
    if (leaves && column.leavable) continue;
    const array = arrayText(arrays, rows, { column: i, valueOf });
    if (array === undefined) return undefined;
    columns.push(column);
    values.push(array);
  }
  return { columns, values };
}

/** Up to where the rows come from. */
export function insertHead({ head, overriding }: ArrayRows, columns: readonly ArrayColumn[], targetSql: ArrayInput['targetSql']): string {
  return `${fillTemplate(head, targetSql)} (${columns.map(({ name }) => name).join(', ')})${overriding}`;
}

export function insertTail({ tail }: ArrayRows, targetSql: ArrayInput['targetSql']): string {
  return fillTemplate(tail, targetSql);
}

/** The first parameters as arrays of these types, side by side. */
export function unnested(elementTypes: readonly string[]): string {
  return elementTypes.map((type, i) => `pg_catalog.unnest($${i + 1}::${type}[])`).join(', ');
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
