import type { CallOptions } from '../cluster/node-connection.ts';
import type { DistributedTransaction } from './distributed-transaction.ts';

/** Does work in a transaction that was just begun, and commits it; when the work or the commit fails, nothing of it is left. */
export async function inTransaction<T>(transaction: DistributedTransaction, options: Pick<CallOptions, 'signal'>, work: (transaction: DistributedTransaction) => Promise<T>): Promise<T> {
  try {
    const result = await work(transaction);
    await transaction.commit(options);
    return result;
  } catch (error) {
    await transaction.rollback();
    throw error;
  }
}
