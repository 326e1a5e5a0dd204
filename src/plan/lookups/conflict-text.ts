import { at, present } from '../../base/assert.ts';
import type { Statement } from '../../sql/parse.ts';
import { afterGroup, scanTokens, type Token } from '../../sql/scan.ts';

/** An INSERT … ON CONFLICT taken apart, as written. */
export interface ConflictText {
  /** Up to ON CONFLICT. */
  readonly insert: string;
  /** Behind SET; empty for DO NOTHING. */
  readonly set: Extent;
  /** Behind the WHERE of DO UPDATE; empty without. */
  readonly where: Extent;
  /** From RETURNING on; empty without. */
  readonly returning: string;
  /** The same statement where the conflict is with a constraint of these columns, each quoted; undefined for any. */
  meaning(columns: readonly string[] | undefined): string;
}

/** A part of a text, by string indices. */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

/** ON CONFLICT stands outside of all parentheses, and so do the words that its clauses begin with, all of which are reserved. A query in front of it may join a table of that name: it is the last. */
export function conflictText({ text }: Statement): ConflictText {
  const tokens = scanTokens(text);
  const conflict = lastWordsAt(tokens, ['ON', 'CONFLICT']);
  const action = wordsAt(tokens, ['DO'], conflict + 2);
  const returning = wordsAt(tokens, ['RETURNING'], action);
  const updates = tokens[action + 1]?.text.toUpperCase() === 'UPDATE';
  const set = updates ? action + 2 : returning - 1;
  const where = Math.min(wordsAt(tokens, ['WHERE'], set), returning);
  const between = (from: number, to: number): Extent => (from >= to ? { start: text.length, end: text.length } : { start: at(tokens, from).start, end: at(tokens, to - 1).end });
  return {
    insert: text.slice(0, at(tokens, conflict).start),
    set: between(set + 1, where),
    where: between(where + 1, returning),
    returning: returning < tokens.length ? text.slice(at(tokens, returning).start) : '',
    meaning: (columns) => `${text.slice(0, at(tokens, conflict + 1).end)} ${columns === undefined ? '' : `(${columns.join(', ')}) `}${text.slice(present(tokens[action]).start)}`,
  };
}

function lastWordsAt(tokens: readonly Token[], words: readonly string[]): number {
  let found = wordsAt(tokens, words, 0);
  for (let next = found; next < tokens.length; next = wordsAt(tokens, words, next + 1)) found = next;
  return found;
}

/** Where the words stand next to each other outside of all parentheses, from `from` on; behind the last token if nowhere. */
function wordsAt(tokens: readonly Token[], words: readonly string[], from: number): number {
  let i = from;
  while (i < tokens.length && !words.every((word, k) => tokens[i + k]?.text.toUpperCase() === word)) {
    i = tokens[i]?.text === '(' || tokens[i]?.text === '[' ? afterGroup(tokens, i) : i + 1;
  }
  return i;
}
