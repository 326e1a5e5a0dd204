import { present } from '../base/assert.ts';
import type { HashRange } from '../catalog/shard-for-hash.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import { columnList } from '../ddl/column-list.ts';
import { unescapeCopyText } from '../ddl/copy-text.ts';
import { splitRows } from '../ddl/split-rows.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { hashSql, type MovedShard, type RowHash } from './moved-tables.ts';
import { misplaced } from './row-route.ts';

/** All rows of a shard, or those of a part of it. */
export type RowsOf = 'all' | RowsOfPart;

export interface RowsOfPart {
  readonly hash: RowHash;
  readonly part: HashRange;
  /** Of the shard. */
  readonly whole: HashRange;
}

export interface ShardRows {
  readonly shard: MovedShard;
  readonly rows: RowsOf;
  /** As COPY has it. Rows that are told apart here must be text: see `canBeBinary`. */
  readonly format: 'binary' | 'text';
}

export interface RowSink {
  readonly signal: AbortSignal;
  readonly write: (bytes: Uint8Array) => Promise<void>;
}

/** Whether the server can tell the rows: it knows the hashes of its own family. */
export function canBeBinary(rows: RowsOf): boolean {
  return rows === 'all' || rows.hash.family === 'postgres';
}

/**
 * Reads a shard in the connection's transaction. One reading for each part, by a condition, keeps the binary form and lets parts be read side by side; a shard is mostly in
 * memory by the second time, and a hash takes the server less than sending a row. Rows of family `murmur3` are all sent, and left out here.
 */
export async function readRows(source: NodeConnection, { shard, rows, format }: ShardRows, { signal, write }: RowSink): Promise<void> {
  const columns = columnList(shard.definition);
  if (rows === 'all' || rows.hash.family === 'postgres') {
    const where = rows === 'all' ? '' : ` WHERE ${condition(rows, shard)}`;
    for await (const chunk of source.copyOut(`COPY (SELECT ${columns} FROM ONLY ${shard.sql}${where}) TO STDOUT (FORMAT ${format})`, { signal })) await write(chunk);
    return;
  }
  const key = quoteIdentifier(present(rows.hash.columns.get(shard.definition.oid), 'distribution column'));
  await splitRows(source.copyOut(`COPY (SELECT ${key}, ${columns} FROM ONLY ${shard.sql}) TO STDOUT`, { signal }), {
    parts: 2,
    locate: (field) => (isOfPart(rows, field) ? 0 : 1),
    sink: (part, bytes) => (part === 0 ? write(bytes) : Promise.resolve()),
    partBytes,
  });
}

const partBytes = 64 * 1024;

/** A NULL, which nobody should have written, must not be lost: it goes to the first part, as `routeByHash` says. */
function condition({ hash, part, whole }: RowsOfPart, { definition }: MovedShard): string {
  const isIn = `${hashSql(hash, definition)} BETWEEN (${part.min}) AND (${part.max})`;
  return part.min === whole.min ? `(${isIn}) IS NOT FALSE` : isIn;
}

function isOfPart({ hash: { type, family }, part, whole }: RowsOfPart, field: Buffer): boolean {
  if (field.length === 2 && field.toString('latin1') === '\\N') return part.min === whole.min;
  const text = unescapeCopyText(field);
  const hash = type.hashOf(text, family, { timeZone: 'UTC' });
  if (hash === undefined || !isIn(whole, hash)) throw misplaced(text);
  return isIn(part, hash);
}

function isIn({ min, max }: HashRange, hash: number): boolean {
  return min <= hash && hash <= max;
}
