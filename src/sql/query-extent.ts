import type { SelectStmt } from '@pgsql/types';
import { at } from '../base/assert.ts';
import { sameTree } from './ast.ts';
import { firstLocation } from './first-location.ts';
import type { Statement } from './parse.ts';
import { parseOne } from './parse.ts';
import type { Token } from './scan.ts';
import { afterGroup, scanTokens, tokenAt } from './scan.ts';

/** Where a query stands in a text, without the parentheses around it. String indices. */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

/**
 * Finds a query of a statement in its text: the innermost parentheses around the query's first node whose content, parsed by itself, is the query; or
 * an operand of UNION, INTERSECT or EXCEPT. (The parser gives queries no location.) Undefined where neither is found.
 */
export function queryExtent(statement: Statement, query: SelectStmt): Extent | undefined {
  const first = firstLocation(query);
  if (first === undefined) return undefined;
  const tokens = scanTokens(statement.text);
  const inner = tokenAt(tokens, statement.source.index(first));
  const search: Search = { text: statement.text, tokens, query, inner };
  for (let open = inner - 1, depth = 0; open >= 0; open -= 1) {
    const { text } = at(tokens, open);
    if (text === ')' || text === ']') depth += 1;
    else if ((text === '(' || text === '[') && depth > 0) depth -= 1;
    else if (text === '(' && isQueryStart(tokens[open + 1])) {
      const found = among(search, { from: open + 1, to: afterGroup(tokens, open) - 1 });
      if (found !== undefined) return found;
    }
  }
  return among(search, { from: 0, to: tokens.length });
}

interface Search {
  readonly text: string;
  readonly tokens: readonly Token[];
  readonly query: SelectStmt;
  /** A token of the query: another may read just like it. */
  readonly inner: number;
}

/** Positions of tokens, the last one excluded. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** The whole range, or a run of operands in it. */
function among({ text, tokens, query, inner }: Search, range: Range): Extent | undefined {
  const operands = operandsIn(tokens, range);
  const ranges = operands.length < 2 ? [range] : [range, ...operands.flatMap((first, i) => operands.slice(i).map((last) => ({ from: first.from, to: last.to })))];
  for (const { from, to } of ranges) {
    const [head, tail] = [tokens[from], tokens[to - 1]];
    if (head === undefined || tail === undefined || inner < from || inner >= to) continue;
    if (holdsQuery(text.slice(head.start, tail.end), query)) return { start: head.start, end: tail.end };
  }
  return undefined;
}

/** The pieces between the set operators of a range, without a WITH in front and ORDER BY and the like behind. */
function operandsIn(tokens: readonly Token[], { from, to }: Range): Range[] {
  const operands: Range[] = [];
  let start: number | undefined;
  let position = from;
  const close = (end: number): void => {
    if (start !== undefined) operands.push({ from: start, to: end });
    start = undefined;
  };
  while (position < to) {
    const word = at(tokens, position).text.toUpperCase();
    if (setOperators.has(word)) {
      close(position);
      if (quantifiers.has(tokens[position + 1]?.text.toUpperCase() ?? '')) position += 1;
    } else if (operands.length > 0 && tails.has(word)) {
      close(position);
      return operands;
    } else if (start === undefined && (operandStarts.has(word) || (word === '(' && (position === from || operands.length > 0)))) start = position;
    position = word === '(' || word === '[' ? afterGroup(tokens, position) : position + 1;
  }
  close(to);
  return operands;
}

const setOperators: ReadonlySet<string> = new Set(['UNION', 'INTERSECT', 'EXCEPT']);
const quantifiers: ReadonlySet<string> = new Set(['ALL', 'DISTINCT']);
const tails: ReadonlySet<string> = new Set(['ORDER', 'LIMIT', 'OFFSET', 'FETCH', 'FOR']);
const operandStarts: ReadonlySet<string> = new Set(['SELECT', 'VALUES', 'TABLE']);

function isQueryStart(token: Token | undefined): boolean {
  return token !== undefined && queryStarts.has(token.text.toUpperCase());
}

const queryStarts: ReadonlySet<string> = new Set(['SELECT', 'WITH', 'VALUES', 'TABLE', '(']);

/** Whether a text, parsed by itself, is the query. */
export function holdsQuery(text: string, query: SelectStmt): boolean {
  try {
    const { node } = parseOne(text);
    return 'SelectStmt' in node && sameTree(node.SelectStmt, query);
  } catch {
    return false;
  }
}
