import type { QueryResult } from 'pg';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection, NodeNotice, ParsedQuery, RawResult } from '../cluster/node-connection.ts';
import { type AtomicWork, type Effect, nothingToUndo, type SteadyScope } from '../execute/statement-scope.ts';
import type { DistributedTransaction, Undoable } from '../txn/distributed-transaction.ts';
import { type NodeBatch, runBatches } from '../txn/run-batches.ts';
import type { ScopeInput } from './pool-scope.ts';

export interface TransactionScopeOptions {
  /** As of `SteadyScope`. */
  readonly memoryOf: SteadyScope['memoryOf'];
  /** Shared by all scopes of a statement, or of a transaction in which cursors stay open. */
  readonly uniqueName: () => string;
}

/** Counts the names given out. */
export function uniqueNames(names: { last: number } = { last: 0 }): () => string {
  return () => {
    names.last += 1;
    return `shardwright_${names.last}`;
  };
}

/** Inside a transaction: every statement goes over the transaction's own connection to its node. */
export class TransactionScope implements SteadyScope {
  readonly inTransaction = true;
  readonly hasOneCoordinator = true;
  readonly snapshot: CatalogSnapshot;
  readonly signal: AbortSignal | undefined;
  readonly onNotice: ((notice: NodeNotice) => void) | undefined;

  constructor(
    private readonly transaction: DistributedTransaction,
    input: ScopeInput,
    private readonly options: TransactionScopeOptions = { memoryOf: 'block', uniqueName: uniqueNames() },
  ) {
    this.snapshot = input.snapshot;
    this.signal = input.signal;
    this.onNotice = input.onNotice;
  }

  get memoryOf(): SteadyScope['memoryOf'] {
    return this.options.memoryOf;
  }

  async run(node: NodeId, query: ParsedQuery, effect: Effect): Promise<RawResult> {
    const connection = await this.transaction.join(node, effect, this.#options());
    return connection.query(query, this.#options());
  }

  runParsed(node: NodeId, query: ParsedQuery, effect: Effect): Promise<QueryResult> {
    const options = this.#options();
    const joined = this.transaction.joined?.(node, effect);
    return joined === undefined ? this.transaction.join(node, effect, options).then((connection) => connection.queryParsed(query, options)) : joined.queryParsed(query, options);
  }

  async withConnection<T>(node: NodeId, effect: Effect, use: (connection: NodeConnection) => Promise<T>): Promise<T> {
    return use(await this.transaction.join(node, effect, this.#options()));
  }

  atomically<T>(work: AtomicWork<T>): Promise<T> {
    return work(this.transaction, this.#options(), this);
  }

  writeBatches(batches: readonly NodeBatch[]): Promise<RawResult[][]> {
    return runBatches(this.transaction, batches, this.#options());
  }

  /** It is steady already. What is opened here ends with it, not before. */
  steady(): SteadyScope {
    return new TransactionScope(this.transaction, this, this.options);
  }

  undoable(): Promise<Undoable> {
    return this.transaction.undoable?.(this.#options()) ?? Promise.resolve(nothingToUndo);
  }

  join(node: NodeId): Promise<NodeConnection> {
    return this.transaction.join(node, 'read', this.#options());
  }

  uniqueName(): string {
    return this.options.uniqueName();
  }

  keep(): Promise<void> {
    return Promise.resolve();
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  #options(): CallOptions {
    return { signal: this.signal, onNotice: this.onNotice };
  }
}
