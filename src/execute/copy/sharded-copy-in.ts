import { setImmediate as nextTurn } from 'node:timers/promises';
import { canceled, onAbort } from '../../base/abort.ts';
import type { Column, DistributedTable } from '../../catalog/catalog-snapshot.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { CallOptions } from '../../cluster/node-connection.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import { addedColumns, AddedValues } from './added-columns.ts';
import type { ColumnDefaults } from './added-columns.ts';
import { copyColumns } from './copy-columns.ts';
import type { CopyPieces, CopySource } from './copy-source.ts';
import type { CopyStatement } from './copy-statement.ts';
import { fieldDecoderOf } from './field-decoder-of.ts';
import { renderCopyIn } from './render-copy.ts';
import { RowLocator } from './row-locator.ts';
import type { ShardOf } from './row-locator.ts';
import { RowRouter } from './row-router.ts';
import { rowScannerOf } from './row-scanner-of.ts';
import { RowSplitter } from './row-splitter.ts';
import { ShardOutbox } from './shard-outbox.ts';
import { withCheckedSource } from './with-checked-source.ts';

export interface ShardedCopyIn {
  readonly copy: CopyStatement;
  readonly table: DistributedTable;
  /** By ordinal of the shard group. `name` is the shard's bare name; it is in the table's schema. */
  readonly shards: readonly { readonly node: NodeId; readonly name: string }[];
  /** Joined by the coordinator database (reading) and by the nodes that get rows (writing). Neither committed nor rolled back here. */
  readonly transaction: DistributedTransaction;
  readonly shardOf: ShardOf;
  readonly defaults: ColumnDefaults;
  /** server_version_num of the nodes: end markers differ before and after 18. */
  readonly serverVersion: number;
  /** Makes the error of a shard's node speak of the table: message and fields name the shard. `where` is put right here. */
  readonly translateError: (error: unknown, ordinal: number) => unknown;
  readonly signal?: AbortSignal | undefined;
  readonly onNotice?: CallOptions['onNotice'];
  /** So many rows were stored in a shard. */
  readonly onRows?: ((ordinal: number, rows: number) => void) | undefined;
  /** 32 MB by default. */
  readonly memoryBytesMax?: number | undefined;
}

const defaultMemoryBytes = 32 * 1024 * 1024;

/**
 * COPY FROM STDIN into a distributed table; resolves to the number of rows stored. Each row's own bytes go to its shard; only the
 * distribution column is read. Memory is bounded, the source is read no faster than the nodes store.
 *
 * Throws PostgreSQL's errors, a node's with the line of the caller's input in `where`; `badCopyData`, `distributionValueMissing`,
 * `unsupportedQuery`, `canceled`. The transaction must then be rolled back: nothing of the COPY is kept. Of several bad lines any
 * may be the one reported, when they belong to different shards.
 */
export function shardedCopyIn(source: CopySource, options: ShardedCopyIn): Promise<number> {
  return withCheckedSource(source, options, (pieces) => routeAll(pieces, options));
}

async function routeAll(pieces: CopyPieces, options: ShardedCopyIn): Promise<number> {
  const { signal } = options;
  const { router, outbox } = prepare(options);
  using _abort = onAbort(signal, () => {
    if (signal !== undefined) outbox.interrupt.raise(canceled(signal));
  });
  try {
    for (;;) {
      const piece = await outbox.interrupt.wait(pieces.next());
      if (piece === undefined) break;
      await earlierFirst(outbox, router.push(piece));
      outbox.dispatchIdle();
      // A source that never waits would keep the sockets from being served.
      await outbox.interrupt.wait(nextTurn());
    }
    await earlierFirst(outbox, router.finish());
    return await outbox.interrupt.wait(outbox.end());
  } catch (error) {
    await outbox.abandon(error);
    throw error;
  }
}

/** When a row cannot be routed, the rows before it are sent all the same: if a node refuses one of those, that is the error. */
async function earlierFirst(outbox: ShardOutbox, routing: Promise<void>): Promise<void> {
  try {
    await routing;
  } catch (error) {
    await outbox.interrupt.wait(outbox.end());
    throw error;
  }
}

function prepare(options: ShardedCopyIn): { router: RowRouter; outbox: ShardOutbox } {
  const { copy, table, shards, transaction, shardOf, defaults, serverVersion, memoryBytesMax, onNotice, onRows } = options;
  const { format } = copy.options;
  const columns = copyColumns(copy, table);
  const names = columns.map(({ name }) => name);
  const added = addedColumns(table, names);
  const { distributionColumn: key } = table;
  const field = key === undefined ? -1 : names.indexOf(key.name);
  const rendered = [...added.map(({ column }) => column.name), ...names];
  const outbox = new ShardOutbox({
    targets: shards.map(({ node, name }) => ({
      node,
      name,
      sql: renderCopyIn(copy, quoteQualified(table.schema, name), { columns: rendered, listed: names }),
    })),
    format,
    relation: table.name,
    hasAdded: added.length > 0,
    copyIn: async (node, sql, call) => (await transaction.join(node, 'write', call)).copyIn(sql, { ...call, onNotice }),
    translateError: options.translateError,
    memoryBytesMax: memoryBytesMax ?? defaultMemoryBytes,
    onRows,
  });
  const locator = new RowLocator({
    table,
    column: key === undefined ? undefined : { name: key.name, kind: isInteger(key) ? 'integer' : 'other' },
    format,
    decoder: key === undefined || field < 0 ? undefined : fieldDecoderOf(copy.options, key),
    shardOf,
  });
  const router = new RowRouter({
    options: copy.options,
    relation: table.name,
    columns: names,
    splitter: new RowSplitter(rowScannerOf(copy.options, field, serverVersion), table.name),
    locator,
    outbox,
    added:
      added.length === 0 ? undefined : new AddedValues(added, { options: copy.options, defaults, listedCount: names.length }),
    place: key === undefined || field >= 0 ? 'in_row' : added.findIndex(({ column }) => column.name === key.name),
  });
  return { router, outbox };
}

/** int8, int2, int4. */
function isInteger({ type }: Column): boolean {
  return [20, 21, 23].includes(type.oid);
}
