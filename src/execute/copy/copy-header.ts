import { copyDefectError } from './copy-error.ts';
import type { CopyOptions } from './copy-options.ts';
import { CsvFieldDecoder } from './csv-field-decoder.ts';
import type { FieldDecoder, FieldValue } from './field-decoder.ts';
import { byteOf, rowScannerOf } from './row-scanner-of.ts';
import { TextFieldDecoder } from './text-field-decoder.ts';
import { emptyBatch } from './row-batch.ts';

/**
 * Checks the header line as HEADER MATCH asks; `lines` it has by PostgreSQL's count. `badCopyData` in PostgreSQL's words.
 */
export function checkHeader(
  line: Buffer,
  { options, columns, relation, lines }: { options: CopyOptions; columns: readonly string[]; relation: string; lines: number },
): void {
  const problem = isOpen(line, options) ? 'unterminated CSV quoted field' : mismatch(headerFields(line, options), columns, options);
  if (problem !== undefined) throw copyDefectError({ message: problem }, relation, lines);
}

function mismatch(fields: readonly (string | null)[], columns: readonly string[], options: CopyOptions): string | undefined {
  if (fields.length !== columns.length) {
    return `wrong number of fields in header line: got ${fields.length}, expected ${columns.length}`;
  }
  const index = columns.findIndex((column, i) => fields[i] !== column);
  if (index < 0) return undefined;
  const field = fields[index] ?? null;
  const got = field === null ? `null value ("${options.null}")` : `"${field}"`;
  return `column name mismatch in header line field ${index + 1}: got ${got}, expected "${columns[index]}"`;
}

/** Whether a quote is left open: then a line end does not end the line. */
function isOpen(line: Buffer, options: CopyOptions): boolean {
  if (options.format === 'text') return false;
  const batch = emptyBatch();
  batch.bytes = Buffer.concat([line, Buffer.from('\n')]);
  rowScannerOf(options, -1, Number.POSITIVE_INFINITY).scan(batch, 0, false);
  return batch.count === 0;
}

/** Every field in turn is found as the distribution column's would be: slow, for one line. */
function headerFields(line: Buffer, options: CopyOptions): (string | null)[] {
  const decoder = headerDecoder(options);
  if (line.length === 0) return [textOrNull(decoder.decode(line, 0, 0))];
  const fields: (string | null)[] = [];
  const batch = emptyBatch();
  batch.bytes = line;
  for (let field = 0; ; field += 1) {
    batch.count = 0;
    rowScannerOf(options, field, Number.POSITIVE_INFINITY).scan(batch, 0, true);
    const start = batch.valueStarts[0] ?? -1;
    if (batch.count === 0 || start < 0) return fields;
    fields.push(textOrNull(decoder.decode(line, start, batch.valueEnds[0] ?? start)));
  }
}

/** No default marker is asked for. */
function textOrNull(value: FieldValue): string | null {
  return typeof value === 'string' ? value : null;
}

/** Names are read without the DEFAULT marker and the FORCE options. */
function headerDecoder(options: CopyOptions): FieldDecoder {
  if (options.format === 'text') return new TextFieldDecoder({ null: options.null, default: undefined });
  return new CsvFieldDecoder({
    null: options.null,
    default: undefined,
    quote: byteOf(options.quote),
    escape: byteOf(options.escape),
    forceNotNull: false,
    forceNull: false,
  });
}
