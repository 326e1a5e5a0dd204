import type { QueryResult } from 'pg';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { ParsedQuery } from '../cluster/node-connection.ts';
import type { Effect, StatementScope } from './statement-scope.ts';
import { sentAtOnce } from './watch-shells.ts';

/**
 * Runs a statement that reads tables which the snapshot takes for local ones, and makes certain that none of them was distributed
 * meanwhile: its shell would be empty, and the answer silently wrong. Rejects with `shardMissing` then; nothing of the statement is kept.
 *
 * 1. The statement runs in a transaction, so that from its first touch of a table until COMMIT it holds a lock which distributing waits for.
 * 2. *Then* the catalog's version is compared, by the server. Had the table been distributed before the lock, the version is seen here.
 *    (Compared before the statement it could change in between.)
 * 3. A difference is an error, so COMMIT rolls back.
 *
 * All of that is written at once: it costs no further round trip.
 *
 * The same holds for a query that locks rows of reference tables in their copies here: the shell of one that is a copy no more is empty. In a transaction block the error is a serialization failure (40001): nothing
 * can be run a second time, and one snapshot for the whole block may be older than the copy.
 *
 * `runsCode`: functions may use what the text does not name. Where these have used shells it is refused (`unsupportedQuery`).
 */
export function readLocalTables(scope: StatementScope, query: ParsedQuery, { effect, namesTables = true, runsCode = false }: LocalReading): Promise<QueryResult> {
  return scope.withConnection(coordinatorNodeId, effect, (connection) => {
    const { signal, onNotice } = scope;
    const check = (): Promise<unknown> => connection.query({ text: versionCheck(scope.snapshot.version), simple: true }, { onNotice }).catch((error: unknown) => Promise.reject(sqlStateOf(error) === divisionByZero ? outdated(error, scope) : error));
    return sentAtOnce(scope, connection, { statement: () => connection.queryParsed(query, { signal, onNotice }), runsCode, check: namesTables ? check : undefined });
  });
}

export interface LocalReading {
  readonly effect: Effect;
  /** It reads tables by their names. */
  readonly namesTables?: boolean;
  readonly runsCode?: boolean;
}

/** The check alone, for a statement that has read local tables and still holds its locks on them. */
export async function checkLocalTables(scope: StatementScope): Promise<void> {
  try {
    await scope.run(coordinatorNodeId, { text: versionCheck(scope.snapshot.version), simple: true }, 'read');
  } catch (error) {
    throw sqlStateOf(error) === divisionByZero ? outdated(error, scope) : error;
  }
}

/**
 * The batches of a statement that reads local tables as it runs, outside a transaction. Checked when the first one is there, before it is passed on: the statement
 * holds its locks then, so that no table is distributed later on; had one been before, the version says so. Of a statement without any, at its end; and so where the rows come over the session's only connection to the
 * coordinator database, on which the check would wait for their end for ever.
 */
export async function* streamLocalTables<T>(scope: StatementScope, batches: AsyncIterable<T>): AsyncGenerator<T> {
  let checked = false;
  for await (const batch of batches) {
    if (!checked && !scope.hasOneCoordinator) await checkLocalTables(scope);
    checked = !scope.hasOneCoordinator;
    yield batch;
  }
  if (!checked) await checkLocalTables(scope);
}

const divisionByZero = '22012';

function versionCheck(version: number): string {
  return `SELECT 1 / (catalog_version = ${version})::int FROM shardwright.cluster`;
}

function outdated(cause: unknown, { inTransaction }: Pick<StatementScope, 'inTransaction'>): ClusterError {
  return inTransaction
    ? new ClusterError('shardMissing', "could not serialize access: tables were distributed, moved or changed since the transaction's snapshot", { sqlState: '40001', hint: 'Roll back, and try the transaction again.', cause })
    : new ClusterError('shardMissing', 'tables were distributed or moved while the statement ran', { hint: 'Try it again.', cause });
}
