import { quoteIdentifier, quoteLiteral } from '../../sql/identifiers.ts';
import { optionSql } from '../option-sql.ts';
import { renderColumn, renderColumnSettings, writtenType } from '../render-column.ts';
import type { ShardNames } from '../shard-names.ts';
import type { ColumnDefinition } from '../table-definition.ts';
import { changesAbove, comesFromAbove, goesAbove } from './handed-down.ts';
import { matchColumns, type TableChange } from './table-change.ts';

/** What depended on such a column has gone from the table as well, so CASCADE takes nothing else. */
export function dropColumns(change: TableChange, shard: ShardNames): string[] {
  const gone = matchColumns(change).gone.filter((column) => !goesAbove(change, column));
  if (gone.length === 0) return [];
  return [`ALTER TABLE ${shard.sql} ${gone.map(({ name }) => `DROP COLUMN IF EXISTS ${quoteIdentifier(name)} CASCADE`).join(', ')}`];
}

export function renameColumns(change: TableChange, shard: ShardNames): string[] {
  return matchColumns(change).kept.filter((kept) => kept.from.name !== kept.to.name && !changesAbove(change, kept, () => true))
    .map(({ from, to }) => `ALTER TABLE ${shard.sql} RENAME COLUMN ${quoteIdentifier(from.name)} TO ${quoteIdentifier(to.name)}`);
}

/** Under the settings of the session, which its expressions are written for. Defaults are taken away first: they are set again afterwards. */
export function convertColumns(change: TableChange, shard: ShardNames): string[] {
  const commands = matchColumns(change).kept.flatMap(({ from, to }) => {
    if (from.type === to.type && from.collation === to.collation && !change.conversions.has(to.name)) return [];
    if (changesAbove(change, { from, to }, () => true)) return [];
    const alter = `ALTER COLUMN ${quoteIdentifier(to.name)}`;
    const using = change.conversions.get(to.name)?.using;
    const hadDefault = from.generated === null && from.expression !== null && !from.usesSequence;
    return [
      ...(hadDefault && from.expressionOid !== to.expressionOid ? [`${alter} DROP DEFAULT`] : []),
      `${alter} TYPE ${writtenType(to)}${to.collation === null ? '' : ` COLLATE ${to.collation}`}${using === undefined ? '' : ` USING ${using.sql(quoteIdentifier(shard.name), using.once)}`}`,
    ];
  });
  return commands.length === 0 ? [] : [`ALTER TABLE ${shard.sql} ${commands.join(', ')}`];
}

/** Rows that are there get what the column was added with, which may not be what the next rows get. */
export function addColumns(change: TableChange, shard: ShardNames): string[] {
  const added = matchColumns(change).added.filter((column) => !comesFromAbove(change, column));
  if (added.length === 0) return [];
  const commands = added.map((column) => `ADD COLUMN ${renderColumn(filled(change, column, shard), (name) => shard.part(name))}`);
  const defaults = added.filter(({ position }) => change.fillings.has(position)).map((column) => setDefault(column, shard));
  return [shard.wholeRows(`ALTER TABLE ${shard.sql} ${commands.join(', ')}`), ...defaults, ...added.flatMap((column) => renderColumnSettings(shard.sql, column))];
}

function filled({ fillings }: TableChange, column: ColumnDefinition, { id }: ShardNames): ColumnDefinition {
  const filling = fillings.get(column.position);
  return filling === undefined ? column : { ...column, expression: filling(id), usesSequence: false };
}

function setDefault({ name, expression, usesSequence }: ColumnDefinition, shard: ShardNames, only: '' | 'ONLY ' = ''): string {
  const alter = `ALTER TABLE ${only}${shard.sql} ALTER COLUMN ${quoteIdentifier(name)}`;
  return expression === null || usesSequence ? `${alter} DROP DEFAULT` : shard.wholeRows(`${alter} SET DEFAULT ${expression}`);
}

/** Of columns that were there: defaults, generation expressions, NOT NULL where it is no constraint, and storage. Defaults and storage may be changed of a partitioned table ONLY, so they are changed of each table by itself. */
export function changeColumns(change: TableChange, shard: ShardNames): string[] {
  return matchColumns(change).kept.flatMap(({ from, to }) => [
    ...(changesAbove(change, { from, to }, (above) => above.from.generated !== null && above.from.expressionOid !== above.to.expressionOid && above.to.expression === to.expression) ? [] : changedExpression(from, to, shard)),
    ...(changesAbove(change, { from, to }, (kept) => kept.from.notNull !== kept.to.notNull) ? [] : changedNotNull(from, to, shard)),
    ...changedStorage(from, to, shard),
  ]);
}

function changedExpression(from: ColumnDefinition, to: ColumnDefinition, shard: ShardNames): string[] {
  if (from.expressionOid === to.expressionOid) return [];
  const alter = `ALTER TABLE ${shard.sql} ALTER COLUMN ${quoteIdentifier(to.name)}`;
  if (to.generated !== null) return [shard.wholeRows(`${alter} SET EXPRESSION AS (${to.expression ?? ''})`)];
  return from.generated === null ? [setDefault(to, shard, 'ONLY ')] : [`${alter} DROP EXPRESSION`, setDefault(to, shard)];
}

/** From PostgreSQL 18 on it is a constraint. */
function changedNotNull(from: ColumnDefinition, to: ColumnDefinition, shard: ShardNames): string[] {
  if (from.notNull === to.notNull || from.notNullName !== null || to.notNullName !== null) return [];
  return [`ALTER TABLE ${shard.sql} ALTER COLUMN ${quoteIdentifier(to.name)} ${to.notNull ? 'SET' : 'DROP'} NOT NULL`];
}

function changedStorage(from: ColumnDefinition, to: ColumnDefinition, shard: ShardNames): string[] {
  const alter = `ALTER TABLE ONLY ${shard.sql} ALTER COLUMN ${quoteIdentifier(to.name)}`;
  const storage = to.storage ?? to.typeStorage;
  const [old, now] = [from.options ?? [], to.options ?? []];
  const reset = old.map(optionName).filter((name) => !now.map(optionName).includes(name));
  const set = now.filter((option) => !old.includes(option));
  return [
    ...(storage === (from.storage ?? from.typeStorage) ? [] : [`${alter} SET STORAGE ${storage}`]),
    ...(from.compression === to.compression ? [] : [`${alter} SET COMPRESSION ${to.compression ?? 'default'}`]),
    ...(from.statisticsTarget === to.statisticsTarget ? [] : [`${alter} SET STATISTICS ${to.statisticsTarget ?? -1}`]),
    ...(reset.length === 0 ? [] : [`${alter} RESET (${reset.map(quoteIdentifier).join(', ')})`]),
    ...(set.length === 0 ? [] : [`${alter} SET (${set.map(optionSql).join(', ')})`]),
  ];
}

/** The name in `name=value`. */
export function optionName(option: string): string {
  return option.slice(0, option.indexOf('='));
}

/** A value as text, as a constant of the column's type. */
export function literalOf(value: string, { type }: ColumnDefinition): string {
  return `${quoteLiteral(value)}::${type}`;
}
