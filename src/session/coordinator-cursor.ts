import { assert } from '../base/assert.ts';
import type { NodeConnection, RawRow } from '../cluster/node-connection.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import type { Statement } from '../sql/parse.ts';
import type { StatementPlan } from '../plan/statement-plan.ts';
import type { CursorRows, Movement } from './cursor-rows.ts';
import { leavesState } from './statement-kinds.ts';

/** The text of a query that the coordinator database answers alone and can read in parts; undefined for any other. */
export function cursorText(plan: StatementPlan, { node, text }: Statement): string | undefined {
  if (plan.kind !== 'coordinator' || plan.changesViews !== undefined || !('SelectStmt' in node) || node.SelectStmt.intoClause !== undefined) return undefined;
  // A cursor takes no query that writes in its WITH.
  return leavesState(node, text) || (/\bwith\b/i.test(text) && /\b(insert|update|delete|merge)\b/i.test(text)) ? undefined : plan.text;
}

/**
 * The rows of a query, by a cursor in the transaction of its connection: no row is read before it is asked for. The cursor ends with the transaction; it is not closed before, since a savepoint may have taken it already, and
 * closing what is not there would fail the transaction.
 */
export class CoordinatorCursor implements CursorRows {
  private constructor(
    private readonly connection: NodeConnection,
    private readonly cursor: string,
  ) {}

  static async open(connection: NodeConnection, { name, text, values }: { readonly name: string; readonly text: string; readonly values: readonly unknown[] }, signal: AbortSignal | undefined): Promise<CoordinatorCursor> {
    const cursor = quoteIdentifier(name);
    const before = `DECLARE ${cursor} NO SCROLL CURSOR FOR `;
    await connection.query({ text: `${before}${text}`, values }, { signal }).catch((error: unknown) => Promise.reject(movedBack(error, before.length)));
    return new CoordinatorCursor(connection, cursor);
  }

  async move({ direction, rows }: Movement, signal?: AbortSignal): Promise<readonly RawRow[]> {
    assert(direction === 'forward' && rows > 0, 'portals are read forward');
    return (await this.connection.query({ text: `FETCH FORWARD ${rows === Infinity ? 'ALL' : rows} FROM ${this.cursor}` }, { signal })).rows;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** The position is one in the caller's text. */
function movedBack(error: unknown, characters: number): unknown {
  if (error instanceof Error && 'position' in error && typeof error.position === 'string') Reflect.set(error, 'position', String(Number(error.position) - characters));
  return error;
}
