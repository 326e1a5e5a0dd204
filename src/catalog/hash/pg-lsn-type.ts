import { hashInt64 } from './hash-int64.ts';
import { callSql, invalid, type TypeRules } from './type-rules.ts';

export const pgLsnRules: TypeRules<bigint> = {
  name: 'pg_lsn',
  hashSql: callSql('pg_lsn_hash'),
  parse(text) {
    const [, high, low] = /^([0-9a-f]{1,8})\/([0-9a-f]{1,8})$/i.exec(text) ?? [];
    return high === undefined || low === undefined ? invalid : (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
  },
  print: (lsn) => `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase(),
  hash: hashInt64,
};
