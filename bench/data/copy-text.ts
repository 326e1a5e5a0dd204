/** A row in the order of its table's columns; `null` is SQL NULL. */
export type DataRow = readonly (string | number | null)[];

export interface CopyTextOptions {
  /** Rows per chunk: 1000 by default. */
  readonly chunkRows?: number;
  /** Called after each chunk with the rows so far. */
  readonly onProgress?: ((rows: number) => void) | undefined;
}

/** Rows as COPY's text format, in chunks of many lines. A chunk is made when it is asked for. */
export function* copyText(rows: Iterable<DataRow>, options: CopyTextOptions = {}): Generator<string, void, undefined> {
  const chunks = new Chunks(options);
  for (const row of rows) if (chunks.add(row)) yield chunks.take();
  if (chunks.pending) yield chunks.take();
}

/** The same of rows that have to be waited for. */
export async function* copyTextAsync(rows: AsyncIterable<DataRow>, options: CopyTextOptions = {}): AsyncGenerator<string, void, undefined> {
  const chunks = new Chunks(options);
  for await (const row of rows) if (chunks.add(row)) yield chunks.take();
  if (chunks.pending) yield chunks.take();
}

/** Collects lines until there are enough of them. */
class Chunks {
  private lines = '';
  private count = 0;
  private readonly chunkRows: number;

  constructor(private readonly options: CopyTextOptions) {
    this.chunkRows = options.chunkRows ?? 1000;
  }

  get pending(): boolean {
    return this.lines !== '';
  }

  /** Whether the chunk is full now. */
  add(row: DataRow): boolean {
    this.lines += copyLine(row);
    this.count += 1;
    return this.count % this.chunkRows === 0;
  }

  take(): string {
    const { lines } = this;
    this.lines = '';
    this.options.onProgress?.(this.count);
    return lines;
  }
}

/** One row with its line feed. */
export function copyLine(row: DataRow): string {
  let line = '';
  let separator = '';
  for (const value of row) {
    line += separator + copyField(value);
    separator = '\t';
  }
  return `${line}\n`;
}

function copyField(value: string | number | null): string {
  if (value === null) return String.raw`\N`;
  if (typeof value === 'number') return String(value);
  return /[\\\t\n\r]/.test(value) ? value.replaceAll(/[\\\t\n\r]/g, (special) => escapes[special] ?? special) : value;
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };
