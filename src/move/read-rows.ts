import type { HashRange } from '../catalog/shard-for-hash.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import { columnList } from '../ddl/column-list.ts';
import { copiedRows } from './copied-rows.ts';
import { hashSql, type MovedShard, type RowHash } from './moved-tables.ts';

/** All rows of a shard, or those of a part of it. */
export type RowsOf = 'all' | RowsOfPart;

interface RowsOfPart {
  /** Of family `postgres`: the server tells the rows. */
  readonly hash: RowHash;
  readonly part: HashRange;
  /** Of the shard. */
  readonly whole: HashRange;
}

interface ShardRows {
  readonly shard: MovedShard;
  readonly rows: RowsOf;
  /** As COPY has it. */
  readonly format: 'binary' | 'text';
}

interface RowSink {
  readonly signal: AbortSignal;
  /** `rows`: that have come with the bytes, about. */
  readonly write: (bytes: Uint8Array, rows: number) => Promise<void>;
}

/**
 * Reads a shard in the connection's transaction. One reading for each part, by a condition, keeps the binary form and lets parts be read side by side; a shard is mostly in
 * memory by the second time, and a hash takes the server less than sending a row.
 */
export async function readRows(source: NodeConnection, { shard, rows, format }: ShardRows, { signal, write }: RowSink): Promise<void> {
  const where = rows === 'all' ? '' : ` WHERE ${condition(rows, shard)}`;
  const query = `SELECT ${columnList(shard.definition)} FROM ONLY ${shard.sql}${where}`;
  for await (const chunk of copiedRows(source, { query, format, signal })) await write(chunk.bytes, chunk.rows);
}

/** A NULL, which nobody should have written, must not be lost: it goes to the first part, as `routeByHash` says. */
function condition({ hash, part, whole }: RowsOfPart, { definition }: MovedShard): string {
  const isIn = `${hashSql(hash, definition)} BETWEEN (${part.min}) AND (${part.max})`;
  return part.min === whole.min ? `(${isIn}) IS NOT FALSE` : isIn;
}
