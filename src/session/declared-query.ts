import type { DeclareCursorStmt } from '@pgsql/types';
import { at } from '../base/assert.ts';
import type { Statement } from '../sql/parse.ts';
import { parseOne } from '../sql/parse.ts';
import { scanTokens } from '../sql/scan.ts';

/** What DECLARE says of a cursor, and its query as a statement of its own. */
export interface DeclaredQuery {
  readonly name: string;
  readonly query: Statement;
  readonly scrolls: boolean;
  readonly held: boolean;
  readonly binary: boolean;
}

/** Bits of PostgreSQL's parser (nodes/parsenodes.h). */
const optionBits = { binary: 0x1, scroll: 0x2, hold: 0x20 } as const;

export function declaredQuery({ text }: Statement, { portalname = '', options = 0 }: DeclareCursorStmt): DeclaredQuery {
  const tokens = scanTokens(text);
  const cursor = tokens.findIndex((token, i) => i > 1 && token.text.toUpperCase() === 'CURSOR');
  const behind = tokens.findIndex((token, i) => i > cursor && token.text.toUpperCase() === 'FOR');
  const query = parseOne(text.slice(at(tokens, behind).end));
  return { name: portalname, query, scrolls: has(options, optionBits.scroll), held: has(options, optionBits.hold), binary: has(options, optionBits.binary) };
}

function has(options: number, bit: number): boolean {
  return (options & bit) !== 0;
}
