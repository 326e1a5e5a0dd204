import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import type { Connected } from './connect.ts';
import type { RowsSeen } from './read-stream.ts';

/** Sends a file of COPY text; resolves to the number of rows that the server took. */
export async function copyIn(connected: Connected, sql: string, file: string): Promise<RowsSeen> {
  const source = createReadStream(file);
  if (connected.kind === 'cluster') return { rows: (await connected.cluster.copyFrom(sql, source)).rowCount, firstMs: 0 };
  const sink = connected.client.query(copyFrom(sql));
  await pipeline(source, sink);
  return { rows: sink.rowCount, firstMs: 0 };
}
