import { scanSync } from 'libpg-query';
import { LruMap } from '../base/lru.ts';
import { SourceText } from './source-text.ts';

/** A token with string indices, comments left out. `text` is as written, quotes and all. */
export interface Token {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The texts that were scanned last, of so many characters together: planning asks for the tokens of one text again and again, and for those of parts in between. */
const remembered = new LruMap<string, readonly Token[]>(4, { max: 400_000, of: (text) => text.length });

/** The tokens of a statement, in order. Source: libpg-query's scanner. */
export function scanTokens(text: string): readonly Token[] {
  const known = remembered.get(text);
  if (known !== undefined) return known;
  const tokens = scanned(text);
  remembered.set(text, tokens);
  return tokens;
}

function scanned(text: string): Token[] {
  const source = new SourceText(text);
  const tokens: Token[] = [];
  for (const token of scanSync(text).tokens) {
    if (token.tokenName === 'SQL_COMMENT' || token.tokenName === 'C_COMMENT') continue;
    const start = source.index(token.start);
    const end = source.index(token.end);
    tokens.push({ start, end, text: text.slice(start, end) });
  }
  return tokens;
}

/** Position in `tokens` of the first token that starts at or after `index`. */
export function tokenAt(tokens: readonly Token[], index: number): number {
  let low = 0;
  let high = tokens.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tokens[middle]?.start ?? 0) < index) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Position after the group that opens at `open` (a token `(` or `[`), that is one past its closing token. */
export function afterGroup(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let i = open; i < tokens.length; i += 1) {
    const text = tokens[i]?.text;
    if (text === '(' || text === '[') depth += 1;
    if (text === ')' || text === ']') depth -= 1;
    if (depth === 0) return i + 1;
  }
  return tokens.length;
}
