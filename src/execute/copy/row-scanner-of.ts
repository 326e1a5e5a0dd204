import { BinaryScanner } from './binary-scanner.ts';
import type { CopyOptions } from './copy-options.ts';
import { CsvRowReader } from './csv-row-reader.ts';
import { backslash } from './end-marker.ts';
import { LineScanner } from './line-scanner.ts';
import type { RowScanner } from './row-batch.ts';
import { TextRowReader } from './text-row-reader.ts';

/** The scanner for a COPY's format. `field`: position of the distribution column among the fields, -1 when it is not there. */
export function rowScannerOf(options: CopyOptions, field: number, serverVersion: number): RowScanner {
  if (options.format === 'binary') return new BinaryScanner(field);
  const delimiter = byteOf(options.delimiter);
  const reading = { delimiter, field, serverVersion };
  if (options.format === 'text') return new LineScanner(new TextRowReader(reading), { special: backslash, delimiter, field });
  const quote = byteOf(options.quote);
  return new LineScanner(new CsvRowReader({ ...reading, quote, escape: byteOf(options.escape) }), { special: quote, delimiter, field });
}

/** PostgreSQL allows one byte only. */
export function byteOf(character: string): number {
  return character.charCodeAt(0) & 0xff;
}
