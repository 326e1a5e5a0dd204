import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Client } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

/** Text of a COPY in chunks. */
export type CopySource = Iterable<string> | AsyncIterable<string | Uint8Array>;

/** COPY into one PostgreSQL over a connection of its own; resolves to the number of rows. */
export async function copyRowsPlain(connectionString: string, sql: string, source: CopySource): Promise<number> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const sink = client.query(copyFrom(sql));
    await pipeline(Readable.from(source, { objectMode: false }), sink);
    return sink.rowCount;
  } finally {
    await client.end();
  }
}
