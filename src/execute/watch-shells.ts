import { DatabaseError, type QueryResult } from 'pg';
import { ClusterError } from '../base/errors.ts';
import { withMember } from '../base/with-member.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnection, NodeNotice, ParsedQuery, RawResult } from '../cluster/node-connection.ts';
import { afterCommitting, beforeCommitting, comparedShells, notedShells, shellUsed } from '../store/shell-uses.ts';
import type { StatementScope } from './statement-scope.ts';

/**
 * For a statement whose functions, triggers or views may run any code in the coordinator database: whether that has read the empty shell of a distributed or reference table, or changed its definition, which its shards would not follow.
 * PostgreSQL counts scans by table and index, and holds the locks of changes until the transaction ends. So all three are to be sent in one transaction: `beforeCode`, the statement, `lookAfterCode`.
 * Nothing is seen where the server counts nothing (`track_counts`), a superuser's setting.
 */
export const beforeCode = notedShells();

/** Sent behind the statement, on its connection. Rejects with `unsupportedQuery`. */
export function lookAfterCode(connection: NodeConnection, onNotice: ((notice: NodeNotice) => void) | undefined): Promise<void> {
  return lookAfter(connection, comparedShells(), onNotice);
}

async function lookAfter(connection: NodeConnection, text: string, onNotice: ((notice: NodeNotice) => void) | undefined): Promise<void> {
  try {
    await connection.query({ text, simple: true }, { onNotice });
  } catch (error) {
    throw error instanceof DatabaseError && error.code === shellUsed ? refusal(error) : error;
  }
}

/** Runs a statement whose code may commit, so that it can stand in no transaction block. What it had committed before it is refused is kept. */
export function runCommitting(scope: StatementScope, query: ParsedQuery): Promise<QueryResult> {
  return scope.withConnection(coordinatorNodeId, 'write', async (connection) => {
    const { onNotice, signal } = scope;
    const before = connection.query({ text: beforeCommitting, simple: true }, { onNotice });
    const result = connection.queryParsed(query, { signal, onNotice });
    for (const step of await Promise.allSettled([before, result, lookAfter(connection, afterCommitting, onNotice)])) if (step.status === 'rejected') throw step.reason;
    return result;
  });
}

/** The same around steps that come one after the other. */
export async function* watchedSteps<T>({ inTransaction, onNotice }: StatementScope, connection: NodeConnection, steps: () => AsyncIterable<T>): AsyncGenerator<T> {
  const send = (text: string): Promise<unknown> => connection.query({ text, simple: true }, { onNotice });
  if (!inTransaction) await send('BEGIN');
  let end = 'ROLLBACK';
  try {
    await send(beforeCode);
    yield* steps();
    await lookAfterCode(connection, onNotice);
    end = 'COMMIT';
  } finally {
    if (!inTransaction) await send(end);
  }
}

/** The scope of a statement for nodes, what it has computed in the coordinator database being watched where it `runsCode`. That is asked when something is first computed there. */
export function watchedScope<S extends StatementScope>(scope: S, runsCode: () => boolean | Promise<boolean>): S {
  const run: StatementScope['run'] = async (node, query, effect) => {
    if (node !== coordinatorNodeId || !(await runsCode())) return scope.run(node, query, effect);
    return scope.withConnection(node, effect, (connection) => watched(scope, connection, query));
  };
  const steady: StatementScope['steady'] = () => watchedScope(scope.steady(), runsCode);
  return withMember(withMember(scope, 'run', run as S['run']), 'steady', steady as S['steady']);
}

async function watched({ inTransaction, signal, onNotice }: StatementScope, connection: NodeConnection, query: ParsedQuery): Promise<RawResult> {
  const block = (text: string): Promise<unknown> => (inTransaction ? Promise.resolve() : connection.query({ text, simple: true }, { onNotice }));
  const begin = [block('BEGIN'), connection.query({ text: beforeCode, simple: true }, { onNotice })];
  const result = connection.query(query, { signal, onNotice });
  for (const step of await Promise.allSettled([...begin, result, lookAfterCode(connection, onNotice), block('COMMIT')])) if (step.status === 'rejected') throw step.reason;
  return result;
}

function refusal(cause: DatabaseError): ClusterError {
  const { schema, table = '', message } = cause;
  const isRead = message === 'read';
  return new ClusterError('unsupportedQuery', `a function has ${isRead ? 'read' : 'changed'} "${table}", which is distributed or a reference table`, {
    detail: isRead ? 'Its code runs in the coordinator database, where the table is an empty shell.' : 'Its code runs in the coordinator database: the shards would not follow what it changes of the table there.',
    hint: 'Send its statements through the cluster.', schema, table, cause,
  });
}
