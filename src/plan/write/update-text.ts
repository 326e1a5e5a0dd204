import type { Node, UpdateStmt } from '@pgsql/types';
import { at } from '../../base/assert.ts';
import { sameTree } from '../../sql/ast.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { afterGroup, scanTokens, type Token, tokenAt } from '../../sql/scan.ts';
import { refused } from '../insert/refused.ts';

/** An UPDATE taken apart. */
export interface UpdateText {
  /** What each assigned column gets, as written. */
  readonly assigned: ReadonlyMap<string, string>;
  /** The target with its alias, as written. */
  readonly target: string;
  /** From RETURNING on; empty without. */
  readonly returning: string;
  /** A DELETE of the rows that would be updated, which returns `list`. */
  deleting(list: string): Statement;
}

/** Throws a refusal where the parts cannot be told from each other. */
export function updateText(statement: Statement, update: UpdateStmt): UpdateText {
  const { text } = statement;
  const tokens = scanTokens(text);
  const relation = tokenAt(tokens, statement.source.index(update.relation?.location ?? 0));
  let first = relation;
  while (at(tokens, first).text.toUpperCase() !== 'UPDATE') first -= 1;
  const { set, from, where, returning } = clausesBehind(tokens, relation);
  const slice = (start: number, end: number): string => (start >= end ? '' : text.slice(at(tokens, start).start, at(tokens, end - 1).end));
  const deleting = (list: string): Statement => {
    const using = from < where ? ` USING ${slice(from + 1, where)}` : '';
    const made = parseOne(`${slice(0, first)} DELETE FROM ${slice(first + 1, set)}${using} ${slice(where, returning)} RETURNING ${list}`);
    const parts = 'DeleteStmt' in made.node ? made.node.DeleteStmt : {};
    if (!sameTree(parts.usingClause, update.fromClause) || !sameTree(parts.whereClause, update.whereClause)) throw unclear();
    return made;
  };
  return { assigned: assignments(text, update.targetList ?? [], tokens.slice(set + 1, from)), target: slice(first + 1, set), returning: slice(returning, tokens.length), deleting };
}

interface Clauses {
  readonly set: number;
  /** Each where it starts, or where the next one does. */
  readonly from: number;
  readonly where: number;
  readonly returning: number;
}

/** Where the clauses of an UPDATE start, outside of parentheses. */
function clausesBehind(tokens: readonly Token[], relation: number): Clauses {
  const found = new Map<string, number>();
  for (let i = relation; i < tokens.length; i = isOpen(tokens[i]) ? afterGroup(tokens, i) : i + 1) {
    const word = at(tokens, i).text.toUpperCase();
    // x IS DISTINCT FROM y
    if (!clauseWords.has(word) || found.has(word) || (word === 'FROM' && tokens[i - 1]?.text.toUpperCase() === 'DISTINCT')) continue;
    found.set(word, i);
  }
  const returning = found.get('RETURNING') ?? tokens.length;
  const where = found.get('WHERE') ?? returning;
  return { set: found.get('SET') ?? relation, from: found.get('FROM') ?? where, where, returning };
}

const clauseWords: ReadonlySet<string> = new Set(['SET', 'FROM', 'WHERE', 'RETURNING']);

function isOpen(token: Token | undefined): boolean {
  return token?.text === '(' || token?.text === '[';
}

/** `column = value, (columns) = (values)`: by column, in the order of the parser's targets. */
function assignments(text: string, targets: readonly Node[], tokens: readonly Token[]): Map<string, string> {
  const values = splitAt(tokens, ',').flatMap((item) => {
    const equals = item.findIndex(({ text: word }, i) => word === '=' && i > 0);
    const value = item.slice(equals + 1);
    return item[0]?.text === '(' ? rowValues(value) : [value];
  });
  if (values.length !== targets.length) throw unclear();
  return new Map(targets.map((target, i) => {
    const { name, indirection } = 'ResTarget' in target ? target.ResTarget : {};
    if (name === undefined || indirection !== undefined) throw refused('A part of a column is assigned in an UPDATE that sets the distribution column.', 'Assign the whole column.');
    return [name, textOf(text, at(values, i))];
  }));
}

/** `(a, b)` or `ROW (a, b)`. */
function rowValues(value: readonly Token[]): (readonly Token[])[] {
  const open = value[0]?.text.toUpperCase() === 'ROW' ? 1 : 0;
  if (value[open]?.text !== '(' || /^(SELECT|WITH|VALUES|TABLE)$/i.test(value[open + 1]?.text ?? '')) {
    throw refused('Several columns are assigned by one query in an UPDATE that sets the distribution column.', 'Assign each by a query of its own.');
  }
  return splitAt(value.slice(open + 1, -1), ',');
}

function splitAt(tokens: readonly Token[], separator: string): Token[][] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (isOpen(token)) depth += 1;
    if (token.text === ')' || token.text === ']') depth -= 1;
    if (depth === 0 && token.text === separator) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts;
}

function textOf(text: string, tokens: readonly Token[]): string {
  const [first, last] = [tokens[0], tokens.at(-1)];
  if (first === undefined || last === undefined) throw unclear();
  return text.slice(first.start, last.end);
}

function unclear(): Error {
  return refused('The parts of an UPDATE that sets the distribution column cannot be told from each other.', 'Delete the rows and insert them again, in a transaction.');
}
