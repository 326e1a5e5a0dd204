import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import { followChanges, type Following } from '../execute/lookups/follow-changes.ts';
import type { AtomicHow, StatementScope } from '../execute/statement-scope.ts';
import type { DistributedTransaction, Undoable, WriteOrder } from '../txn/distributed-transaction.ts';
import { TransactionScope } from './transaction-scope.ts';

/** Where a statement that keeps lookups runs. */
export interface KeepingScope {
  readonly scope: StatementScope;
  readonly transaction: DistributedTransaction;
}

/**
 * Runs a statement that writes to a table with unique lookups, and then writes to these what it has changed: in the session's transaction, or in one of its own, since the keys are on other nodes than the rows. See
 * docs/decisions/0030-unique-lookups.md.
 */
export function keepingLookups<T>(scope: StatementScope, work: (keeping: KeepingScope) => Promise<T>, how?: Partial<AtomicHow> & Pick<Following, 'first' | 'note'>): Promise<T> {
  const { snapshot, signal, onNotice } = scope;
  return scope.atomically(async (inner, options, steady) => {
    const transaction = new NotedWriters(inner);
    const own = new TransactionScope(transaction, { snapshot, signal, onNotice }, { memoryOf: 'block', uniqueName: () => steady.uniqueName() });
    const result = await work({ scope: own, transaction });
    await followChanges({ snapshot, transaction: inner, scope: own, first: how?.first, note: how?.note }, [...transaction.writers], options);
    return result;
  }, { mayRunAgain: how?.mayRunAgain === true });
}

/** A transaction of which it is noted where it writes from here on. */
class NotedWriters implements DistributedTransaction {
  readonly writers = new Set<NodeId>();

  constructor(private readonly inner: DistributedTransaction) {}

  get id(): string {
    return this.inner.id;
  }

  get order(): WriteOrder | undefined {
    return this.inner.order;
  }

  join(node: NodeId, effect: 'read' | 'write', options?: CallOptions): Promise<NodeConnection> {
    if (effect === 'write') this.writers.add(node);
    return this.inner.join(node, effect, options);
  }

  async undoable(options?: CallOptions): Promise<Undoable> {
    return (await this.inner.undoable?.(options)) ?? { keep: () => Promise.resolve(), undo: () => Promise.resolve() };
  }

  commit(options?: CallOptions): Promise<void> {
    return this.inner.commit(options);
  }

  rollback(): Promise<void> {
    return this.inner.rollback();
  }
}
