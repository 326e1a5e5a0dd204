import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';

/** Of a table without its large values, in pages: 32 MiB. */
const pagesPerRange = 4_096;

/** A part of a table, for one statement. */
export interface PageRange {
  /** Of a table called `t`. */
  readonly condition: string;
  readonly bytes: number;
}

/**
 * A table in parts that are read one after the other, so that one can see how far it is and stop in between. Only within one snapshot, taken before, is every row in exactly one of them. `whole`: as one part, for tables
 * that have no pages themselves.
 */
export async function pageRanges(connection: NodeConnection, sql: string, options: CallOptions & { readonly whole?: boolean }): Promise<PageRange[]> {
  const text = `SELECT pg_catalog.pg_relation_size($1::text::pg_catalog.regclass), pg_catalog.current_setting('block_size')`;
  const { rows } = await connection.query({ text, values: [sql] }, options);
  const [bytes, blockSize] = (rows[0] ?? []).map(Number);
  const pages = options.whole === true ? 0 : Math.floor((bytes ?? 0) / (blockSize ?? 1));
  const starts = Array.from({ length: Math.max(1, Math.ceil(pages / pagesPerRange)) }, (_, i) => i * pagesPerRange);
  return starts.map((start, i) => {
    const end = starts[i + 1];
    const bounds = [...(start === 0 ? [] : [`t.ctid >= '(${start},0)'`]), ...(end === undefined ? [] : [`t.ctid < '(${end},0)'`])];
    return { condition: bounds.length === 0 ? 'true' : bounds.join(' AND '), bytes: ((end ?? pages) - start) * (blockSize ?? 0) };
  });
}
