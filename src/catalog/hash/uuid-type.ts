import { hashBytes } from './hash-bytes.ts';
import { callSql, invalid, type TypeRules, type Unreadable } from './type-rules.ts';

/** In memory: its 16 bytes. Braces, case and a hyphen after any group of four digits do not matter. */
export const uuidRules: TypeRules<Uint8Array> = {
  name: 'uuid',
  hashSql: callSql('uuid_hash'),
  parse: (text) => (text.startsWith('{') && text.endsWith('}') ? parseDigits(text.slice(1, -1)) : parseDigits(text)),
  print(bytes) {
    const digits = Buffer.from(bytes).toString('hex');
    return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`;
  },
  hash: (bytes) => hashBytes(bytes),
};

function parseDigits(text: string): Uint8Array | Unreadable {
  const bytes = new Uint8Array(16);
  let digits = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === hyphen && digits > 0 && digits < 32 && digits % 4 === 0 && text.charCodeAt(at - 1) !== hyphen) continue;
    const value = digitValue(code);
    if (value < 0 || digits === 32) return invalid;
    bytes[digits >> 1] = ((bytes[digits >> 1] ?? 0) << 4) | value;
    digits += 1;
  }
  return digits === 32 ? bytes : invalid;
}

const hyphen = 0x2d;

/** Of a hexadecimal digit; -1 for anything else. */
function digitValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
