import { setTimeout as delay } from 'node:timers/promises';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { QueryResult } from 'pg';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection, NodeNotice, ParsedQuery, RawResult } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { type AtomicHow, type AtomicWork, type Effect, mayRunAgain, nothingToUndo, type StatementScope, type SteadyScope } from '../execute/statement-scope.ts';
import { failureOfWrite } from '../ha/write-outcome-unknown.ts';
import { commitBatches } from '../txn/commit-batches.ts';
import type { BeginOptions, DistributedTransaction, TransactionWatch, Undoable, WriteOrder } from '../txn/distributed-transaction.ts';
import { isLostToFailover, transactionLost } from '../txn/transaction-lost.ts';
import { type NodeBatch, runBatches } from '../txn/run-batches.ts';
import type { Routing } from './run-routed.ts';
import { ownSteady } from './steady-scope.ts';
import { TransactionScope } from './transaction-scope.ts';

export interface ScopeInput extends Routing {
  readonly snapshot: CatalogSnapshot;
  readonly signal?: AbortSignal | undefined;
  readonly onNotice?: ((notice: NodeNotice) => void) | undefined;
  readonly watch?: TransactionWatch | undefined;
}

/** Outside a transaction, without settings of a session: statements ride shared connections. */
export class PoolScope implements StatementScope {
  readonly inTransaction = false;
  readonly hasOneCoordinator = false;
  readonly snapshot: CatalogSnapshot;
  readonly signal: AbortSignal | undefined;
  readonly onNotice: ((notice: NodeNotice) => void) | undefined;
  readonly #watch: TransactionWatch | undefined;
  readonly reads: Routing['reads'];
  readonly committed: Routing['committed'];
  readonly #readsMayWrite: boolean;
  #entered: Set<NodeId> | undefined;

  constructor(
    readonly pools: NodePools,
    private readonly begin: Begin,
    input: ScopeInput,
  ) {
    this.snapshot = input.snapshot;
    this.signal = input.signal;
    this.onNotice = input.onNotice;
    this.#watch = input.watch;
    this.reads = input.reads;
    this.committed = input.committed;
    this.#readsMayWrite = input.readsMayWrite === true;
  }

  run(node: NodeId, query: ParsedQuery, effect: Effect): Promise<RawResult> {
    return this.pools.get(node).query(waiting(query, effect), this.#options(effect));
  }

  runParsed(node: NodeId, query: ParsedQuery, effect: Effect): Promise<QueryResult> {
    return this.pools.get(node).queryParsed(waiting(query, effect), this.#options(effect));
  }

  async withConnection<T>(node: NodeId, effect: Effect, use: (connection: NodeConnection) => Promise<T>): Promise<T> {
    const connections = this.pools.get(node);
    const connection = await connections.acquire(this.#options(effect));
    let failure: { readonly error: unknown } | undefined;
    try {
      const used = await use(connection);
      await this.#committedBy(effect)?.askAfter(connection);
      return used;
    } catch (error) {
      failure = connection.transactionStatus === 'idle' ? undefined : { error };
      throw effect === 'write' ? failureOfWrite(connections, error) : error;
    } finally {
      connection.release(failure);
    }
  }

  atomically<T>(work: AtomicWork<T>, how?: AtomicHow): Promise<T> {
    this.#countRequest();
    return inOwnTransaction((order) => this.begin('', { order }), work, { snapshot: this.snapshot, signal: this.signal, onNotice: this.onNotice, pools: this.pools, committed: this.committed, ...how });
  }

  steady(): SteadyScope {
    this.#countRequest();
    return ownSteady(this.begin, this);
  }

  undoable(): Promise<Undoable> {
    return Promise.resolve(nothingToUndo);
  }

  writeBatches(batches: readonly NodeBatch[]): Promise<RawResult[][]> {
    const together = commitBatches(this.pools, batches, { clusterId: this.snapshot.clusterId, watch: this.#watch, ...this.#options() });
    return together.catch((error: unknown) => {
      if (!isLostToFailover(this.pools, error) && (batches.length < 2 || !isDeadlock(error))) throw error;
      return this.atomically((transaction, options) => runBatches(transaction, batches, options), mayRunAgain);
    });
  }

  /** A part of the statement runs on a primary, unless a replica takes it. */
  #countRequest(): void {
    if (this.reads !== undefined) this.reads.requests += 1;
  }

  #options(effect: Effect = 'write'): CallOptions {
    this.#countRequest();
    return {
      signal: this.signal, onNotice: this.onNotice,
      entered: this.pools.failsOver === true ? (this.#entered ??= new Set()) : undefined,
      reads: effect === 'read' ? this.reads : undefined,
      committed: this.#committedBy(effect),
    };
  }

  #committedBy(effect: Effect): Routing['committed'] {
    return effect === 'write' || this.#readsMayWrite ? this.committed : undefined;
  }
}

/** A transaction of its own for one statement. */
export type Begin = (modes: string, how?: Pick<BeginOptions, 'order' | 'reads'>) => DistributedTransaction;

/**
 * Tries of work that may run again: in a queue of writers of all servers each that has gone side by side, as all do at first, may still meet those that go in turn. So many of them may come at once that a few tries
 * are not enough on a busy machine.
 */
const triesMax = 20;
const racedMs = 4;

/** Commits when `work` is done, rolls back when it fails. */
export async function inOwnTransaction<T>(begin: (order: WriteOrder | undefined) => DistributedTransaction, work: AtomicWork<T>, input: ScopeInput & Partial<AtomicHow> & { readonly pools: NodePools }): Promise<T> {
  let order: WriteOrder | undefined;
  for (let tries = 1; ; tries += 1) {
    try {
      return await inOne(begin(order), work, input);
    } catch (error) {
      const isLost = isLostToFailover(input.pools, error);
      const hasRaced = error instanceof ClusterError && error.id === 'concurrentWrites';
      if (input.mayRunAgain !== true || tries === triesMax || !(isLost || hasRaced || isDeadlock(error))) throw transactionLost(input.pools, error);
      // Who was seen in part is about to be seen wholly.
      if (hasRaced) await delay(racedMs * tries * Math.random());
      else if (!isLost) order = 'one_by_one';
    }
  }
}

async function inOne<T>(transaction: DistributedTransaction, work: AtomicWork<T>, input: ScopeInput): Promise<T> {
  const options = { signal: input.signal, onNotice: input.onNotice };
  try {
    const result = await work(transaction, options, new TransactionScope(transaction, input));
    await transaction.commit({ ...options, committed: input.committed });
    return result;
  } catch (error) {
    await transaction.rollback();
    throw error;
  }
}

function isDeadlock(error: unknown): boolean {
  return sqlStateOf(error) === '40P01';
}

function waiting(query: ParsedQuery, effect: Effect): ParsedQuery {
  return effect === 'write' ? { ...query, mayWait: true } : query;
}
