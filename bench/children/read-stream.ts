import { Query, type Client, type QueryConfig } from 'pg';
import type { Connected } from './connect.ts';

export interface RowsSeen {
  rows: number;
  firstMs: number;
}

/** Rows per part. On the plain side pg asks for the next part when it has read the one before. */
const batchRows = 1000;

/**
 * Reads all rows of a query, as objects with pg's types, a thousand at a time, keeping none. The plain side reads a portal in
 * parts, as pg-cursor does, so that both do the same work per row.
 */
export async function readStream(connected: Connected, sql: string, startedMs: number): Promise<RowsSeen> {
  const seen: RowsSeen = { rows: 0, firstMs: 0 };
  const count = (): void => {
    if (seen.rows === 0) seen.firstMs = performance.now() - startedMs;
    seen.rows += 1;
  };
  if (connected.kind === 'plain') {
    await readPortal(connected.client, sql, count);
    return seen;
  }
  for await (const _row of connected.cluster.stream(sql, [], { batchRows })) count();
  return seen;
}

function readPortal(client: Client, sql: string, onRow: () => void): Promise<void> {
  const config: QueryConfig & { readonly rows: number } = { text: sql, rows: batchRows };
  const query = new Query<Record<string, unknown>>(config);
  return new Promise((resolve, reject) => {
    query.on('row', onRow);
    query.on('end', () => resolve());
    query.on('error', reject);
    client.query(query);
  });
}
