import Table from 'cli-table3';
import pc from 'picocolors';

export interface TableView {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}

/** A boxed table. Numbers (by their looks: int8 and numeric come as text) stand to the right. */
export function tableText({ columns, rows }: TableView): string {
  const cells = rows.map((row) => row.map(cellText));
  const table = new Table({
    head: columns.map((column) => pc.bold(column)),
    style: { head: [], border: [], compact: true },
    colAligns: columns.map((_, column) => (cells.every((row) => isFigure(row[column] ?? '')) ? 'right' : 'left')),
  });
  table.push(...cells);
  return table.toString().split('\n').map((line) => `  ${line}`).join('\n');
}

function isFigure(text: string): boolean {
  return /^-?[\d .]*\d$|^NULL$/.test(text);
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  if (typeof value === 'string') return value;
  if (value instanceof Date) return value.toISOString().replace('T', ' ').replace(/\.000Z$/, '');
  return JSON.stringify(value);
}
