import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { NodeQuery } from '../cluster/node-connection.ts';
import { isConnectionFailure, wasNotSent } from '../cluster/translate-error.ts';

/**
 * - `not_run`: it has certainly done nothing, and may be tried again elsewhere;
 * - `refused`: the same, if the server turns out not to take writes; its own error otherwise, such as in a READ ONLY transaction;
 * - `unknown`: it may have run, and been committed;
 * - `own`: the statement's own error, which any server would give.
 */
export type FailureKind = 'not_run' | 'refused' | 'unknown' | 'own';

/** Statements that a server rolls back whole when it ends the session. CALL, DO, VACUUM and the like may have committed a part; so may texts of several statements. */
const undoneWhole = /^\s*\(?\s*(select|insert|update|delete|merge|with|values|table)\b[^;]*$/i;

/** What the failure of a statement outside of a transaction block says of it. */
export function judgeFailure(error: unknown, query: Pick<NodeQuery, 'text'> | undefined): FailureKind {
  if (wasNotSent(error)) return 'not_run';
  if (error instanceof ClusterError) {
    return error.id === 'connectionLost' ? 'unknown' : 'own';
  }
  switch (sqlStateOf(error)) {
    // Starting, or shutting down: it takes no connections.
    case '57P03':
      return 'not_run';
    // What it was at is rolled back. After a commit the server says nothing any more.
    case '57P01':
      return query === undefined || undoneWhole.test(query.text) ? 'not_run' : 'unknown';
    case '25006':
      return 'refused';
    default:
      return isConnectionFailure(error) ? 'unknown' : 'own';
  }
}
