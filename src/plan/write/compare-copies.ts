import type { DeleteStmt, Node, UpdateStmt } from '@pgsql/types';
import { namedRelations } from '../../analyze/analyze-statement.ts';
import type { CatalogTable, ReferenceTable } from '../../catalog/catalog-snapshot.ts';
import { relationAlias } from '../../sql/ast.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import type { CopyCheck } from '../statement-plan.ts';

export interface CheckedCopies {
  readonly statement: Statement;
  readonly check: CopyCheck | undefined;
}

/** A write of a reference table, with what keeps its copies alike; of other tables as it is. */
export function checkedCopies(statement: Statement, write: UpdateStmt | DeleteStmt, target: CatalogTable | undefined): CheckedCopies {
  if (target?.kind !== 'reference' || write.relation === undefined) return { statement, check: undefined };
  const columns = tellingColumns(write, target);
  if (columns === undefined) return { statement, check: { kind: 'locked', table: target } };
  const alias = quoteIdentifier(relationAlias(write.relation));
  const row = `ROW(${columns.map((name) => `${alias}.${quoteIdentifier(name)}`).join(', ')})`;
  const hash = `pg_catalog.hashtextextended(${row}::pg_catalog.text COLLATE pg_catalog."C", 0) AS ${writtenHash}`;
  // On a line of its own: the statement may end in a comment.
  const returning = `${statement.text}\n${write.returningClause === undefined ? 'RETURNING ' : ', '}${hash}`;
  return { statement: parseOne(returning), check: { kind: 'compared', mayDiffer: namedRelations(write).length > 1 } };
}

/** What the column of hashes is called. */
export const writtenHash = 'shardwright_written';

/**
 * Columns whose values in the rows written say all that a copy loses and gains by the write; undefined where nothing that it can return does.
 *
 * Copies are written at different moments, and may show other rows then. What counts is that all lose the same rows and gain the same. Rows of one key are locked on the first copy before they are on the
 * others, by every writer, so that a key that is written on two copies is that of the same version of a row: of a row that goes, the key says all; of one that changes, the key and what was computed for it. So the key must
 * be one that stays. Without one a row that goes says what it was by all of its columns, and one that changes does not say it at all. Under row security what RETURNING gives is subject to further policies, and the
 * write with it.
 */
function tellingColumns(write: UpdateStmt | DeleteStmt, table: ReferenceTable): readonly string[] | undefined {
  if (table.rowSecurity) return undefined;
  const items = 'targetList' in write ? (write.targetList ?? []).flatMap((node) => ('ResTarget' in node ? [node.ResTarget] : [])) : [];
  const key = keyOf(table, new Set(items.map(({ name }) => name)));
  if (key === undefined) return 'targetList' in write ? undefined : table.columns.map(({ name }) => name);
  const isPlain = (name: string): boolean => plainTypes.test(table.columns.find((column) => column.name === name)?.type.sql ?? '');
  const computed = items.flatMap(({ name, val }) => (name === undefined || (isGiven(val) && isPlain(name)) ? [] : [name]));
  return [...new Set([...key, ...computed])];
}

/** Columns that tell rows apart and are not assigned. */
function keyOf({ columns, indexes }: ReferenceTable, assigned: ReadonlySet<string | undefined>): readonly string[] | undefined {
  const stays = (name: string | undefined): name is string => columns.some((column) => column.name === name && column.notNull && !column.generated && !assigned.has(name));
  return indexes.find((index) => index.unique && !index.partial && index.columns.every(stays))?.columns.filter(stays);
}

/** Of which a text says the same on every server: not so `'now'`, or the name of a type. */
const plainTypes = /^(smallint|integer|bigint|numeric|real|double precision|boolean|text|character|uuid|jsonb?|bytea)\b/;

/** Whatever a copy shows. */
function isGiven(value: Node | undefined): boolean {
  return value !== undefined && ('A_Const' in value || 'ParamRef' in value);
}
