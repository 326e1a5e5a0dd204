import { ClusterError } from '../../base/errors.ts';
import type { Column, ReferenceTable } from '../../catalog/catalog-snapshot.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { copySql } from '../../catalog/reference-copies.ts';
import type { CallOptions } from '../../cluster/node-connection.ts';
import { mayNameMoment } from '../../plan/insert/moments.ts';
import { plainTypes } from '../../plan/plain-types.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import { runBatches } from '../../txn/run-batches.ts';
import { sumOfRows } from '../write/sum-of-rows.ts';

/** As long as the longest word that names one. */
const overlap = 'yesterday'.length + 1;

/** Looks whether data that go to several servers have a word that types of dates and times take for the moment at which they read it. */
export class NamedMoments {
  readonly #isAny: boolean;
  #end = '';
  #found = false;

  constructor(columns: readonly Column[], format: string) {
    this.#isAny = format !== 'binary' && columns.some(({ type }) => !plainTypes.test(type.sql));
  }

  see(piece: Uint8Array): void {
    if (!this.#isAny || this.#found) return;
    const text = this.#end + Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString('latin1');
    this.#found = mayNameMoment(text);
    this.#end = text.slice(-overlap);
  }

  /** `unsupportedWrite` where the rows that the transaction has written differ between copies. Reads all rows, where the data have such a word; nothing else. */
  async check(table: ReferenceTable, { holders, transaction, options }: WrittenCopies): Promise<void> {
    if (!this.#found) return;
    const sums = await runBatches(transaction, holders.map((node) => ({ node, queries: [{ text: `${sumOfRows(copySql(table, node))} WHERE ${isNew}` }] })), options);
    if (new Set(sums.map(([result]) => JSON.stringify(result?.rows))).size > 1) throw readDifferently(table);
  }
}

interface WrittenCopies {
  readonly holders: readonly NodeId[];
  readonly transaction: DistributedTransaction;
  readonly options: CallOptions;
}

/** Also behind a savepoint, where rows have a later number than the transaction's. */
const isNew = 'pg_catalog.age(t.xmin) OPERATOR(pg_catalog.<=) pg_catalog.age(pg_catalog.pg_current_xact_id()::pg_catalog.xid)';

function readDifferently({ schema, name: table }: ReferenceTable): ClusterError {
  return new ClusterError('unsupportedWrite', 'the copies of the reference table would differ', {
    detail: `The data name a moment ("now"), which each node has read for itself, or others wrote to the table meanwhile.`, hint: 'Write the time itself.', schema, table,
  });
}
