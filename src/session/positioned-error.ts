import type { NodeConnections } from '../cluster/node-connection.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import { isRightlyPositioned } from '../execute/rightly-positioned.ts';
import { driftHint } from '../execute/same-width.ts';
import type { Statement } from '../sql/parse.ts';

/**
 * A node's error with a position speaks of the text that the node got. The coordinator database, asked to describe the caller's own
 * text, gives the same error with the caller's position; where it gives none, or is not given (under another search path it might speak of other tables), the position is taken out.
 */
export async function positionedError(error: unknown, text: string, coordinator: Pick<NodeConnections, 'describe'> | undefined): Promise<unknown> {
  if (typeof error !== 'object' || error === null || isRightlyPositioned(error) || !isMisplaced(error)) return error;
  try {
    await coordinator?.describe(text);
    if (coordinator !== undefined && isDrift(error)) tellOfDrift(error);
  } catch (described) {
    if (sqlStateOf(described) === sqlStateOf(error)) return described;
  }
  if ('position' in error && error.position !== undefined) Reflect.set(error, 'position', undefined);
  return error;
}

/** What one query of several shards cannot put together, one of the shell can. */
const misfits: ReadonlySet<string> = new Set(['42601', '42804']);

function isDrift(error: object): boolean {
  const state = sqlStateOf(error) ?? '';
  return state === '42703' || (misfits.has(state) && 'message' in error && /\bUNION\b/.test(String(error.message)));
}

/** The shell has the column that a node misses, or has otherwise. */
function tellOfDrift(error: object): void {
  Object.assign(error, {
    detail: sqlStateOf(error) === '42703' ? 'The table has the column, but a shard of it does not.' : 'A shard of the table has other columns than the table.',
    hint: driftHint,
  });
}

/** Data exceptions of constants have a position, too. Not where parameters stand without values: then the coordinator database got the caller's text. */
function isMisplaced(error: object): boolean {
  if (error instanceof ClusterError) return error.id === 'distributionValueInvalid';
  const state = sqlStateOf(error) ?? '';
  return 'position' in error && (error.position !== undefined || state.startsWith('22')) && state !== '42P02';
}

/** What a session does that was asked for a value of a sequence that it did not know. */
export const keptFromNow = 'This session keeps its connection from now on: of values that it takes later it can be asked at any time.';

/** A session's last values are known to the connection that took them, and sessions share connections while they can. */
export function tellOfSequences(error: unknown): unknown {
  if (sqlStateOf(error) !== '55000' || !(error instanceof Error) || !error.message.endsWith('is not yet defined in this session')) return error;
  return Object.assign(error, { hint: `Use INSERT … RETURNING, or ask in the transaction block that takes the value. ${keptFromNow}` });
}

/** The statements of a text, each with what stands before it. */
export function* inText(statements: readonly Statement[], text: string): Generator<{ readonly statement: Statement; readonly before: string }> {
  let end = 0;
  for (const statement of statements) {
    const start = Math.max(text.indexOf(statement.text, end), 0);
    end = start + statement.text.length;
    yield { statement, before: text.slice(0, start) };
  }
}

/** An error in a statement of a text, with its position in the whole. */
export function movedError(error: unknown, before: string): unknown {
  if (typeof error !== 'object' || error === null || !('position' in error) || typeof error.position !== 'string') return error;
  Reflect.set(error, 'position', String(Number(error.position) + Array.from(before).length));
  return error;
}
