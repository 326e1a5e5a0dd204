import type { QueryResult } from 'pg';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection, NodeNotice, ParsedQuery, RawResult } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { type AtomicWork, type Effect, nothingToUndo, type StatementScope, type SteadyScope } from '../execute/statement-scope.ts';
import { commitBatches } from '../txn/commit-batches.ts';
import type { DistributedTransaction, TransactionWatch, Undoable } from '../txn/distributed-transaction.ts';
import type { NodeBatch } from '../txn/run-batches.ts';
import { OwnSteadyScope, steadyModes } from './steady-scope.ts';
import { TransactionScope } from './transaction-scope.ts';

export interface ScopeInput {
  readonly snapshot: CatalogSnapshot;
  readonly signal?: AbortSignal | undefined;
  readonly onNotice?: ((notice: NodeNotice) => void) | undefined;
  readonly watch?: TransactionWatch | undefined;
}

/** Outside a transaction, without settings of a session: statements ride shared connections. */
export class PoolScope implements StatementScope {
  readonly inTransaction = false;
  readonly snapshot: CatalogSnapshot;
  readonly signal: AbortSignal | undefined;
  readonly onNotice: ((notice: NodeNotice) => void) | undefined;
  readonly #watch: TransactionWatch | undefined;

  constructor(
    private readonly pools: NodePools,
    private readonly begin: (modes: string) => DistributedTransaction,
    input: ScopeInput,
  ) {
    this.snapshot = input.snapshot;
    this.signal = input.signal;
    this.onNotice = input.onNotice;
    this.#watch = input.watch;
  }

  run(node: NodeId, query: ParsedQuery, effect: Effect): Promise<RawResult> {
    return this.pools.get(node).query(waiting(query, effect), this.#options());
  }

  runParsed(node: NodeId, query: ParsedQuery, effect: Effect): Promise<QueryResult> {
    return this.pools.get(node).queryParsed(waiting(query, effect), this.#options());
  }

  async withConnection<T>(node: NodeId, _effect: Effect, use: (connection: NodeConnection) => Promise<T>): Promise<T> {
    const connection = await this.pools.get(node).acquire(this.#options());
    let failure: { readonly error: unknown } | undefined;
    try {
      return await use(connection);
    } catch (error) {
      failure = connection.transactionStatus === 'idle' ? undefined : { error };
      throw error;
    } finally {
      connection.release(failure);
    }
  }

  atomically<T>(work: AtomicWork<T>): Promise<T> {
    return inOwnTransaction(this.begin(''), work, this);
  }

  steady(): SteadyScope {
    return new OwnSteadyScope(this.begin(steadyModes), this);
  }

  undoable(): Promise<Undoable> {
    return Promise.resolve(nothingToUndo);
  }

  writeBatches(batches: readonly NodeBatch[]): Promise<RawResult[][]> {
    return commitBatches(this.pools, batches, { clusterId: this.snapshot.clusterId, watch: this.#watch, ...this.#options() });
  }

  #options(): CallOptions {
    return { signal: this.signal, onNotice: this.onNotice };
  }
}

/** Commits when `work` is done, rolls back when it fails. */
export async function inOwnTransaction<T>(transaction: DistributedTransaction, work: AtomicWork<T>, input: ScopeInput): Promise<T> {
  const options = { signal: input.signal, onNotice: input.onNotice };
  try {
    const result = await work(transaction, options, new TransactionScope(transaction, input));
    await transaction.commit(options);
    return result;
  } catch (error) {
    await transaction.rollback();
    throw error;
  }
}

function waiting(query: ParsedQuery, effect: Effect): ParsedQuery {
  return effect === 'write' ? { ...query, mayWait: true } : query;
}
