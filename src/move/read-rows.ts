import { assert, present } from '../base/assert.ts';
import type { HashRange } from '../catalog/shard-for-hash.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import { columnList } from '../ddl/column-list.ts';
import { unescapeCopyText } from '../ddl/copy-text.ts';
import { splitRows } from '../ddl/split-rows.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { hashSql, type MovedShard, type RowHash } from './moved-tables.ts';

/** All rows of a shard, or those whose hashes are in a range. */
export type RowsOf = 'all' | { readonly hash: RowHash; readonly range: HashRange };

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
    const where = rows === 'all' ? '' : ` WHERE ${hashSql(rows.hash, shard.definition)} BETWEEN (${rows.range.min}) AND (${rows.range.max})`;
    for await (const chunk of source.copyOut(`COPY (SELECT ${columns} FROM ONLY ${shard.sql}${where}) TO STDOUT (FORMAT ${format})`, { signal })) await write(chunk);
    return;
  }
  const { hash, range } = rows;
  const key = quoteIdentifier(present(hash.columns.get(shard.definition.oid), 'distribution column'));
  await splitRows(source.copyOut(`COPY (SELECT ${key}, ${columns} FROM ONLY ${shard.sql}) TO STDOUT`, { signal }), {
    parts: 2,
    locate: (field) => (isIn(range, hashOfField(hash, field)) ? 0 : 1),
    sink: (part, bytes) => (part === 0 ? write(bytes) : Promise.resolve()),
    partBytes,
  });
}

const partBytes = 64 * 1024;

function isIn({ min, max }: HashRange, hash: number): boolean {
  return min <= hash && hash <= max;
}

function hashOfField({ type, family }: RowHash, field: Buffer): number {
  const text = unescapeCopyText(field);
  const hash = type.hashOf(text, family, { timeZone: 'UTC' });
  assert(hash !== undefined, `no hash of ${type.name} "${text}"`);
  return hash;
}
