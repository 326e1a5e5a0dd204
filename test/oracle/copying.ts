import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Pool } from 'pg';
import { from, to } from 'pg-copy-streams';

/** COPY as the cluster offers it. */
export interface Copying {
  /** Rejects when nothing was kept. */
  copyFrom(sql: string, source: Readable): Promise<{ readonly rowCount: number }>;
  copyTo(sql: string): AsyncIterable<Uint8Array>;
}

/** The same on one plain PostgreSQL, for comparison. */
export function copyingOf(pool: Pool): Copying {
  return {
    copyFrom: (sql, source) => plainCopyFrom(pool, sql, source),
    copyTo: (sql) => plainCopyTo(pool, sql),
  };
}

async function plainCopyFrom(pool: Pool, sql: string, source: Readable): Promise<{ rowCount: number }> {
  const client = await pool.connect();
  try {
    const sink = client.query(from(sql));
    await pipeline(source, sink);
    return { rowCount: sink.rowCount };
  } finally {
    client.release(true);
  }
}

async function* plainCopyTo(pool: Pool, sql: string): AsyncIterable<Uint8Array> {
  const client = await pool.connect();
  try {
    for await (const chunk of client.query(to(sql))) yield chunk as Uint8Array;
  } finally {
    client.release(true);
  }
}

export async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

/** The data in pieces of a few bytes, so that every boundary is met. */
export function inPieces(data: Uint8Array, bytesPerPiece = 7): Readable {
  const count = Math.ceil(data.length / bytesPerPiece);
  return Readable.from(Array.from({ length: count }, (_, index) => Buffer.from(data.subarray(index * bytesPerPiece, (index + 1) * bytesPerPiece))));
}
