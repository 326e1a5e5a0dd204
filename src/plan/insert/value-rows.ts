import { at } from '../../base/assert.ts';
import type { Token } from '../../sql/scan.ts';
import { afterGroup } from '../../sql/scan.ts';

/** One row of VALUES in the text: from its parenthesis on, and its items. String indices. */
export interface ValueRow {
  readonly start: number;
  readonly end: number;
  readonly items: readonly { readonly start: number; readonly end: number }[];
}

/** The rows behind the VALUES keyword at position `values` in `tokens`. */
export function valueRows(tokens: readonly Token[], values: number): ValueRow[] {
  const rows: ValueRow[] = [];
  let i = values + 1;
  while (tokens[i]?.text === '(') {
    const after = afterGroup(tokens, i);
    rows.push({ start: at(tokens, i).start, end: at(tokens, after - 1).end, items: itemsOf(tokens, i + 1, after - 1) });
    if (tokens[after]?.text !== ',') break;
    i = after + 1;
  }
  return rows;
}

/** Comma-separated items between two tokens. */
function itemsOf(tokens: readonly Token[], from: number, to: number): ValueRow['items'] {
  const items: { start: number; end: number }[] = [];
  let first = from;
  for (let i = from; i <= to; ) {
    const text = tokens[i]?.text;
    if (i === to || text === ',') {
      if (i > first) items.push({ start: at(tokens, first).start, end: at(tokens, i - 1).end });
      first = i + 1;
      i += 1;
    } else {
      i = text === '(' || text === '[' ? afterGroup(tokens, i) : i + 1;
    }
  }
  return items;
}

/** Position of the first token with this keyword outside all parentheses; -1 when there is none. */
export function keywordAt(tokens: readonly Token[], keyword: string, from = 0): number {
  for (let i = from; i < tokens.length; ) {
    const text = at(tokens, i).text;
    if (text === '(' || text === '[') {
      i = afterGroup(tokens, i);
      continue;
    }
    if (text.toUpperCase() === keyword) return i;
    i += 1;
  }
  return -1;
}
