import type { Column } from '../../catalog/catalog-snapshot.ts';
import { BinaryFieldDecoder } from './binary-field-decoder.ts';
import { chooses } from './copy-options.ts';
import type { CopyOptions } from './copy-options.ts';
import { CsvFieldDecoder } from './csv-field-decoder.ts';
import type { FieldDecoder } from './field-decoder.ts';
import { byteOf } from './row-scanner-of.ts';
import { TextFieldDecoder } from './text-field-decoder.ts';

/** The decoder for a column's fields. `unsupportedQuery` for types that are not read in binary form. */
export function fieldDecoderOf(options: CopyOptions, column: Column): FieldDecoder {
  if (options.format === 'binary') return new BinaryFieldDecoder(column.type.oid, column.type.sql);
  if (options.format === 'text') return new TextFieldDecoder(options);
  return new CsvFieldDecoder({
    ...options,
    quote: byteOf(options.quote),
    escape: byteOf(options.escape),
    forceNotNull: chooses(options.forceNotNull, column.name),
    forceNull: chooses(options.forceNull, column.name),
  });
}
