import { hashBytes } from './hash-bytes.ts';
import { invalid, viaArraySql, type TypeRules, type Unreadable } from './type-rules.ts';

export const byteaRules: TypeRules<Uint8Array> = {
  name: 'bytea',
  hashSql: viaArraySql('bytea'),
  parse: (text) => (text.startsWith('\\x') ? parseHex(text.slice(2)) : parseEscaped(text)),
  print: (bytes) => `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`,
  hash: (bytes) => hashBytes(bytes),
  parseBinary: (bytes) => bytes,
  hashDirect: (value) => (value instanceof Uint8Array ? hashBytes(value) : undefined),
};

/** White space may stand between the pairs of digits. */
function parseHex(text: string): Uint8Array | Unreadable {
  const pairs = /^(?:[ \n\t\r]*[0-9a-f]{2})*[ \n\t\r]*$/i;
  return pairs.test(text) ? Buffer.from(text.replace(/[ \n\t\r]/g, ''), 'hex') : invalid;
}

/** The traditional form: `\\` is a backslash, `\ooo` an octal byte, anything else stands for its UTF-8 bytes. */
function parseEscaped(text: string): Uint8Array | Unreadable {
  const source = Buffer.from(text, 'utf8');
  const bytes = Buffer.alloc(source.length);
  let length = 0;
  for (let at = 0; at < source.length; length += 1) {
    const byte = source[at] ?? 0;
    if (byte === 0) return invalid;
    if (byte !== backslash) {
      bytes[length] = byte;
      at += 1;
    } else if (source[at + 1] === backslash) {
      bytes[length] = backslash;
      at += 2;
    } else {
      const digits = source.toString('latin1', at + 1, at + 4);
      if (!/^[0-3][0-7]{2}$/.test(digits)) return invalid;
      bytes[length] = Number.parseInt(digits, 8);
      at += 4;
    }
  }
  return bytes.subarray(0, length);
}

const backslash = 0x5c;
