import { setImmediate as nextTurn } from 'node:timers/promises';
import { canceled, onAbort } from '../../base/abort.ts';
import type { ReferenceTable } from '../../catalog/catalog-snapshot.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { CallOptions, CopySink } from '../../cluster/node-connection.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import { AddedRows } from './added-rows.ts';
import { addedColumns, AddedValues } from './added-columns.ts';
import type { ColumnDefaults } from './added-columns.ts';
import { copyColumns } from './copy-columns.ts';
import { tellOrigin } from './copy-error.ts';
import type { CopyPieces, CopySource } from './copy-source.ts';
import type { CopyStatement } from './copy-statement.ts';
import { Interrupt } from './interrupt.ts';
import { renderCopyIn, renderWholeCopyIn } from './render-copy.ts';
import { withCheckedSource } from './with-checked-source.ts';

export interface ReferenceCopyIn {
  readonly copy: CopyStatement;
  readonly table: ReferenceTable;
  /** Every node that has a copy. */
  readonly nodes: readonly NodeId[];
  /** The copies' bare name; they are in the table's schema. */
  readonly name: string;
  readonly transaction: DistributedTransaction;
  readonly defaults: ColumnDefaults;
  /** server_version_num of the nodes. */
  readonly serverVersion: number;
  /** Makes a node's error speak of the table; `where` is put right here. */
  readonly translateError: (error: unknown) => unknown;
  readonly signal?: AbortSignal | undefined;
  readonly onNotice?: CallOptions['onNotice'];
}

/**
 * COPY FROM STDIN into a reference table: the same bytes to every copy, as fast as the slowest takes them. Resolves to the number of rows.
 * Columns whose default may differ between nodes get one value for all. Errors as `shardedCopyIn`; the transaction must then be
 * rolled back.
 */
export function referenceCopyIn(source: CopySource, options: ReferenceCopyIn): Promise<number> {
  return withCheckedSource(source, options, (pieces) => broadcast(pieces, options));
}

async function broadcast(source: CopyPieces, options: ReferenceCopyIn): Promise<number> {
  const { signal } = options;
  const { sql, pieces, lineOf, hasAdded } = streamOf(source, options);
  const interrupt = new Interrupt();
  using _abort = onAbort(signal, () => {
    if (signal !== undefined) interrupt.raise(canceled(signal));
  });
  const sinks: CopySink[] = [];
  try {
    await interrupt.wait(openAll(options, { sql, sinks }));
    for (;;) {
      const piece = await interrupt.wait(pieces.next());
      if (piece === undefined) break;
      // The source may use its memory again while a socket still holds the bytes.
      const bytes = Buffer.from(piece);
      await interrupt.wait(Promise.all(sinks.map((sink) => sink.write(bytes))));
      await nextTurn();
    }
    const counts = await interrupt.wait(Promise.all(sinks.map((sink) => sink.end())));
    return counts[0] ?? 0;
  } catch (error) {
    await Promise.all(sinks.map((sink) => sink.fail('COPY failed elsewhere')));
    const origin = { shard: options.name, relation: options.table.name, lineOf, hasAdded };
    throw options.translateError(tellOrigin(error, origin));
  }
}

interface ReferenceStream {
  readonly sql: string;
  readonly pieces: Pick<CopyPieces, 'next'>;
  /** The caller's line of a line of the stream. */
  readonly lineOf: (line: number) => number;
  readonly hasAdded: boolean;
}

/** The caller's own bytes, unless columns have to be added: then the header line is left out. */
function streamOf(source: CopyPieces, { copy, table, name, defaults, serverVersion }: ReferenceCopyIn): ReferenceStream {
  const relation = quoteQualified(table.schema, name);
  const listed = copyColumns(copy, table).map((column) => column.name);
  const added = addedColumns(table, listed);
  if (added.length === 0) return { sql: renderWholeCopyIn(copy, relation, listed), pieces: source, lineOf: (line) => line, hasAdded: false };
  const rows = new AddedRows(source, {
    copy,
    columns: listed,
    relation: table.name,
    serverVersion,
    values: new AddedValues(added, { options: copy.options, defaults, listedCount: listed.length }),
  });
  const columns = [...added.map(({ column }) => column.name), ...listed];
  return { sql: renderCopyIn(copy, relation, { columns, listed }), pieces: rows, lineOf: (line) => line + rows.headerLines, hasAdded: true };
}

/** Adds to `sinks` what could be opened, also when it rejects. */
async function openAll(options: ReferenceCopyIn, { sql, sinks }: { sql: string; sinks: CopySink[] }): Promise<void> {
  const { nodes, transaction, signal, onNotice } = options;
  const openings = await Promise.allSettled(
    nodes.map(async (node) => {
      const connection = await transaction.join(node, 'write', { signal });
      sinks.push(await connection.copyIn(sql, { signal, onNotice }));
    }),
  );
  for (const opening of openings) if (opening.status === 'rejected') throw opening.reason;
}
