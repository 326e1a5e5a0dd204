import { hashBytes } from './hash-bytes.ts';
import { callSql, needsServer, type TypeRules } from './type-rules.ts';

/** In memory: lower-case hexadecimal digits. The rarer separators are left to the server. */
export const macaddrRules = macRules('macaddr', 'hashmacaddr', 6);
export const macaddr8Rules = macRules('macaddr8', 'hashmacaddr8', 8);

function macRules(name: string, hashFunction: string, length: number): TypeRules<string> {
  const separated = new RegExp(`^[0-9a-f]{2}(?:(?::[0-9a-f]{2}){${length - 1}}|(?:-[0-9a-f]{2}){${length - 1}})$`, 'i');
  return {
    name,
    hashSql: callSql(hashFunction),
    parse: (text) => (separated.test(text) ? text.replace(/[:-]/g, '').toLowerCase() : needsServer),
    print: (digits) => digits.replace(/..(?!$)/g, '$&:'),
    hash: (digits) => hashBytes(Buffer.from(digits, 'hex')),
  };
}
