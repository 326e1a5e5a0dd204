import type { DeleteStmt, Node, UpdateStmt } from '@pgsql/types';
import { analyzeAny } from '../../analyze/analyze-statement.ts';
import { type FunctionRules, hasVolatileCall } from '../../analyze/function-calls.ts';
import { RelationNames } from '../../analyze/relation-names.ts';
import { resultSchema, type ResultColumn, type ResultTable } from '../../analyze/result-table.ts';
import { at, present } from '../../base/assert.ts';
import type { CatalogTable, ReferenceTable } from '../../catalog/catalog-snapshot.ts';
import { relationAlias } from '../../sql/ast.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { assignableType } from '../insert/assignable-type.ts';
import { refused } from '../insert/refused.ts';
import { defaultsVary } from '../sequence-use.ts';
import { shardTemplate } from '../shard-template.ts';
import { madeResult } from '../staged/made-result.ts';
import { ResultNames } from '../staged/result-names.ts';
import type { StagedInput } from '../staged/staged-state.ts';
import type { CopyCheck, FollowingCopies } from '../statement-plan.ts';
import { keyOf, readsTarget, returningHash } from './compare-copies.ts';
import { isOldRow, oldRow, oldRowsSql, withOldRows } from './with-old-rows.ts';

/** A write of a reference table of which one copy computes the values, and the others follow. */
export interface LedWrite {
  /** With what the others need to know behind the caller's columns. */
  readonly statement: Statement;
  readonly check: CopyCheck;
  readonly follow: FollowingCopies;
  /** Whether it may be cut into parts: not where it names places of rows in the copy that runs it. */
  readonly mayBeCut: boolean;
}

type Modify = UpdateStmt | DeleteStmt;

/** The target, where each of its copies would compute something else: by triggers, volatile functions, or defaults that do not stay the same. */
export function ledTable(modify: Modify, target: CatalogTable | undefined, rules: FunctionRules): ReferenceTable | undefined {
  return target?.kind === 'reference' && (target.rowTriggers || hasVolatileCall(modify, rules) || defaultsVary(assignedBy(modify), target)) ? target : undefined;
}

/**
 * One copy runs the statement as it is, so that every condition and every value is computed once, and returns what tells each row from others and what it has assigned; the others do the same to the same rows. A row is told
 * by a key that stays; else, while nobody else writes, by what it was. Triggers may set any column: the others take over whole rows then.
 * Throws `unsupportedWrite` where the rows cannot be told by what RETURNING gives.
 */
export function ledWrite(statement: Statement, modify: Modify, { target, input }: { readonly target: ReferenceTable; readonly input: StagedInput }): LedWrite {
  checkReturned(modify, target);
  const named = [...new Set(assignedBy(modify).flatMap((node) => ('ResTarget' in node && node.ResTarget.name !== undefined ? [node.ResTarget.name] : [])))];
  const alias = relationAlias(present(modify.relation, 'target'));
  const told = toldBy(target, named);
  const isKey = (name: string): boolean => told.columns.some(({ of, sql }) => of === 'row' && sql === name);
  const assigned = target.rowTriggers && named.length > 0 ? storedColumns(target).filter((name) => !isKey(name)) : named;
  const given = assigned.map((name) => present(target.columns.find((column) => column.name === name), 'column'));
  const held = [...told.columns, ...given.map((column): ToldColumn => ({ sql: column.name, of: 'row', typeSql: assignableType(column) }))];
  const result = madeResult((input.part ?? new ResultNames()).next(), held.map(({ typeSql }, i): ResultColumn => ({ name: `c${i + 1}`, typeSql, collation: undefined })), 'rows written by the first copy');
  const compared = told.oldRows === undefined ? held.map(({ sql }) => sql) : target.columns.map(({ name }) => name);
  const leading = told.oldRows === undefined ? statement : withOldRows(statement, modify, told.oldRows);
  const returned = [...held.map((column) => toldSql(alias, column)), returningHash(alias, compared)].join(', ');
  // Nobody has locked what policies read; and a trigger may set the key.
  const mayDiffer = target.rowSecurity || target.rowTriggers;
  return {
    statement: parseOne(`${leading.text}\n${modify.returningClause === undefined ? 'RETURNING ' : ', '}${returned}`),
    check: told.oldRows === undefined ? { kind: 'compared', mayDiffer } : { kind: 'locked', table: target, mayDiffer },
    follow: { result, template: followTemplate({ target, result, told, assigned, compared }, input), triggers: target.rowTriggers },
    mayBeCut: told.oldRows === undefined,
  };
}

/** Those that a row is stored with; the others follow from them. */
export function storedColumns({ columns }: ReferenceTable): string[] {
  return columns.filter(({ generated }) => !generated).map(({ name }) => name);
}

/** A column of the row that is written, or one of what it was. */
interface ToldColumn {
  readonly of: 'row' | 'old_row';
  readonly sql: string;
  readonly typeSql: string;
}

/** What tells a row from all others. */
interface Told {
  readonly columns: readonly ToldColumn[];
  /** Has to be joined. */
  readonly oldRows: string | undefined;
}

function toldBy(target: ReferenceTable, assigned: readonly string[]): Told {
  const key = keyOf(target, new Set(assigned));
  if (key !== undefined) return { oldRows: undefined, columns: key.map((name) => ({ of: 'row', sql: name, typeSql: assignableType(present(target.columns.find((column) => column.name === name), 'column of a key')) })) };
  const columns: readonly ToldColumn[] = [{ of: 'old_row', sql: oldRow.text, typeSql: 'text' }, { of: 'old_row', sql: oldRow.number, typeSql: 'bigint' }];
  return { columns, oldRows: oldRowsSql(quoteQualified(target.schema, target.name), target.columns.map(({ name }) => name)) };
}

function toldSql(alias: string, { of, sql }: ToldColumn): string {
  return quoteQualified(of === 'row' ? alias : oldRow.alias, sql);
}

/** For a write that needs rows of other servers besides. */
export function keyless(name: string): Error {
  return refused(`A write to reference table "${name}" reads other tables and calls a volatile function, which only one copy may compute; and no unique key over columns that are NOT NULL, of which none is set, tells the rows to the other copies.`, 'Add a primary key, or leave it as it is; or read the rows first, and pass them as parameters.');
}

function assignedBy(modify: Modify): readonly Node[] {
  return 'targetList' in modify ? (modify.targetList ?? []) : [];
}

/** The shell of an identity column that is GENERATED ALWAYS takes nothing but DEFAULT; and policies for reading would be applied to what is written. */
function checkReturned(modify: Modify, target: ReferenceTable): void {
  if (target.rowSecurity && !readsTarget(modify)) {
    throw refused(`A write to reference table "${target.name}", which has row level security, calls a volatile function and reads no column of the table, so the rows that it writes cannot be told to the other copies.`, 'Compute the values first, and pass them as parameters; or name a column in WHERE.');
  }
  const always = target.shellIsCopy ? assignedBy(modify).find((node) => 'ResTarget' in node && target.columns.some(({ name, identity }) => name === node.ResTarget.name && identity === 'always')) : undefined;
  if (always !== undefined) throw refused(`Local tables refer to "${target.name}", and a column that is GENERATED ALWAYS AS IDENTITY is set to its default.`, 'Leave the column as it is.');
}

interface Followed {
  readonly target: ReferenceTable;
  /** What tells the rows, and then what is assigned. */
  readonly result: ResultTable;
  readonly told: Told;
  readonly assigned: readonly string[];
  readonly compared: readonly string[];
}

function followTemplate({ target: { schema, name }, result, told: { columns, oldRows }, assigned, compared }: Followed, { snapshot, names: { searchPath } }: StagedInput): FollowingCopies['template'] {
  const table = `${quoteQualified(schema, name)} AS t`;
  const given = (i: number): string => `v.${at(result.columns, i).name}`;
  const sets = assigned.map((column, i) => `${quoteIdentifier(column)} = ${given(columns.length + i)}`).join(', ');
  const same = [...(oldRows === undefined ? [] : [isOldRow('t')]), ...columns.map((column, i) => `${toldSql('t', column)} = ${given(i)}`)].join(' AND ');
  const rows = `${oldRows === undefined ? '' : `${oldRows}, `}${quoteQualified(resultSchema, result.name)} AS v`;
  const write = assigned.length === 0 ? `DELETE FROM ${table} USING ${rows}` : `UPDATE ${table} SET ${sets} FROM ${rows}`;
  const statement = parseOne(`${write} WHERE ${same} RETURNING ${returningHash('t', compared)}`);
  const { uses, results } = analyzeAny(statement.node, new RelationNames(snapshot, searchPath, new Map([[result.name, result]])));
  return shardTemplate(statement, uses, results);
}
