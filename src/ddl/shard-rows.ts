import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import { copyTextRows } from '../execute/copy-text-rows.ts';

const cursor = 'shardwright_rows';
/** Rows of the first FETCH; later ones are sized by what came. */
const rowsFirst = 100;
const rowsMax = 10_000;
const bytesWanted = 2 ** 20;

/**
 * A query's rows in COPY's text format, read through a cursor: between two chunks the connection is free, so that rows can be written by the same transaction. COPY would hold it to its end.
 * Memory: about 1 MiB, and 100 rows.
 */
export async function* cursorRows(connection: NodeConnection, query: string, options: CallOptions): AsyncGenerator<Uint8Array> {
  await connection.query({ text: `DECLARE ${cursor} NO SCROLL CURSOR FOR ${query}` }, options);
  let wanted = rowsFirst;
  for (;;) {
    const { rows } = await connection.query({ text: `FETCH ${wanted} FROM ${cursor}` }, options);
    if (rows.length === 0) break;
    const bytes = copyTextRows(rows);
    yield bytes;
    wanted = Math.max(1, Math.min(rowsMax, Math.ceil((bytesWanted * rows.length) / bytes.length)));
  }
  await connection.query({ text: `CLOSE ${cursor}` }, options);
}
