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
import type { FollowingCopies } from '../statement-plan.ts';
import { keyOf, returningHash, writtenHash } from './compare-copies.ts';

/** The target, where ON CONFLICT or RETURNING computes what would differ from copy to copy. What is inserted is computed before, for all. */
export async function ledInsertTable({ onConflictClause, returningClause }: InsertStmt, table: CatalogTable | undefined, describe: Describe): Promise<ReferenceTable | undefined> {
  if (table?.kind !== 'reference' || (onConflictClause === undefined && returningClause === undefined)) return undefined;
  const around = [onConflictClause, returningClause];
  return defaultsVary(onConflictClause?.targetList ?? [], table) || hasVolatileCall(around, await functionRules(around, describe)) ? table : undefined;
}

/** An INSERT that one copy leads, in two steps: the statement that it runs, and what the others do then. */
export interface LedInsert {
  /** Returns the key of each row that is written, and what ON CONFLICT assigns, behind the caller's columns. */
  readonly statement: Statement;
  /** `inserting`: the statement as the leading copy runs it, with its rows in the place of the query. */
  follow(inserting: Statement, rows: ResultTable, names: ResultNames): FollowingCopies;
}

/**
 * Throws `unsupportedWrite` where the rows cannot be told to the other copies. These insert the same rows where no key is taken, and set the rows that were there to what the first has set them to: those are found by a key that stays.
 */
export function ledInsert(statement: Statement, insert: InsertStmt, { target, input }: { readonly target: ReferenceTable; readonly input: StagedInput }): LedInsert {
  const assigned = [...new Set((insert.onConflictClause?.targetList ?? []).flatMap((node) => ('ResTarget' in node && node.ResTarget.name !== undefined ? [node.ResTarget.name] : [])))];
  const key = keyOf(target, new Set(assigned));
  if (key === undefined || target.rowSecurity) throw untold(target);
  if (target.shellIsCopy && target.columns.some(({ name, identity }) => identity === 'always' && assigned.includes(name))) throw untold(target);
  const alias = relationAlias(present(insert.relation, 'target'));
  const told = [...key, ...assigned];
  const returned = [...told.map((name) => quoteQualified(alias, name)), returningHash(alias, told)].join(', ');
  return {
    statement: parseOne(`${statement.text}\n${insert.returningClause === undefined ? 'RETURNING ' : ', '}${returned}`),
    follow: (inserting, rows, names) => {
      const result = madeResult(names.next(), told.map((name, i): ResultColumn => ({ name: `c${i + 1}`, typeSql: assignableType(present(target.columns.find((column) => column.name === name), 'column')), collation: undefined })), 'rows written by the first copy');
      const parts = [`inserted AS (${insertingText(inserting)} RETURNING ${returningHash(alias, told)})`, ...(assigned.length === 0 ? [] : [`updated AS (${updatingText(target, { result, key, assigned })} RETURNING ${returningHash('t', told)})`])];
      const written = assigned.length === 0 ? 'inserted' : '(SELECT * FROM inserted UNION ALL SELECT * FROM updated) AS both_ways';
      const made = parseOne(`WITH ${parts.join(', ')} SELECT pg_catalog.count(*), pg_catalog.sum(${writtenHash}) FROM ${written}`);
      const { uses, results } = analyzeAny(made.node, new RelationNames(input.snapshot, input.names.searchPath, new Map([[result.name, result], [rows.name, rows]])));
      return { result, template: shardTemplate(made, uses, results), counts: true };
    },
  };
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
