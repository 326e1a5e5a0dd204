import { hashBytes } from './hash-bytes.ts';
import { callSql, invalid, type TypeRules } from './type-rules.ts';

/** In memory: 32 lower-case hexadecimal digits. Braces, case and hyphens after any group of four digits do not matter. */
export const uuidRules: TypeRules<string> = {
  name: 'uuid',
  hashSql: callSql('uuid_hash'),
  parse(text) {
    const bare = text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1) : text;
    return uuidPattern.test(bare) ? bare.replaceAll('-', '').toLowerCase() : invalid;
  },
  print: (digits) =>
    `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`,
  hash: (digits) => hashBytes(Buffer.from(digits, 'hex')),
};

const uuidPattern = /^(?:[0-9a-f]{4}-?){7}[0-9a-f]{4}$/i;
