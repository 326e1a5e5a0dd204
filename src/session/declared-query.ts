import type { DeclareCursorStmt } from '@pgsql/types';
import { at } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { Statement } from '../sql/parse.ts';
import { parseOne } from '../sql/parse.ts';
import { scanTokens } from '../sql/scan.ts';

/** What DECLARE says of a cursor, and its query as a statement of its own. */
export interface DeclaredQuery {
  readonly name: string;
  readonly query: Statement;
  readonly scrolls: boolean;
  readonly held: boolean;
  readonly insensitive: boolean;
  readonly binary: boolean;
}

/** Bits of PostgreSQL's parser (nodes/parsenodes.h). */
const optionBits = { binary: 0x1, scroll: 0x2, insensitive: 0x8, hold: 0x20 } as const;

export function declaredQuery({ text }: Statement, { portalname = '', options = 0 }: DeclareCursorStmt): DeclaredQuery {
  const tokens = scanTokens(text);
  const cursor = tokens.findIndex((token, i) => i > 1 && token.text.toUpperCase() === 'CURSOR');
  const behind = tokens.findIndex((token, i) => i > cursor && token.text.toUpperCase() === 'FOR');
  const query = parseOne(text.slice(at(tokens, behind).end));
  const is = (option: keyof typeof optionBits): boolean => (options & optionBits[option]) !== 0;
  return { name: portalname, query, scrolls: is('scroll'), held: is('hold'), insensitive: is('insensitive'), binary: is('binary') };
}

/** A cursor that locks rows goes through them once, as they are. Throws what PostgreSQL does. */
export function checkLocking({ query: { node }, held, scrolls, insensitive }: DeclaredQuery): void {
  const locking = 'SelectStmt' in node ? node.SelectStmt.lockingClause?.[0] : undefined;
  if (locking === undefined || !('LockingClause' in locking)) return;
  const strength = strengths[locking.LockingClause.strength ?? 'LCS_NONE'];
  const refuse = (words: string, detail: string): ClusterError => new ClusterError('unsupportedQuery', words, { detail });
  if (held) throw refuse(`DECLARE CURSOR WITH HOLD ... ${strength} is not supported`, 'Holdable cursors must be READ ONLY.');
  if (scrolls) throw refuse(`DECLARE SCROLL CURSOR ... ${strength} is not supported`, 'Scrollable cursors must be READ ONLY.');
  if (insensitive) throw new ClusterError('invalidParameter', `DECLARE INSENSITIVE CURSOR ... ${strength} is not valid`, { sqlState: '42P11', detail: 'Insensitive cursors must be READ ONLY.' });
}

const strengths = { LCS_NONE: '', LCS_FORUPDATE: 'FOR UPDATE', LCS_FORNOKEYUPDATE: 'FOR NO KEY UPDATE', LCS_FORSHARE: 'FOR SHARE', LCS_FORKEYSHARE: 'FOR KEY SHARE' } as const;
