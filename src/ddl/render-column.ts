import { quoteIdentifier } from '../sql/identifiers.ts';
import { optionSql } from './option-sql.ts';
import type { ColumnDefinition } from './table-definition.ts';

/** A column of CREATE TABLE. Values from sequences come from the coordinator database, so such a column has no default on a shard. */
export function renderColumn(column: ColumnDefinition, constraintName: (name: string) => string): string {
  const parts = [quoteIdentifier(column.name), writtenType(column)];
  if (column.compression !== null) parts.push(`COMPRESSION ${column.compression}`);
  if (column.collation !== null) parts.push(`COLLATE ${column.collation}`);
  if (column.notNull && column.notNullName !== null) parts.push(`CONSTRAINT ${constraintName(column.notNullName)}`);
  if (column.notNull) parts.push(column.notNullNoInherit ? 'NOT NULL NO INHERIT' : 'NOT NULL');
  if (column.expression !== null) parts.push(...valueParts(column, column.expression));
  return parts.join(' ');
}

/** Of an array with the dimensions that it was written with, which mean nothing but are shown. */
export function writtenType({ type, dimensions }: ColumnDefinition): string {
  return type.endsWith('[]') ? type + '[]'.repeat(Math.max(dimensions - 1, 0)) : type;
}

function valueParts(column: ColumnDefinition, expression: string): string[] {
  if (column.generated !== null) return [`GENERATED ALWAYS AS (${expression}) ${column.generated === 'stored' ? 'STORED' : 'VIRTUAL'}`];
  return column.usesSequence ? [] : [`DEFAULT ${expression}`];
}

/** What CREATE TABLE has no words for in every version. */
export function renderColumnSettings(table: string, column: ColumnDefinition): string[] {
  const alter = `ALTER TABLE ${table} ALTER COLUMN ${quoteIdentifier(column.name)} SET`;
  return [
    ...(column.storage === null ? [] : [`${alter} STORAGE ${column.storage}`]),
    ...(column.statisticsTarget === null ? [] : [`${alter} STATISTICS ${column.statisticsTarget}`]),
    ...(column.options === null ? [] : [`${alter} (${column.options.map(optionSql).join(', ')})`]),
  ];
}
