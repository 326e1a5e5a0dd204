import type { CallOptions, NodeConnection, NodeQuery, RawRow } from '../../cluster/node-connection.ts';

const batchRowsDefault = 5_000;

export interface CursorOptions extends CallOptions {
  /** Unique among the cursors that are open on the connection. */
  readonly name: string;
  readonly batchRows?: number | undefined;
}

/**
 * A query's rows in batches over a connection in a transaction, which is free for other statements between two batches. The first batch comes with the
 * query's own round trip.
 */
export async function* cursorRows(connection: NodeConnection, { text, values }: NodeQuery, options: CursorOptions): AsyncGenerator<readonly RawRow[]> {
  const rows = options.batchRows ?? batchRowsDefault;
  const fetch = (): ReturnType<NodeConnection['query']> => connection.query({ text: `FETCH ${rows} FROM ${options.name}`, simple: true }, options);
  const [declared, first] = await Promise.allSettled([
    connection.query({ text: `DECLARE ${options.name} NO SCROLL CURSOR FOR ${text}`, values }, options),
    fetch(),
  ]);
  // When the first fails, the second does for that reason.
  if (declared.status === 'rejected') throw declared.reason;
  if (first.status === 'rejected') throw first.reason;
  let batch = first.value.rows;
  while (batch.length > 0) {
    yield batch;
    if (batch.length < rows) break;
    batch = (await fetch()).rows;
  }
  await connection.query({ text: `CLOSE ${options.name}`, simple: true }, options);
}
