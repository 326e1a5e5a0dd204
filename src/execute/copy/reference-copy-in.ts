import { setImmediate as nextTurn } from 'node:timers/promises';
import { canceled, onAbort } from '../../base/abort.ts';
import { ClusterError } from '../../base/errors.ts';
import type { ReferenceTable } from '../../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { copyName, copySql, copyWrite } from '../../catalog/reference-copies.ts';
import type { CallOptions, CopySink } from '../../cluster/node-connection.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import { AddedRows } from './added-rows.ts';
import { addedColumns, AddedValues } from './added-columns.ts';
import type { ColumnDefaults } from './added-columns.ts';
import { copyColumns } from './copy-columns.ts';
import { tellOrigin } from './copy-error.ts';
import type { CopyPieces, CopySource } from './copy-source.ts';
import type { CopyStatement } from './copy-statement.ts';
import { HeldBackSink } from './held-back-sink.ts';
import { Interrupt } from './interrupt.ts';
import { NamedMoments } from './named-moments.ts';
import { renderCopyIn, renderWholeCopyIn } from './render-copy.ts';
import { withCheckedSource } from './with-checked-source.ts';

export interface ReferenceCopyIn {
  readonly copy: CopyStatement;
  readonly table: ReferenceTable;
  /** Every server that has a copy. */
  readonly holders: readonly NodeId[];
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
  const { sqlFor, pieces, lineOf, hasAdded } = streamOf(source, options);
  const moments = new NamedMoments(copyColumns(options.copy, options.table), options.copy.options.format);
  const interrupt = new Interrupt();
  using _abort = onAbort(signal, () => {
    if (signal !== undefined) interrupt.raise(canceled(signal));
  });
  const sinks: CopySink[] = [];
  try {
    await interrupt.wait(openAll(options, { sqlFor, hasAdded, sinks }));
    for (;;) {
      const piece = await interrupt.wait(pieces.next());
      if (piece === undefined) break;
      // The source may use its memory again while a socket still holds the bytes.
      const bytes = Buffer.from(piece);
      moments.see(bytes);
      await interrupt.wait(Promise.all(sinks.map((sink) => sink.write(bytes))));
      await nextTurn();
    }
    const counts = await interrupt.wait(Promise.all(sinks.map((sink) => sink.end())));
    await interrupt.wait(moments.check(options.table, { holders: options.holders, transaction: options.transaction, options: { signal } }));
    return counts[0] ?? 0;
  } catch (error) {
    await Promise.all(sinks.map((sink) => sink.fail('COPY failed elsewhere')));
    const origin = { shard: failedCopy(error, options.table), relation: options.table.name, lineOf, hasAdded };
    throw options.translateError(tellOrigin(error, origin));
  }
}

/** The bare name of the copy that the error speaks of. What is not a server's speaks of the caller's lines already, under the name that the shell has, too. */
function failedCopy(error: unknown, table: ReferenceTable): string {
  const ofNodes = copyName(table);
  if (!table.shellIsCopy || error instanceof ClusterError || !(error instanceof Error) || !('where' in error)) return ofNodes;
  return String(error.where).includes(`COPY ${ofNodes}, `) ? ofNodes : copyName(table, coordinatorNodeId);
}

interface ReferenceStream {
  readonly sqlFor: (holder: NodeId) => string;
  readonly pieces: Pick<CopyPieces, 'next'>;
  /** The caller's line of a line of the stream. */
  readonly lineOf: (line: number) => number;
  readonly hasAdded: boolean;
}

/** The caller's own bytes, unless columns have to be added: then the header line is left out. */
function streamOf(source: CopyPieces, { copy, table, defaults, serverVersion }: ReferenceCopyIn): ReferenceStream {
  const listed = copyColumns(copy, table).map((column) => column.name);
  const added = addedColumns(table, listed);
  if (added.length === 0) return { sqlFor: (holder) => copyWrite(renderWholeCopyIn(copy, copySql(table, holder), listed), holder), pieces: source, lineOf: (line) => line, hasAdded: false };
  const rows = new AddedRows(source, {
    copy,
    columns: listed,
    relation: table.name,
    serverVersion,
    values: new AddedValues(added, { options: copy.options, defaults, listedCount: listed.length }),
  });
  const columns = [...added.map(({ column }) => column.name), ...listed];
  return { sqlFor: (holder) => copyWrite(renderCopyIn(copy, copySql(table, holder), { columns, listed }), holder), pieces: rows, lineOf: (line) => line + rows.headerLines, hasAdded: true };
}

interface Opening extends Pick<ReferenceStream, 'sqlFor' | 'hasAdded'> {
  readonly sinks: CopySink[];
}

/** Adds to `sinks` what could be opened, also when it rejects. The copy that all writers come to first is open before the others are: who locks the table on one copy after the other would else wait for this one, and it for that. */
async function openAll({ holders, transaction, signal, onNotice }: ReferenceCopyIn, { sqlFor, hasAdded, sinks }: Opening): Promise<void> {
  const first = holders.find((holder) => holder === coordinatorNodeId) ?? holders[0];
  for (const turn of [holders.filter((holder) => holder === first), holders.filter((holder) => holder !== first)]) {
    const openings = await Promise.allSettled(turn.map(async (holder) => {
      const connection = await transaction.join(holder, 'write', { signal });
      const open = (): Promise<CopySink> => connection.copyIn(sqlFor(holder), { signal, onNotice });
      // Values are asked of the coordinator database meanwhile, in a transaction block over the same connection.
      sinks.push(holder === coordinatorNodeId && hasAdded ? new HeldBackSink(open) : await open());
    }));
    for (const opening of openings) if (opening.status === 'rejected') throw opening.reason;
  }
}
