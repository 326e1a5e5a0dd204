import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { CallOptions } from '../../cluster/node-connection.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import { checkCopyIn } from './check-copy.ts';
import { copyColumns } from './copy-columns.ts';
import { openCopySource } from './copy-source.ts';
import type { CopyPieces, CopySource } from './copy-source.ts';
import type { CopyStatement } from './copy-statement.ts';
import { refuseDefaultMarker } from './refuse-default-marker.ts';

export interface CheckedCopy extends Pick<CallOptions, 'signal'> {
  readonly copy: CopyStatement;
  readonly table: CatalogTable;
  readonly transaction: DistributedTransaction;
}

/** Opens the source, has the coordinator database accept the COPY, then sends. Whatever fails, the source is left. */
export async function withCheckedSource(source: CopySource, { copy, table, transaction, signal }: CheckedCopy, send: (pieces: CopyPieces) => Promise<number>): Promise<number> {
  const pieces = openCopySource(source);
  try {
    const connection = await transaction.join(coordinatorNodeId, 'read', { signal });
    const columns = copyColumns(copy, table);
    await checkCopyIn(copy, { table, columns: columns.map(({ name }) => name), connection }, { signal });
    refuseDefaultMarker(copy.options, table, columns);
    return await send(pieces);
  } catch (error) {
    pieces.leave();
    throw error;
  }
}
