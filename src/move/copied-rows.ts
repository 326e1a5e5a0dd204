import type { NodeConnection } from '../cluster/node-connection.ts';

interface RowsCopied {
  /** The SELECT whose rows they are. */
  readonly query: string;
  /** As COPY has it. */
  readonly format: 'binary' | 'text';
  readonly signal: AbortSignal;
}

interface CopiedChunk {
  readonly bytes: Uint8Array;
  /** That have come with the bytes, about: some of them may have come in before. */
  readonly rows: number;
}

/** The bytes of COPY TO STDOUT, with their rows counted: all of them by the end. */
export async function* copiedRows(source: NodeConnection, { query, format, signal }: RowsCopied): AsyncGenerator<CopiedChunk> {
  // The last message in binary form is no row.
  let [came, told] = [format === 'binary' ? -1 : 0, 0];
  const onMessage = (): void => void (came += 1);
  for await (const bytes of source.copyOut(`COPY (${query}) TO STDOUT (FORMAT ${format})`, { signal, onMessage })) {
    const rows = Math.max(came - told, 0);
    told += rows;
    yield { bytes, rows };
  }
}
