import { hashUint32 } from './hash-bytes.ts';
import { invalid, type TypeRules } from './type-rules.ts';

/** The opclass' function takes "char" or boolean depending on the version, but always hashes 0 or 1 as a word. */
export const boolRules: TypeRules<boolean> = {
  name: 'boolean',
  hashSql: (valueSql) => `pg_catalog.hashint4((${valueSql})::integer)`,
  parse(text) {
    const word = text.replace(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, '').toLowerCase();
    if (word === '') return invalid;
    // Any prefix of these will do, but for 'o', which is ambiguous.
    if ('true'.startsWith(word) || 'yes'.startsWith(word) || word === 'on' || word === '1') return true;
    if ('false'.startsWith(word) || 'no'.startsWith(word) || word === 'off' || word === 'of' || word === '0') return false;
    return invalid;
  },
  print: (value) => (value ? 't' : 'f'),
  hash: (value) => hashUint32(value ? 1 : 0),
};
