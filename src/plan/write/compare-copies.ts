import type { ColumnRef, DeleteStmt, InsertStmt, Node, UpdateStmt } from '@pgsql/types';
import { namedRelations } from '../../analyze/analyze-statement.ts';
import { collectCalls } from '../../analyze/function-calls.ts';
import { present } from '../../base/assert.ts';
import type { CatalogTable, Column, ReferenceTable } from '../../catalog/catalog-snapshot.ts';
import { holds, relationAlias, walk } from '../../sql/ast.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { rowHash } from '../../sql/row-hash.ts';
import { plainTypes } from '../plain-types.ts';
import { isOnceCall } from '../select/evaluate-once.ts';
import type { CopyCheck } from '../statement-plan.ts';

export interface CheckedCopies {
  readonly statement: Statement;
  readonly check: CopyCheck | undefined;
}

/** A write of a reference table, with what keeps its copies alike; of other tables as it is. */
export function checkedCopies(statement: Statement, write: UpdateStmt | DeleteStmt, target: CatalogTable | undefined): CheckedCopies {
  if (target?.kind !== 'reference' || write.relation === undefined) return { statement, check: undefined };
  const columns = tellingColumns(write, target);
  if (columns === undefined) {
    const locked = lockedCopies(write, target);
    // No lock tells which of several rows of FROM a server takes.
    return { statement, check: 'fromClause' in write ? { ...locked, mayDiffer: true } : locked };
  }
  return { statement: withHash(statement, write, columns), check: { kind: 'compared', mayDiffer: namedRelations(write).length > 1 || mayVary(write, target.columns) } };
}

/** The same of an INSERT: only what ON CONFLICT sets is computed by each copy, of a row that is the same on all. */
export function checkedConflicts(statement: Statement, insert: InsertStmt, target: CatalogTable | undefined): CheckedCopies {
  const { targetList = [], whereClause } = insert.onConflictClause ?? {};
  const assigned = targetList.flatMap((node) => ('ResTarget' in node && node.ResTarget.name !== undefined ? [node.ResTarget.name] : []));
  if (target?.kind !== 'reference') return { statement, check: undefined };
  const { columns } = target;
  if (!mayVary(targetList, columns.filter(({ name }) => assigned.includes(name))) && !mayVary(whereClause, columns)) return { statement, check: undefined };
  if (target.rowSecurity) return { statement, check: lockedCopies(insert, target) };
  return { statement: withHash(statement, insert, [...new Set([...(keyOf(target, new Set()) ?? []), ...assigned])]), check: { kind: 'compared', mayDiffer: true } };
}

/** For a write that cannot return what it has written. Nobody has locked what policies read. */
export function lockedCopies(write: unknown, table: ReferenceTable): CopyCheck {
  return { kind: 'locked', table, mayDiffer: table.rowSecurity || mayVary(write, table.columns) };
}

/** With a hash of the columns of each row written, as a column behind the caller's. */
function withHash(statement: Statement, { relation, returningClause }: Pick<InsertStmt, 'relation' | 'returningClause'>, columns: readonly string[]): Statement {
  const alias = relationAlias(present(relation, 'target'));
  // On a line of its own: the statement may end in a comment.
  return parseOne(`${statement.text}\n${returningClause === undefined ? 'RETURNING ' : ', '}${returningHash(alias, columns)}`);
}

/** A hash of columns of a row that is written, as an item of RETURNING. */
export function returningHash(alias: string, columns: readonly string[]): string {
  return `${rowHash(`ROW(${columns.map((name) => quoteQualified(alias, name)).join(', ')})`)} AS ${writtenHash}`;
}

/** Whether what it computes may be something else on another server: it calls functions that are not evaluated once, or has a constant or parameter that may be for one of the columns, where a text for that may say something else. */
function mayVary(tree: unknown, columns: readonly Column[]): boolean {
  let calls = false;
  collectCalls(tree, (call) => {
    calls ||= !isOnceCall(call);
    return true;
  }, true);
  return calls || (columns.some(({ type }) => !plainTypes.test(type.sql)) && holds(tree, 'A_Const', 'ParamRef'));
}

/** Whether it surely reads a column of its target: the policies for reading are applied to what it writes, then, whatever it returns. */
export function readsTarget(write: UpdateStmt | DeleteStmt): boolean {
  const besides = 'targetList' in write ? write.fromClause : 'usingClause' in write ? write.usingClause : undefined;
  const isAlone = besides === undefined && namedRelations(write).length === 1;
  const alias = write.relation === undefined ? undefined : relationAlias(write.relation);
  let reads = false;
  walk([write.whereClause, 'targetList' in write ? write.targetList : undefined, write.returningClause], (kind, body) => {
    if (kind === 'SubLink') return false;
    if (kind !== 'ColumnRef') return undefined;
    const [first, ...rest] = (body as ColumnRef).fields ?? [];
    reads ||= rest.length === 0 ? isAlone : first !== undefined && 'String' in first && first.String.sval === alias;
    return undefined;
  });
  return reads;
}

/** What the column of hashes is called. */
export const writtenHash = 'shardwright_written';

/**
 * Columns whose values in the rows written say all that a copy loses and gains by the write; undefined where nothing that it can return does.
 *
 * Copies are written at different moments, and may show other rows then. What counts is that all lose the same rows and gain the same. Rows of one key are locked on the first copy before they are on the
 * others, by every writer, so that a key that is written on two copies is that of the same version of a row: of a row that goes, the key says all; of one that changes, the key and what was computed for it. So the key must
 * be one that stays. Without one a row that goes says what it was by all of its columns, and one that changes does not say it at all. Under row security what RETURNING gives is subject to further policies, and the
 * write with it, unless it reads the rows anyway.
 */
function tellingColumns(write: UpdateStmt | DeleteStmt, table: ReferenceTable): readonly string[] | undefined {
  if (table.rowSecurity && !readsTarget(write)) return undefined;
  const items = 'targetList' in write ? (write.targetList ?? []).flatMap((node) => ('ResTarget' in node ? [node.ResTarget] : [])) : [];
  const key = keyOf(table, new Set(items.map(({ name }) => name)));
  if (key === undefined) return 'targetList' in write ? undefined : table.columns.map(({ name }) => name);
  const isPlain = (name: string): boolean => plainTypes.test(table.columns.find((column) => column.name === name)?.type.sql ?? '');
  const computed = items.flatMap(({ name, val }) => (name === undefined || (isGiven(val) && isPlain(name)) ? [] : [name]));
  return [...new Set([...key, ...computed])];
}

/** Columns that tell rows apart and are not assigned. */
export function keyOf({ columns, indexes }: Pick<CatalogTable, 'columns' | 'indexes'>, assigned: ReadonlySet<string | undefined>): readonly string[] | undefined {
  const stays = (name: string | undefined): name is string => columns.some((column) => column.name === name && column.notNull && !column.generated && !assigned.has(name));
  return indexes.find((index) => index.tellsRows && index.columns.every(stays))?.columns.filter(stays);
}

/** Whatever a copy shows. */
function isGiven(value: Node | undefined): boolean {
  return value !== undefined && ('A_Const' in value || 'ParamRef' in value);
}
