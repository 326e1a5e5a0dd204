import type { InsertStmt } from '@pgsql/types';
import { analyzeAny } from '../../analyze/analyze-statement.ts';
import { hasVolatileCall } from '../../analyze/function-calls.ts';
import { RelationNames } from '../../analyze/relation-names.ts';
import { resultSchema, type ResultColumn, type ResultTable } from '../../analyze/result-table.ts';
import { at, present } from '../../base/assert.ts';
import type { CatalogTable, ReferenceTable } from '../../catalog/catalog-snapshot.ts';
import { relationAlias } from '../../sql/ast.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { afterGroup, scanTokens, type Token, tokenAt } from '../../sql/scan.ts';
import type { Describe } from '../describe.ts';
import { functionRules } from '../function-rules.ts';
import { assignableType } from '../insert/assignable-type.ts';
import { refused } from '../insert/refused.ts';
import { defaultsVary } from '../sequence-use.ts';
import { shardTemplate } from '../shard-template.ts';
import { madeResult } from '../staged/made-result.ts';
import type { ResultNames } from '../staged/result-names.ts';
import type { StagedInput } from '../staged/staged-state.ts';
import type { CopyCheck, FollowingCopies } from '../statement-plan.ts';
import { keyOf, returningHash, writtenHash } from './compare-copies.ts';
import { storedColumns } from './following-copies.ts';

/** The target, where triggers, ON CONFLICT or RETURNING compute what would differ from copy to copy. What is inserted is computed before, for all. */
export async function ledInsertTable(insert: InsertStmt, table: CatalogTable | undefined, describe: Describe): Promise<ReferenceTable | undefined> {
  return table?.kind === 'reference' && (table.rowTriggers || (await differsAround(insert, table, describe))) ? table : undefined;
}

/** Whether what stands around the rows does. */
export async function differsAround({ onConflictClause, returningClause }: InsertStmt, table: ReferenceTable, describe: Describe): Promise<boolean> {
  if (onConflictClause === undefined && returningClause === undefined) return false;
  const around = [onConflictClause, returningClause];
  return defaultsVary(onConflictClause?.targetList ?? [], table) || hasVolatileCall(around, await functionRules(around, describe));
}

/** An INSERT that one copy leads, in two steps: the statement that it runs, and what the others do then. */
export interface LedInsert {
  /** Returns the key of each row that is written, and what ON CONFLICT assigns, behind the caller's columns. */
  readonly statement: Statement;
  readonly check: CopyCheck;
  /** `inserting`: the statement as the leading copy runs it, with its rows in the place of the query. */
  follow(inserting: Statement, rows: ResultTable, names: ResultNames): FollowingCopies;
}

/**
 * Throws `unsupportedWrite` where the rows cannot be told to the other copies. These insert the same rows where no key is taken, and set the rows that were there to what the first has set them to: those are found by a key that stays.
 */
export function ledInsert(statement: Statement, insert: InsertStmt, { target, input }: LedTarget): LedInsert {
  if (target.rowTriggers) {
    const { followed, ...leading } = triggeredInsert(statement, insert, { target, input });
    return { ...leading, follow: (_inserting, _rows, names) => followed(names) };
  }
  const assigned = [...new Set((insert.onConflictClause?.targetList ?? []).flatMap((node) => ('ResTarget' in node && node.ResTarget.name !== undefined ? [node.ResTarget.name] : [])))];
  const key = keyOf(target, new Set(assigned));
  if (key === undefined || target.rowSecurity) throw untold(target);
  if (target.shellIsCopy && target.columns.some(({ name, identity }) => identity === 'always' && assigned.includes(name))) throw untold(target);
  const told = [...key, ...assigned];
  const alias = relationAlias(present(insert.relation, 'target'));
  return {
    statement: tellingRows(statement, insert, told),
    check: { kind: 'compared', mayDiffer: false },
    follow: (inserting, rows, names) => {
      const result = toldResult(target, told, names);
      const parts = [`inserted AS (${insertingText(inserting)} RETURNING ${returningHash(alias, told)})`, ...(assigned.length === 0 ? [] : [`updated AS (${updatingText(target, { result, key, assigned })} RETURNING ${returningHash('t', told)})`])];
      const written = assigned.length === 0 ? 'inserted' : '(SELECT * FROM inserted UNION ALL SELECT * FROM updated) AS both_ways';
      const made = parseOne(`WITH ${parts.join(', ')} SELECT pg_catalog.count(*), pg_catalog.sum(${writtenHash}) FROM ${written}`);
      const { uses, results } = analyzeAny(made.node, new RelationNames(input.snapshot, input.names.searchPath, new Map([[result.name, result], [rows.name, rows]])));
      return { result, template: shardTemplate(made, uses, results), counts: true, triggers: false };
    },
  };
}

interface LedTarget {
  readonly target: ReferenceTable;
  readonly input: StagedInput;
}

/** An INSERT into a table with triggers. */
type TriggeredInsert = Pick<LedInsert, 'statement' | 'check'> & { readonly followed: (names: ResultNames) => FollowingCopies };

/** Returns these columns of the rows that are written, and their hash, behind the caller's. */
function tellingRows({ text }: Statement, { relation, returningClause }: InsertStmt, told: readonly string[]): Statement {
  const alias = relationAlias(present(relation, 'target'));
  const returned = [...told.map((name) => quoteQualified(alias, name)), returningHash(alias, told)].join(', ');
  return parseOne(`${text}\n${returningClause === undefined ? 'RETURNING ' : ', '}${returned}`);
}

function toldResult(target: ReferenceTable, told: readonly string[], names: ResultNames): ResultTable {
  return madeResult(names.next(), told.map((name, i): ResultColumn => ({ name: `c${i + 1}`, typeSql: assignableType(present(target.columns.find((column) => column.name === name), 'column')), collation: undefined })), 'rows written by the first copy');
}

/**
 * Triggers may leave a row out, and set any of its columns: the others insert what the first has stored. A row that was there is set to it as a whole, found by a key; whether that key was the row's own before, no copy can tell
 * by itself, so nobody else may write meanwhile, and all rows are compared.
 */
export function triggeredInsert(statement: Statement, insert: InsertStmt, { target, input }: LedTarget): TriggeredInsert {
  const { onConflictClause: conflict } = insert;
  const updates = conflict?.action === 'ONCONFLICT_UPDATE';
  const assigned = (conflict?.targetList ?? []).flatMap((node) => ('ResTarget' in node && node.ResTarget.name !== undefined ? [node.ResTarget.name] : []));
  const key = updates ? keyOf(target, new Set(assigned)) : [];
  if (key === undefined || target.rowSecurity) throw untoldTriggered(target, updates);
  const told = storedColumns(target);
  return {
    statement: tellingRows(statement, insert, told),
    check: updates ? { kind: 'locked', table: target, mayDiffer: true } : { kind: 'compared', mayDiffer: false },
    followed: (names) => {
      const result = toldResult(target, told, names);
      const made = parseOne(takingOver(target, { result, told, key }));
      const { uses, results } = analyzeAny(made.node, new RelationNames(input.snapshot, input.names.searchPath, new Map([[result.name, result]])));
      return { result, template: shardTemplate(made, uses, results), triggers: true };
    },
  };
}

function takingOver({ schema, name }: ReferenceTable, { result, told, key }: { readonly result: ResultTable; readonly told: readonly string[]; readonly key: readonly string[] }): string {
  const list = (names: readonly string[]): string => names.map(quoteIdentifier).join(', ');
  const rows = `SELECT ${result.columns.map((column) => `v.${column.name}`).join(', ')} FROM ${quoteQualified(resultSchema, result.name)} AS v`;
  const sets = told.filter((column) => !key.includes(column)).map((column) => `${quoteIdentifier(column)} = excluded.${quoteIdentifier(column)}`).join(', ');
  const conflict = key.length === 0 ? '' : ` ON CONFLICT (${list(key)}) DO UPDATE SET ${sets}`;
  return `INSERT INTO ${quoteQualified(schema, name)} AS t (${list(told)}) OVERRIDING SYSTEM VALUE ${rows}${conflict} RETURNING ${returningHash('t', told)}`;
}

function untoldTriggered({ name, rowSecurity }: ReferenceTable, updates: boolean): Error {
  const why = rowSecurity ? 'and row level security' : 'and no unique key over columns that are NOT NULL, of which ON CONFLICT sets none';
  return refused(`Reference table "${name}" has triggers, which only one copy runs, ${why}: so the rows cannot be told to the other copies.`, rowSecurity ? 'Set the values in the application, and drop the triggers.' : updates ? 'Add a primary key, or leave it as it is.' : 'Add a primary key.');
}

/** The INSERT without what it does where a key is taken, and without RETURNING, which it surely has: its own or ours. */
function insertingText({ text, node, source }: Statement): string {
  const tokens = scanTokens(text);
  const conflict = 'InsertStmt' in node ? node.InsertStmt.onConflictClause : undefined;
  const start = conflict === undefined ? 0 : tokenAt(tokens, source.index(present(conflict.location, 'place of ON CONFLICT')));
  const end = at(tokens, outerWord(tokens, { word: conflict === undefined ? 'RETURNING' : 'DO', start })).start;
  return `${text.slice(0, end)}${conflict === undefined ? '' : 'DO NOTHING'}`;
}

/** The first place from `start` on where the word stands outside of parentheses. */
function outerWord(tokens: readonly Token[], { word, start }: { readonly word: string; readonly start: number }): number {
  let i = start;
  while (at(tokens, i).text.toUpperCase() !== word) i = at(tokens, i).text === '(' || at(tokens, i).text === '[' ? afterGroup(tokens, i) : i + 1;
  return i;
}

interface Updating {
  readonly result: ResultTable;
  readonly key: readonly string[];
  readonly assigned: readonly string[];
}

function updatingText({ schema, name }: ReferenceTable, { result, key, assigned }: Updating): string {
  const given = (i: number): string => `v.${at(result.columns, i).name}`;
  const sets = assigned.map((column, i) => `${quoteIdentifier(column)} = ${given(key.length + i)}`).join(', ');
  return `UPDATE ${quoteQualified(schema, name)} AS t SET ${sets} FROM ${quoteQualified(resultSchema, result.name)} AS v WHERE ${key.map((column, i) => `t.${quoteIdentifier(column)} = ${given(i)}`).join(' AND ')}`;
}

function untold({ name }: ReferenceTable): Error {
  return refused(
    `ON CONFLICT or RETURNING of reference table "${name}" calls a volatile function, which only one copy may compute, and the rows cannot be told to the other copies: that takes a unique key over columns that are NOT NULL, of which none is set, a table without row level security, and no column that is GENERATED ALWAYS.`,
    'Compute the values first, and pass them as parameters.',
  );
}
