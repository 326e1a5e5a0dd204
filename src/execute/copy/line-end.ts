import type { CopyDefect } from './row-batch.ts';

/** How the lines of a COPY stream end: as its first line does. */
export type LineEnd = 'unknown' | 'lf' | 'cr' | 'crlf';

export const lineFeed = 10;
export const carriageReturn = 13;

/** A line end that was met: of what kind, and how many bytes; or why it may not stand there; undefined when more bytes are needed. */
export type LineEndFound = { readonly lineEnd: LineEnd; readonly length: number } | CopyDefect | undefined;

const lf = { lineEnd: 'lf', length: 1 } as const;
const cr = { lineEnd: 'cr', length: 1 } as const;
const crlf = { lineEnd: 'crlf', length: 2 } as const;

/** Judges the line feed or carriage return at `position` in a stream whose lines so far ended as `known`. */
export function lineEndAt(
  bytes: Buffer,
  position: number,
  { known, last, format }: { readonly known: LineEnd; readonly last: boolean; readonly format: 'text' | 'csv' },
): LineEndFound {
  if (bytes[position] === lineFeed) {
    return known === 'cr' || known === 'crlf' ? strayLineEnd('newline', format) : lf;
  }
  if (known === 'lf') return strayLineEnd('carriage return', format);
  if (known === 'cr') return cr;
  if (position + 1 === bytes.length && !last) return undefined;
  if (bytes[position + 1] === lineFeed) return crlf;
  return known === 'crlf' ? strayLineEnd('carriage return', format) : cr;
}

/** What PostgreSQL says of a line end of another kind than the stream's first. */
function strayLineEnd(character: 'newline' | 'carriage return', format: 'text' | 'csv'): CopyDefect {
  if (format === 'csv') {
    return { message: `unquoted ${character} found in data`, hint: `Use quoted CSV field to represent ${character}.` };
  }
  const escape = character === 'newline' ? '\\n' : '\\r';
  return { message: `literal ${character} found in data`, hint: `Use "${escape}" to represent ${character}.` };
}
