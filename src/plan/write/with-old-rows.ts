import type { DeleteStmt, Node, UpdateStmt } from '@pgsql/types';
import { at, present } from '../../base/assert.ts';
import { nameParts, relationAlias, sameTree, walk } from '../../sql/ast.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { afterGroup, scanTokens, type Token, tokenAt } from '../../sql/scan.ts';
import { applyEdits, type Edit, fillTemplate } from '../../sql/template.ts';
import { refused } from '../insert/refused.ts';

type Modify = UpdateStmt | DeleteStmt;

/** What tells rows of a table apart that has no key that stays: their text, and which of those of one text a row is. */
export const oldRow = { alias: 'shardwright_old', text: 'shardwright_row', number: 'shardwright_number' } as const;

/**
 * A query of all rows of a table with what tells them apart, and where each is: to be joined to the table on the same server, while nobody else writes there. Rows of one text are alike, so that it does not matter
 * which of them has which number.
 */
export function oldRowsSql(table: string, columns: readonly string[]): string {
  const row = `ROW(${columns.map((name) => quoteQualified('t', name)).join(', ')})::pg_catalog.text COLLATE pg_catalog."C"`;
  return `(SELECT t.ctid AS shardwright_place, ${row} AS ${oldRow.text}, pg_catalog.row_number() OVER (PARTITION BY ${row}) AS ${oldRow.number} FROM ${table} AS t) AS ${oldRow.alias}`;
}

/** The condition of the join. */
export function isOldRow(alias: string): string {
  return `${quoteIdentifier(alias)}.ctid = ${oldRow.alias}.shardwright_place`;
}

/** An UPDATE or DELETE that reads what tells its rows apart, as `oldRows` gives it, besides: so RETURNING may name it. */
export function withOldRows(statement: Statement, modify: Modify, oldRows: string): Statement {
  const { text } = statement;
  const tokens = scanTokens(text);
  const alias = relationAlias(present(modify.relation, 'target'));
  const besides = fromOf(modify);
  if (modify.whereClause !== undefined && 'CurrentOfExpr' in modify.whereClause) throw unclear();
  const { where, returning } = clausesBehind(tokens, tokenAt(tokens, statement.source.index(modify.relation?.location ?? 0)));
  const read = `${besides !== undefined ? ',' : 'targetList' in modify ? ' FROM' : ' USING'} ${oldRows}`;
  const end = (token: number): number => at(tokens, token - 1).end;
  const edits: Edit<never>[] = [...stars(statement, modify, tokens)];
  const insert = (place: number, added: string): number => edits.push({ start: place, end: place, parts: [added] });
  if (modify.whereClause === undefined) insert(end(returning), `${read} WHERE ${isOldRow(alias)}`);
  else {
    insert(end(where), read);
    insert(at(tokens, where).end, ' (');
    insert(end(returning), `) AND ${isOldRow(alias)}`);
  }
  const made = parseOne(fillTemplate(applyEdits<never>(text, edits), () => ''));
  checkParts(modify, bodyOf(made));
  return made;
}

function fromOf(modify: Modify): readonly Node[] | undefined {
  return 'usingClause' in modify ? modify.usingClause : 'fromClause' in modify ? modify.fromClause : undefined;
}

function bodyOf({ node }: Statement): Modify {
  return present('UpdateStmt' in node ? node.UpdateStmt : 'DeleteStmt' in node ? node.DeleteStmt : undefined, 'UPDATE or DELETE');
}

/** Where WHERE and RETURNING start, outside of parentheses; the end where they are not. */
function clausesBehind(tokens: readonly Token[], relation: number): { readonly where: number; readonly returning: number } {
  const found = new Map<string, number>();
  for (let i = relation; i < tokens.length; i = tokens[i]?.text === '(' || tokens[i]?.text === '[' ? afterGroup(tokens, i) : i + 1) {
    const word = at(tokens, i).text.toUpperCase();
    if ((word === 'WHERE' || word === 'RETURNING' || word === ';') && !found.has(word)) found.set(word, i);
  }
  const returning = found.get('RETURNING') ?? found.get(';') ?? tokens.length;
  return { where: found.get('WHERE') ?? returning, returning };
}

/** A star of RETURNING means all that the statement reads, in which what is added here is not to be. */
function stars(statement: Statement, modify: Modify, tokens: readonly Token[]): Edit<never>[] {
  const edits: Edit<never>[] = [];
  walk(modify.returningClause, (kind, body) => {
    if (kind === 'SubLink') return false;
    if (kind !== 'ColumnRef' || !('fields' in body)) return undefined;
    const fields = body.fields as Node[];
    if (fields.length !== 1 || nameParts(fields)[0] !== '*') return undefined;
    if (fromOf(modify) !== undefined) throw refused('RETURNING * of a write to a reference table that only one copy may compute, and that reads other tables.', 'Name the columns.');
    const token = at(tokens, tokenAt(tokens, statement.source.index(Number('location' in body ? body.location : 0))));
    edits.push({ start: token.start, end: token.start, parts: [`${quoteIdentifier(relationAlias(present(modify.relation, 'target')))}.`] });
    return undefined;
  });
  return edits;
}

/** What was there is there still. */
function checkParts(before: Modify, after: Modify): void {
  const kept = conditions(after.whereClause).slice(0, -1);
  if (!sameTree(fromOf(after)?.slice(0, -1) ?? [], fromOf(before) ?? []) || !(before.whereClause === undefined || sameTree(kept, conditions(before.whereClause)))) throw unclear();
}

/** Those that stand around AND. */
function conditions(tree: Node | undefined): readonly Node[] {
  if (tree === undefined) return [];
  return 'BoolExpr' in tree && tree.BoolExpr.boolop === 'AND_EXPR' ? (tree.BoolExpr.args ?? []) : [tree];
}

function unclear(): Error {
  return refused('The parts of a write to a reference table that only one copy may compute cannot be told from each other.', 'Compute the values first, and pass them as parameters.');
}
