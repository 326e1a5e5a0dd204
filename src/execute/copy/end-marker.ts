import { carriageReturn, lineFeed } from './line-end.ts';
import type { LineEnd } from './line-end.ts';
import type { CopyDefect } from './row-batch.ts';

export const backslash = 92;
export const dot = 46;

/** Both markers' messages changed with PostgreSQL 18. */
const version18 = 180000;

/**
 * Judges a `\.` at `position`, outside quotes. `end`: it ends the data. `data`: it is no marker (CSV). undefined: more bytes are needed.
 */
export function endMarkerAt(
  bytes: Buffer,
  position: number,
  stream: {
    readonly known: LineEnd;
    readonly last: boolean;
    readonly format: 'text' | 'csv';
    readonly serverVersion: number;
  },
): 'end' | 'data' | CopyDefect | undefined {
  const { known, last, format, serverVersion } = stream;
  const corrupt = format === 'csv' ? 'data' : { message: markerMisplaced(serverVersion) };
  const otherStyle = format === 'csv' ? 'data' : markerStyle;
  let next = position + 2;
  if (known === 'crlf') {
    if (next >= bytes.length && !last) return undefined;
    if (bytes[next] === lineFeed) return otherStyle;
    if (bytes[next] !== carriageReturn) return corrupt;
    next += 1;
  }
  if (next >= bytes.length && !last) return undefined;
  const end = bytes[next];
  if (end !== lineFeed && end !== carriageReturn) return corrupt;
  if (known !== 'unknown' && (known === 'cr') !== (end === carriageReturn)) return markerStyle;
  return 'end';
}

/** PostgreSQL 18 accepts the marker only alone on its line; before, what stands before it is the last row. */
export function rowBeforeMarker(serverVersion: number): 'last_row' | CopyDefect {
  return serverVersion >= version18 ? { message: markerMisplaced(serverVersion) } : 'last_row';
}

/** From PostgreSQL 18 on, CSV has no end marker. */
export function csvHasEndMarker(serverVersion: number): boolean {
  return serverVersion < version18;
}

const markerStyle: CopyDefect = { message: 'end-of-copy marker does not match previous newline style' };

function markerMisplaced(serverVersion: number): string {
  return serverVersion >= version18 ? 'end-of-copy marker is not alone on its line' : 'end-of-copy marker corrupt';
}
