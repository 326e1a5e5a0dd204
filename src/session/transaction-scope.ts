import type { QueryResult } from 'pg';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection, NodeNotice, ParsedQuery, RawResult } from '../cluster/node-connection.ts';
import type { Effect, StatementScope } from '../execute/statement-scope.ts';
import type { DistributedTransaction } from '../txn/distributed-transaction.ts';
import type { ScopeInput } from './pool-scope.ts';

/** Inside a transaction: every statement goes over the transaction's own connection to its node. */
export class TransactionScope implements StatementScope {
  readonly inTransaction = true;
  readonly snapshot: CatalogSnapshot;
  readonly signal: AbortSignal | undefined;
  readonly onNotice: ((notice: NodeNotice) => void) | undefined;

  constructor(
    private readonly transaction: DistributedTransaction,
    input: ScopeInput,
  ) {
    this.snapshot = input.snapshot;
    this.signal = input.signal;
    this.onNotice = input.onNotice;
  }

  async run(node: NodeId, query: ParsedQuery, effect: Effect): Promise<RawResult> {
    const connection = await this.transaction.join(node, effect, this.#options());
    return connection.query(query, this.#options());
  }

  async runParsed(node: NodeId, query: ParsedQuery, effect: Effect): Promise<QueryResult> {
    const connection = await this.transaction.join(node, effect, this.#options());
    return connection.queryParsed(query, this.#options());
  }

  async withConnection<T>(node: NodeId, effect: Effect, use: (connection: NodeConnection) => Promise<T>): Promise<T> {
    return use(await this.transaction.join(node, effect, this.#options()));
  }

  atomically<T>(work: (transaction: DistributedTransaction, options: CallOptions) => Promise<T>): Promise<T> {
    return work(this.transaction, this.#options());
  }

  #options(): CallOptions {
    return { signal: this.signal, onNotice: this.onNotice };
  }
}
