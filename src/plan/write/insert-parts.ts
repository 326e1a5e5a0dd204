import type { InsertStmt, SelectStmt } from '@pgsql/types';
import { at, present } from '../../base/assert.ts';
import type { Statement } from '../../sql/parse.ts';
import { type Extent, holdsQuery } from '../../sql/query-extent.ts';
import { afterGroup, scanTokens, type Token, tokenAt } from '../../sql/scan.ts';
import { refused } from '../insert/refused.ts';

/** Where the parts of an INSERT stand in its text. String indices. */
export interface InsertParts {
  /** Behind the target's name and alias. */
  readonly targetEnd: number;
  /** Of the query whose rows are inserted, with parentheses around it. */
  readonly query: Extent;
}

export function insertParts(statement: Statement, insert: InsertStmt, select: SelectStmt): InsertParts {
  const tokens = scanTokens(statement.text);
  const relation = present(insert.relation, 'target');
  const first = tokenAt(tokens, statement.source.index(relation.location ?? 0));
  const names = relation.catalogname === undefined ? (relation.schemaname === undefined ? 0 : 2) : 4;
  const last = first + names + (relation.alias === undefined ? 0 : 2);
  const start = queryStart(tokens, insert, last);
  for (const end of queryEnds(tokens, start)) {
    const query = { start: at(tokens, start).start, end: at(tokens, end - 1).end };
    if (holdsQuery(statement.text.slice(query.start, query.end), select)) return { targetEnd: at(tokens, last).end, query };
  }
  throw refused('The query of the INSERT cannot be told from what stands around it.', 'Put it in parentheses.');
}

/** Behind the column list and OVERRIDING … VALUE. */
function queryStart(tokens: readonly Token[], insert: InsertStmt, target: number): number {
  const listed = insert.cols === undefined ? target + 1 : afterGroup(tokens, target + 1);
  return tokens[listed]?.text.toUpperCase() === 'OVERRIDING' ? listed + 3 : listed;
}

/** Before each ON or RETURNING that may be the INSERT's own, and at the end. */
function queryEnds(tokens: readonly Token[], start: number): number[] {
  const ends: number[] = [];
  let position = start;
  while (position < tokens.length) {
    const word = at(tokens, position).text.toUpperCase();
    if (word === 'ON' || word === 'RETURNING') ends.push(position);
    position = word === '(' || word === '[' ? afterGroup(tokens, position) : position + 1;
  }
  return [...ends, tokens.length];
}
