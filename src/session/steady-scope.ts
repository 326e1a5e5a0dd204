import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import type { SteadyScope } from '../execute/statement-scope.ts';
import type { DistributedTransaction, Undoable } from '../txn/distributed-transaction.ts';
import type { Begin, ScopeInput } from './pool-scope.ts';
import { TransactionScope, uniqueNames } from './transaction-scope.ts';

/** Modes of a transaction that is one statement's: a snapshot for each server, and the right to make temporary tables. */
const steadyModes = 'ISOLATION LEVEL REPEATABLE READ, READ WRITE';

/** Replicas make no temporary tables. */
const replicaModes = 'ISOLATION LEVEL REPEATABLE READ, READ ONLY';

/** `inner`: what is done with the transaction before the statement uses it. A statement that reads on replicas alone has all its stages there, where nodes have some; any other on primaries, with temporary tables. */
export function ownSteady(begin: Begin, input: ScopeInput & { readonly pools: NodePools }, inner: (transaction: DistributedTransaction) => DistributedTransaction = (transaction) => transaction): SteadyScope {
  const reads = input.reads?.from === 'replica' && input.pools.failsOver === true ? input.reads : undefined;
  return new OwnSteadyScope(inner(begin(reads === undefined ? steadyModes : replicaModes, { reads })), input, reads !== undefined);
}

/** In a transaction of the statement's own, which is rolled back unless the statement keeps it: nothing else that it made is left. */
class OwnSteadyScope extends TransactionScope {
  constructor(
    private readonly own: DistributedTransaction,
    private readonly input: ScopeInput,
    onReplicas: boolean,
  ) {
    super(new WholeResults(own), input, { memoryOf: onReplicas ? 'replica' : undefined, uniqueName: uniqueNames() });
  }

  override keep(): Promise<void> {
    return this.own.commit({ committed: this.input.committed });
  }

  override end(): Promise<void> {
    return this.own.rollback();
  }
}

/** Cursors are read to their end, so they are planned for that. */
class WholeResults implements DistributedTransaction {
  readonly #joined = new Map<NodeId, NodeConnection>();

  constructor(private readonly inner: DistributedTransaction) {}

  get id(): string {
    return this.inner.id;
  }

  async join(node: NodeId, effect: 'read' | 'write', options?: CallOptions): Promise<NodeConnection> {
    const connection = await this.inner.join(node, effect, options);
    if (!this.#joined.has(node)) {
      this.#joined.set(node, connection);
      // Not awaited: it fails only with the connection, as the next statement then does.
      connection.query({ text: 'SET LOCAL cursor_tuple_fraction = 1', simple: true }).catch(() => undefined);
    }
    return connection;
  }

  /** Of what is run on the servers that have joined. */
  async undoable(options?: CallOptions): Promise<Undoable> {
    if (this.inner.undoable !== undefined) return this.inner.undoable(options);
    const connections = [...this.#joined.values()];
    const onAll = async (text: string): Promise<void> => void (await Promise.all(connections.map((connection) => connection.query({ text, simple: true }, options))));
    await onAll('SAVEPOINT shardwright_part');
    return {
      keep: () => onAll('RELEASE SAVEPOINT shardwright_part'),
      undo: () => onAll('ROLLBACK TO SAVEPOINT shardwright_part; RELEASE SAVEPOINT shardwright_part'),
    };
  }

  commit(options?: CallOptions): Promise<void> {
    return this.inner.commit(options);
  }

  rollback(): Promise<void> {
    return this.inner.rollback();
  }
}
