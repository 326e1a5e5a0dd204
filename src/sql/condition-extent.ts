import type { Node } from '@pgsql/types';
import { at } from '../base/assert.ts';
import { sameTree } from './ast.ts';
import { firstLocation } from './first-location.ts';
import type { Statement } from './parse.ts';
import { parseOne } from './parse.ts';
import type { Extent } from './query-extent.ts';
import { afterGroup, scanTokens, tokenAt } from './scan.ts';

/**
 * Finds one conjunct of a WHERE or ON condition in the text: from the keyword or AND in front of it to the place where what stands between, parsed by
 * itself, is the conjunct. Undefined where it is not found so, as within parentheses around several.
 */
export function conditionExtent(statement: Statement, condition: Node): Extent | undefined {
  const first = firstLocation(condition);
  if (first === undefined) return undefined;
  const tokens = scanTokens(statement.text);
  const start = startBefore(tokens, tokenAt(tokens, statement.source.index(first)));
  if (start === undefined) return undefined;
  for (const end of endsBehind(tokens, start)) {
    const extent = { start: at(tokens, start).start, end: at(tokens, end - 1).end };
    if (isCondition(statement.text.slice(extent.start, extent.end), condition)) return extent;
  }
  return undefined;
}

type Tokens = ReturnType<typeof scanTokens>;

/** The token behind the nearest WHERE, ON or AND at the same depth. */
function startBefore(tokens: Tokens, from: number): number | undefined {
  let depth = 0;
  for (let position = from - 1; position >= 0; position -= 1) {
    const word = at(tokens, position).text.toUpperCase();
    if (word === ')' || word === ']') depth += 1;
    else if (word === '(' || word === '[') depth -= 1;
    else if (depth <= 0 && starts.has(word)) return position + 1;
  }
  return undefined;
}

const starts: ReadonlySet<string> = new Set(['WHERE', 'ON', 'AND']);

/** Where a condition that starts at `from` may end: before each AND at its depth, and before what ends the clause. */
function endsBehind(tokens: Tokens, from: number): number[] {
  const found: number[] = [];
  let position = from;
  while (position < tokens.length) {
    const word = at(tokens, position).text.toUpperCase();
    if (word === 'AND' && position > from) found.push(position);
    if (word === ')' || (ends.has(word) && position > from)) break;
    position = word === '(' || word === '[' ? afterGroup(tokens, position) : position + 1;
  }
  return position > from ? [...found, Math.min(position, tokens.length)] : found;
}

const ends: ReadonlySet<string> = new Set([
  'GROUP', 'ORDER', 'HAVING', 'LIMIT', 'OFFSET', 'FETCH', 'WINDOW', 'UNION', 'INTERSECT', 'EXCEPT', 'FOR', 'JOIN', 'LEFT', 'RIGHT', 'FULL', 'INNER', 'CROSS', 'NATURAL', 'WHERE', 'RETURNING', ',',
]);

function isCondition(text: string, condition: Node): boolean {
  try {
    const { node } = parseOne(`SELECT WHERE ${text}`);
    return 'SelectStmt' in node && sameTree(node.SelectStmt.whereClause, condition);
  } catch {
    return false;
  }
}
