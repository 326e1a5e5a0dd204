/** A row in the order of its table's columns; `null` is SQL NULL. */
export type DataRow = readonly (string | number | null)[];

export interface CopyTextOptions {
  /** Rows per chunk: 1000 by default. */
  readonly chunkRows?: number;
  /** Called after each chunk with the rows so far. */
  readonly onProgress?: (rows: number) => void;
}

/** Rows as COPY's text format, in chunks of many lines. A chunk is made when it is asked for. */
export function* copyText(rows: Iterable<DataRow>, options: CopyTextOptions = {}): Generator<string, void, undefined> {
  const chunkRows = options.chunkRows ?? 1000;
  let lines = '';
  let count = 0;
  for (const row of rows) {
    lines += copyLine(row);
    count += 1;
    if (count % chunkRows !== 0) continue;
    yield lines;
    options.onProgress?.(count);
    lines = '';
  }
  if (lines === '') return;
  yield lines;
  options.onProgress?.(count);
}

/** One row with its line feed. */
export function copyLine(row: DataRow): string {
  let line = '';
  for (const value of row) line += `${line === '' ? '' : '\t'}${copyField(value)}`;
  return `${line}\n`;
}

function copyField(value: string | number | null): string {
  if (value === null) return String.raw`\N`;
  if (typeof value === 'number') return String(value);
  return /[\\\t\n\r]/.test(value) ? value.replaceAll(/[\\\t\n\r]/g, (special) => escapes[special] ?? special) : value;
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };
