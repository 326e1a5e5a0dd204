import { hashUint32 } from './hash-bytes.ts';
import { hashInt64, hashSafeInteger } from './hash-int64.ts';
import { callSql, invalid, needsServer, type TypeRules, type Unreadable } from './type-rules.ts';

export const smallintRules = integerRules('smallint', 'hashint2', 16);
export const integerRules32 = integerRules('integer', 'hashint4', 32);
export const bigintRules = integerRules('bigint', 'hashint8', 64);

export const oidRules: TypeRules<number> = {
  name: 'oid',
  hashSql: callSql('hashoid'),
  parse(text) {
    const value = /^[ \t\n\v\f\r]*\d{1,10}[ \t\n\v\f\r]*$/.test(text) ? Number(text) : -1;
    return value >= 0 && value <= 0xffff_ffff ? value : needsServer;
  },
  print: String,
  hash: hashUint32,
};

/** Integers are numbers while they are safe, else bigints: never both for one value. */
function integerRules(name: string, hashFunction: string, bits: number): TypeRules<number | bigint> {
  const limit = 2 ** (bits - 1);
  return {
    name,
    hashSql: callSql(hashFunction),
    parse: (text) => parseInteger(text, bits),
    print: String,
    hash: (value) => (typeof value === 'number' ? hashSafeInteger(value) : hashInt64(value)),
    hashDirect: (value) =>
      typeof value === 'number' && Number.isSafeInteger(value) && value >= -limit && value < limit
        ? hashSafeInteger(value)
        : undefined,
  };
}

function parseInteger(text: string, bits: number): number | bigint | Unreadable {
  // `Number` alone would take '', ' ', '1e3' and '0x1f'.
  if (!/^[ \t\n\v\f\r]*[+-]?\d+[ \t\n\v\f\r]*$/.test(text)) return unusualInteger(text);
  const value = Number(text);
  if (!Number.isSafeInteger(value)) return parseLarge(text.trim(), bits);
  const limit = 2 ** (bits - 1);
  return value >= -limit && value < limit ? value + 0 : invalid;
}

function parseLarge(text: string, bits: number): bigint | Unreadable {
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
  return BigInt.asIntN(bits, value) === value ? value : invalid;
}

/** Hexadecimal, octal and binary forms and underscores are read since version 16. */
function unusualInteger(text: string): Unreadable {
  return /\d/.test(text) && /[_xob]/i.test(text) ? needsServer : invalid;
}
