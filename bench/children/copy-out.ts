import type { Readable } from 'node:stream';
import { to as copyTo } from 'pg-copy-streams';
import type { Connected } from './connect.ts';
import type { RowsSeen } from './read-stream.ts';

const lineFeed = 10;

/** Receives COPY text, counting lines, keeping none. */
export async function copyOut(connected: Connected, sql: string, startedMs: number): Promise<RowsSeen> {
  const source: Readable = connected.kind === 'cluster' ? connected.cluster.copyTo(sql) : connected.client.query(copyTo(sql));
  const seen: RowsSeen = { rows: 0, firstMs: 0 };
  for await (const chunk of source as AsyncIterable<Uint8Array>) {
    if (seen.rows === 0) seen.firstMs = performance.now() - startedMs;
    seen.rows += linesIn(chunk);
  }
  return seen;
}

function linesIn(chunk: Uint8Array): number {
  let lines = 0;
  for (let at = chunk.indexOf(lineFeed); at !== -1; at = chunk.indexOf(lineFeed, at + 1)) lines += 1;
  return lines;
}
