import type { RawRow } from '../../cluster/node-connection.ts';

/** What operators pull rows from, one call at a time. */
export interface RowSource {
  /** The next rows, at least one; undefined at the end. After that, and after it threw, it is not called again. */
  next(): Promise<readonly RawRow[] | undefined>;
  /** Gives everything below back, while a `next` is pending too, which then ends. Never rejects; the second call does nothing. */
  close(): Promise<void>;
}

/** Closes all of them side by side. */
export async function closeAll(sources: readonly RowSource[]): Promise<void> {
  await Promise.all(sources.map((source) => source.close()));
}
