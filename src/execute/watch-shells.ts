import { DatabaseError, type QueryResult } from 'pg';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import { withMember } from '../base/with-member.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection, NodeNotice, ParsedQuery } from '../cluster/node-connection.ts';
import { afterCommitting, beforeCommitting, comparedShells, notedShells, shellUsed } from '../store/shell-uses.ts';
import type { DistributedTransaction } from '../txn/distributed-transaction.ts';
import type { Effect, StatementScope, SteadyScope } from './statement-scope.ts';

/**
 * For a statement whose functions, triggers or views may run any code in the coordinator database: whether that has read the empty shell of a distributed or reference table, or changed its definition, which its shards would not follow.
 * PostgreSQL counts scans by table and index, and holds the locks of changes until the transaction ends. So all three are to be sent in one transaction: `beforeCode`, the statement, `lookAfterCode`.
 * Nothing is seen where the server counts nothing (`track_counts`), a superuser's setting.
 */
const beforeCode = notedShells();

/** Sent behind the statement, on its connection. Rejects with `unsupportedQuery`. */
function lookAfterCode(connection: NodeConnection, onNotice: ((notice: NodeNotice) => void) | undefined): Promise<void> {
  return lookAfter(connection, comparedShells(), onNotice);
}

async function lookAfter(connection: NodeConnection, text: string, onNotice: ((notice: NodeNotice) => void) | undefined): Promise<void> {
  try {
    await connection.query({ text, simple: true }, { onNotice });
  } catch (error) {
    throw error instanceof DatabaseError && error.code === shellUsed ? refusal(error, text !== afterCommitting) : error;
  }
}

/** Whether it is a refusal of code that has used a shell, all of which is undone. What was no shell when the statement was planned may be one since. */
export function isUndoneUse(error: unknown): boolean {
  return error instanceof ClusterError && sqlStateOf(error.cause) === shellUsed;
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

/** What is sent with a statement: whether its code is to be watched, and what is to be asked behind it, while it still holds its locks. */
export interface SentAround<T> {
  readonly statement: () => Promise<T>;
  readonly runsCode: boolean;
  readonly check?: (() => Promise<unknown>) | undefined;
}

/**
 * Sends a statement and all that stands around it at once, which costs no further round trip: in a transaction of its own where none is open. Rejects with what failed first: that is why the others did.
 */
export async function sentAtOnce<T>({ inTransaction, onNotice }: StatementScope, connection: NodeConnection, { statement, runsCode, check }: SentAround<T>): Promise<T> {
  const only = (isNeeded: boolean, text: string): Promise<unknown> => (isNeeded ? connection.query({ text, simple: true }, { onNotice }) : Promise.resolve());
  const begin = [only(!inTransaction, 'BEGIN'), only(runsCode, beforeCode)];
  const result = statement();
  const code = runsCode ? lookAfterCode(connection, onNotice) : undefined;
  for (const step of await Promise.allSettled([...begin, result, code, check?.(), only(!inTransaction, 'COMMIT')])) if (step.status === 'rejected') throw step.reason;
  return result;
}

/** Does work in a transaction that is open, and watches the code that it runs there. Rejects with `unsupportedQuery` behind it. */
export async function watchedWork<T>(connection: NodeConnection, options: CallOptions & Pick<StatementScope, 'onNotice'>, work: () => Promise<T>): Promise<T> {
  await connection.query({ text: beforeCode, simple: true }, options);
  const result = await work();
  await lookAfterCode(connection, options.onNotice);
  return result;
}

/** Watches steps that come one after the other, in a transaction that is open. */
export async function* watchedInTransaction<T>(connection: NodeConnection, onNotice: StatementScope['onNotice'], steps: () => AsyncIterable<T>): AsyncGenerator<T> {
  await connection.query({ text: beforeCode, simple: true }, { onNotice });
  yield* steps();
  await lookAfterCode(connection, onNotice);
}

/** The same in a transaction of their own, where none is open. */
export async function* watchedSteps<T>({ inTransaction, onNotice }: StatementScope, connection: NodeConnection, steps: () => AsyncIterable<T>): AsyncGenerator<T> {
  const block = async (text: string): Promise<void> => void (inTransaction || (await connection.query({ text, simple: true }, { onNotice })));
  await block('BEGIN');
  let end = 'ROLLBACK';
  try {
    yield* watchedInTransaction(connection, onNotice, steps);
    end = 'COMMIT';
  } finally {
    await block(end);
  }
}

/** The parts of rows that are read in a transaction block, beside other statements. What a server reads ahead of a part is not seen. */
export async function* watchedParts<T>(scope: StatementScope, parts: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = parts[Symbol.asyncIterator]();
  const { onNotice } = scope;
  const next = (): Promise<IteratorResult<T>> => scope.withConnection(coordinatorNodeId, 'read', (connection) => watchedWork(connection, { onNotice }, () => iterator.next()));
  try {
    for (let part = await next(); part.done !== true; part = await next()) yield part.value;
  } finally {
    await iterator.return?.();
  }
}

/** The scope of a statement for nodes, what it has computed in the coordinator database being watched where it `runsCode`. That is asked when something is first computed there. */
export function watchedScope<S extends StatementScope>(scope: S, runsCode: () => boolean | Promise<boolean>): S {
  const run: StatementScope['run'] = async (node, query, effect) => {
    if (node !== coordinatorNodeId || !(await runsCode())) return scope.run(node, query, effect);
    return scope.withConnection(node, effect, (connection) =>
      sentAtOnce(scope, connection, { statement: () => connection.query(query, { signal: scope.signal, onNotice: scope.onNotice }), runsCode: true }));
  };
  const steady: StatementScope['steady'] = () => watchedScope(scope.steady(), runsCode);
  const watching = withMember(withMember(scope, 'run', run as S['run']), 'steady', steady as S['steady']);
  within.set(watching, scope);
  return watching;
}

const within = new WeakMap<StatementScope, StatementScope>();

/** The scope that a `watchedScope` watches: for steps that are watched as a whole. Watching one of them would make forget what had been kept before it. */
export function unwatched<S extends StatementScope>(scope: S): S {
  return (within.get(scope) as S | undefined) ?? scope;
}

/** The scope of a write for nodes. What it reads and computes in the coordinator database before, in the transaction that then writes, is watched as a whole. */
export function watchedWrites<S extends StatementScope>(scope: S, runsCode: () => boolean | Promise<boolean>): S {
  const atomically: StatementScope['atomically'] = async (work, how) => {
    if (!(await runsCode())) return scope.atomically(work, how);
    return scope.atomically(async (transaction, options, steady) => {
      const watch = new TransactionWatched(transaction, options);
      const result = await work(watch.transaction, options, watch.steady(steady));
      await watch.end();
      return result;
    }, how);
  };
  return withMember(scope, 'atomically', atomically);
}

/** From when a transaction's work first comes to the coordinator database. */
class TransactionWatched {
  readonly transaction: DistributedTransaction;
  #begun: Promise<NodeConnection> | undefined;

  constructor(
    private readonly inner: DistributedTransaction,
    private readonly options: CallOptions,
  ) {
    const join: DistributedTransaction['join'] = async (node, effect, own) => {
      await this.#begin(node, effect);
      return inner.join(node, effect, own);
    };
    const joined: DistributedTransaction['joined'] = (node, effect) => (node === coordinatorNodeId ? undefined : inner.joined?.(node, effect));
    this.transaction = withMember(withMember(inner, 'join', join), 'joined', joined);
  }

  steady(scope: SteadyScope): SteadyScope {
    const run: SteadyScope['run'] = (node, query, effect) => this.#begin(node, effect).then(() => scope.run(node, query, effect));
    const runParsed: SteadyScope['runParsed'] = (node, query, effect) => this.#begin(node, effect).then(() => scope.runParsed(node, query, effect));
    const withConnection: SteadyScope['withConnection'] = (node, effect, use) => this.#begin(node, effect).then(() => scope.withConnection(node, effect, use));
    const join: SteadyScope['join'] = (node) => this.#begin(node, 'read').then(() => scope.join(node));
    const atomically: SteadyScope['atomically'] = (work, how) => scope.atomically((_transaction, options, inner) => work(this.transaction, options, this.steady(inner)), how);
    const steady: SteadyScope['steady'] = () => this.steady(scope.steady());
    const single = withMember(withMember(withMember(withMember(scope, 'run', run), 'runParsed', runParsed), 'withConnection', withConnection), 'join', join);
    return withMember(withMember(single, 'atomically', atomically), 'steady', steady);
  }

  /** Fails as `lookAfterCode`. */
  async end(): Promise<void> {
    if (this.#begun !== undefined) await lookAfterCode(await this.#begun, this.options.onNotice);
  }

  async #begin(node: NodeId, effect: Effect): Promise<void> {
    if (node !== coordinatorNodeId) return;
    this.#begun ??= this.#beginThere(effect);
    await this.#begun;
  }

  async #beginThere(effect: Effect): Promise<NodeConnection> {
    const connection = await this.inner.join(coordinatorNodeId, effect, this.options);
    await connection.query({ text: beforeCode, simple: true }, this.options);
    return connection;
  }
}

function refusal(error: DatabaseError, isUndone: boolean): ClusterError {
  const { schema, table = '', message } = error;
  const isRead = message === 'read';
  return new ClusterError('unsupportedQuery', `a function has ${isRead ? 'read' : 'changed'} "${table}", which is distributed or a reference table`, {
    detail: isRead ? 'Its code runs in the coordinator database, where the table is an empty shell.' : 'Its code runs in the coordinator database: the shards would not follow what it changes of the table there.',
    hint: 'Send its statements through the cluster.', schema, table, ...(isUndone ? { cause: error } : {}),
  });
}
