import { rangeHas } from './byte-range.ts';
import { defaultAsked } from './field-decoder.ts';
import type { FieldDecoder, FieldValue } from './field-decoder.ts';

export interface CsvFieldDecoderOptions {
  /** Bytes. */
  readonly quote: number;
  readonly escape: number;
  readonly null: string;
  readonly default: string | undefined;
  /** FORCE_NOT_NULL and FORCE_NULL name this field's column. */
  readonly forceNotNull: boolean;
  readonly forceNull: boolean;
}

/** Fields of COPY's CSV format. Only a field without any quote can be the NULL or DEFAULT marker. */
export class CsvFieldDecoder implements FieldDecoder {
  readonly #options: CsvFieldDecoderOptions;

  constructor(options: CsvFieldDecoderOptions) {
    this.#options = options;
  }

  decode(bytes: Buffer, start: number, end: number): FieldValue {
    const { quote, forceNotNull, forceNull, null: nullMarker, default: defaultMarker } = this.#options;
    const quoted = rangeHas(bytes, { start, end }, quote);
    const text = quoted ? this.#unquoted(bytes.subarray(start, end)) : bytes.toString('utf8', start, end);
    if (!quoted && text === nullMarker) return forceNotNull ? text : null;
    if (!quoted && text === defaultMarker) return defaultAsked;
    // The server asks for FORCE_NOT_NULL first: a column under both is NULL only when its marker is quoted.
    return forceNull && text === nullMarker ? null : text;
  }

  #unquoted(field: Buffer): string {
    const { quote, escape } = this.#options;
    const result = Buffer.allocUnsafe(field.length);
    let length = 0;
    let inQuotes = false;
    for (let position = 0; position < field.length; position += 1) {
      const byte = field[position] ?? 0;
      const next = field[position + 1];
      if (inQuotes && byte === escape && (next === quote || next === escape)) {
        result[length] = next;
        length += 1;
        position += 1;
      } else if (byte === quote) {
        inQuotes = !inQuotes;
      } else {
        result[length] = byte;
        length += 1;
      }
    }
    return result.toString('utf8', 0, length);
  }
}
