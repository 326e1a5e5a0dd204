import { present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';
import { distributionType } from '../catalog/hash/distribution-type.ts';
import { findTable } from '../execute/find-table.ts';
import type { FedTable } from '../feed/feed-context.ts';

export interface ChangesOptions {
  /** Of the feed: it is made when there is none of that name, and stays until `dropFeed`. */
  readonly name: string;
  /** A cursor of an event: the feed goes on behind it. By default behind what was confirmed. */
  readonly from?: string | undefined;
  /** When the feed is made, the rows that are there come first, as inserts. Until its end is confirmed, each opening begins with them anew. False by default. */
  readonly snapshot?: boolean | undefined;
  /** Each event is confirmed when the next one is asked for: for receivers that are through with one by then. False by default: call `confirm()`. */
  readonly autoConfirm?: boolean | undefined;
  /** How much of its log each node may keep for the feed, also while nobody reads it: 10 GiB by default. Then the feed is lost (`feedLost`), so that disks do not fill. */
  readonly maxRetainedBytes?: number | undefined;
  /** Closes the stream: the pull under way fails with `canceled`. */
  readonly signal?: AbortSignal | undefined;
}

/** Of changes that have come and were not pulled, on each node: reading stops above. */
export const waitingBytesMax = 4 * 2 ** 20;
/** How long a node may be away before the stream fails, which can then be opened again. */
export const feedPatienceMs = 60_000;

/** `notDistributed`; `unsupportedTable` for one that has no rows of its own; `invalidParameter`. */
export function fedTables(snapshot: CatalogSnapshot, names: readonly string[]): FedTable[] {
  const tables = new Map(names.map((name) => findTable(snapshot, name)).map((table) => [table.oid, fedTable(snapshot, table)]));
  if (tables.size === 0) throw new ClusterError('invalidParameter', 'a change feed needs a table');
  return [...tables.values()];
}

function fedTable(snapshot: CatalogSnapshot, table: CatalogTable): FedTable {
  const { oid, schema, name, partitioned } = table;
  if (partitioned) {
    throw new ClusterError('unsupportedTable', `table "${name}" is partitioned, and a change feed is of tables that have rows`, {
      detail: 'A partition that is added later would not be in it.', hint: 'Name its partitions, which are tables of their own.', schema, table: name,
    });
  }
  if (table.kind === 'reference' || table.distributionColumn === undefined) return { oid, schema, name, isReference: table.kind === 'reference', distribution: undefined };
  const group = present(snapshot.colocationGroups.get(table.colocationId), 'colocation group');
  const type = present(distributionType(group.distributionType ?? ''), 'distribution type');
  return { oid, schema, name, isReference: false, distribution: { column: table.distributionColumn.name, type, hash: group.hash } };
}

export function checkedBytes(bytes: number | undefined): number | undefined {
  if (bytes === undefined || (Number.isSafeInteger(bytes) && bytes > 0)) return bytes;
  throw new ClusterError('invalidParameter', 'maxRetainedBytes must be a number of bytes', { detail: `It is ${bytes}.` });
}
