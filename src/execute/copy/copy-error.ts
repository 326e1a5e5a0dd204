import { ClusterError } from '../../base/errors.ts';
import type { CopyDefect } from './row-batch.ts';

/** `badCopyData` with PostgreSQL's context. */
export function copyDefectError(defect: CopyDefect, relation: string, line: number): ClusterError {
  const where = defect.beforeRows === true ? undefined : copyContext(relation, line);
  return new ClusterError('badCopyData', defect.message, { hint: defect.hint, where });
}

/** As PostgreSQL writes the context of an error in a line of a COPY. */
export function copyContext(relation: string, line: number): string {
  return `COPY ${relation}, line ${line}`;
}

/**
 * The same error with `where` extended in front by the line of the caller's input. Errors that have a context already keep it.
 */
export function withCopyContext(error: unknown, context: string): unknown {
  if (!(error instanceof ClusterError) || error.where !== undefined) return error;
  const { id, message, detail, hint, schema, table, column, constraint, code } = error;
  return new ClusterError(id, message, {
    detail, hint, schema, table, column, constraint, sqlState: code, where: context, cause: error.cause,
  });
}

/** How a shard's lines are told back. */
export interface LineOrigin {
  /** The shard's name as its server writes it. */
  readonly shard: string;
  /** The table's. */
  readonly relation: string;
  /** The caller's line of a line of what was sent, both from 1. */
  readonly lineOf: (line: number) => number;
  /** Values that the caller did not write stand in what was sent: a line is not shown then. */
  readonly hasAdded: boolean;
}

/**
 * Makes a node's context `COPY orders_102008, line 3, column id: "x"` speak of the table and of the caller's line. Changes and
 * returns the error itself: it stays the driver's.
 */
export function tellOrigin(error: unknown, origin: LineOrigin): unknown {
  if (!(error instanceof Error) || !('where' in error) || typeof error.where !== 'string') return error;
  const prefix = `COPY ${origin.shard}, line `;
  const lines = error.where.split('\n').map((text) => {
    if (!text.startsWith(prefix)) return text;
    const digits = /^\d+/.exec(text.slice(prefix.length))?.[0] ?? '';
    const rest = text.slice(prefix.length + digits.length);
    const shown = origin.hasAdded && rest.startsWith(': "') ? '' : rest;
    return copyContext(origin.relation, origin.lineOf(Number(digits))) + shown;
  });
  Object.assign(error, { where: lines.join('\n') });
  return error;
}
