import { DatabaseError, type QueryResult } from 'pg';
import { ClusterError } from '../base/errors.ts';
import { withMember } from '../base/with-member.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnection, NodeNotice, ParsedQuery, RawResult } from '../cluster/node-connection.ts';
import type { StatementScope } from './statement-scope.ts';

const shellUsed = 'SWSHL';

/**
 * For a statement whose functions, triggers or views may run any code in the coordinator database: whether that has read the empty shell of a distributed or reference table, or changed its definition, which its shards would not follow.
 * PostgreSQL counts scans by table and index, and holds the locks of changes until the transaction ends. So all three are to be sent in one transaction: `beforeCode`, the statement, `afterCode`.
 * Nothing is seen where the server counts nothing (`track_counts`), a superuser's setting.
 */
export const beforeCode = beforeText(usesInTransaction(), 'true');

const afterCode = afterText(usesInTransaction());

/** The same for code that ends transactions itself: what it has read is in the counts of all, once its transactions are over. */
const beforeCommitting = beforeText(readings(totalScansOf), 'false');
const afterCommitting = afterText(readings(totalScansOf));

function beforeText(uses: string, isLocal: string): string {
  return `SELECT pg_catalog.set_config('shardwright.shells_used', (SELECT coalesce(pg_catalog.string_agg(used, ' '), '') FROM (${uses}) AS u), ${isLocal})`;
}

/** Fails with `shellUsed` for what was not so before. */
function afterText(uses: string): string {
  return `DO $shardwright$ DECLARE shell record; BEGIN
    SELECT coalesce(c.relname, u.relation::text) AS relname, coalesce(n.nspname, '') AS nspname, u.kind INTO shell FROM (${uses}) AS u LEFT JOIN pg_catalog.pg_class c ON c.oid = u.relation LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE u.used <> ALL (pg_catalog.string_to_array(coalesce(pg_catalog.current_setting('shardwright.shells_used', true), ''), ' ')) ORDER BY u.kind LIMIT 1;
    IF FOUND THEN RAISE EXCEPTION USING MESSAGE = shell.kind, ERRCODE = '${shellUsed}', SCHEMA = shell.nspname, TABLE = shell.relname; END IF;
  END $shardwright$`;
}

/** What the transaction has done to shells: a row for each that it has scanned, with how often, and for each whose definition it has locked as a change does. */
function usesInTransaction(): string {
  return `${readings(scansOf)}
    UNION ALL SELECT t.relation::oid, 'changed', 'c' || t.relation::oid FROM shardwright.distributed_table t WHERE t.relation::oid IN (SELECT l.relation FROM pg_catalog.pg_locks l
      WHERE l.locktype = 'relation' AND l.pid = pg_catalog.pg_backend_pid() AND l.mode IN ('AccessExclusiveLock', 'ShareLock') AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))`;
}

/** Copies of reference tables have all rows. */
function readings(scansOf: (oid: string) => string): string {
  return `SELECT t.relation::oid AS relation, 'read' AS kind, 'r' || t.relation::oid || ':' || s.scans AS used FROM shardwright.distributed_table t, LATERAL (${scansOf('t.relation::oid')}) AS s(scans) WHERE s.scans > 0 AND NOT t.shell_is_copy`;
}

/** Of a table's OID: how often the transaction has scanned it or an index of it. */
export function scansOf(oid: string): string {
  return sumOf(oid, (one) => `pg_catalog.pg_stat_get_xact_numscans(${one})`);
}

/** How often anybody has. */
function totalScansOf(oid: string): string {
  return sumOf(oid, (one) => `pg_catalog.pg_stat_get_xact_numscans(${one}) + pg_catalog.pg_stat_get_numscans(${one})`);
}

function sumOf(oid: string, counts: (oid: string) => string): string {
  return `SELECT ${counts(oid)} + coalesce((SELECT pg_catalog.sum(${counts('i.indexrelid')}) FROM pg_catalog.pg_index i WHERE i.indrelid = ${oid}), 0)`;
}

/** Sent behind the statement, on its connection. Rejects with `unsupportedQuery`. */
export function lookAfterCode(connection: NodeConnection, onNotice: ((notice: NodeNotice) => void) | undefined): Promise<void> {
  return lookAfter(connection, afterCode, onNotice);
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
