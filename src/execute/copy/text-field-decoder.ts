import { isRange, rangeHas } from './byte-range.ts';
import { backslash } from './end-marker.ts';
import { defaultAsked } from './field-decoder.ts';
import type { FieldDecoder, FieldValue } from './field-decoder.ts';

/** Fields of COPY's text format. The NULL and DEFAULT markers are compared before escapes are read, as the server does. */
export class TextFieldDecoder implements FieldDecoder {
  readonly #null: Buffer;
  readonly #default: Buffer | undefined;

  constructor(options: { readonly null: string; readonly default: string | undefined }) {
    this.#null = Buffer.from(options.null);
    this.#default = options.default === undefined ? undefined : Buffer.from(options.default);
  }

  decode(bytes: Buffer, start: number, end: number): FieldValue {
    const range = { start, end };
    if (isRange(bytes, range, this.#null)) return null;
    if (this.#default !== undefined && isRange(bytes, range, this.#default)) return defaultAsked;
    return rangeHas(bytes, range, backslash) ? unescaped(bytes.subarray(start, end)) : bytes.toString('utf8', start, end);
  }
}

function unescaped(field: Buffer): string {
  const result = Buffer.allocUnsafe(field.length);
  let length = 0;
  for (let position = 0; position < field.length; position += 1) {
    let byte = field[position] ?? 0;
    if (byte === backslash) {
      position += 1;
      if (position === field.length) break;
      byte = field[position] ?? 0;
      const digits = escapedDigits(field, position);
      if (digits === undefined) {
        byte = controls.get(byte) ?? byte;
      } else {
        byte = digits.value;
        position += digits.length - 1;
      }
    }
    result[length] = byte;
    length += 1;
  }
  return result.toString('utf8', 0, length);
}

const controls: ReadonlyMap<number, number> = new Map(
  [['b', '\b'], ['f', '\f'], ['n', '\n'], ['r', '\r'], ['t', '\t'], ['v', '\v']].map(([letter = '', control = '']) => [
    letter.charCodeAt(0),
    control.charCodeAt(0),
  ]),
);

/** One to three octal digits, or `x` with one or two hexadecimal ones. Source: PostgreSQL's documentation of COPY. */
function escapedDigits(field: Buffer, position: number): { readonly value: number; readonly length: number } | undefined {
  const text = field.toString('latin1', position, position + 3);
  const digits = /^(?:x[\da-fA-F]{1,2}|[0-7]{1,3})/.exec(text)?.[0];
  if (digits === undefined) return undefined;
  const value = digits.startsWith('x') ? Number.parseInt(digits.slice(1), 16) : Number.parseInt(digits, 8);
  return { value: value & 0xff, length: digits.length };
}
