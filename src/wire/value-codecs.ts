import { formatFloat4 } from '../sql/values/float4-text.ts';
import { formatFloat8 } from '../sql/values/float8-text.ts';
import { utf8 } from './message-body.ts';
import { protocolViolation } from './protocol-error.ts';

/** Between a type's text and its binary format, where both say exactly the same. Other types are converted by a PostgreSQL. */
export interface ValueCodec {
  decode(bytes: Buffer): string;
  encode(text: string): Uint8Array;
}

export function codecOf(typeOid: number): ValueCodec | undefined {
  return codecs.get(typeOid);
}

/** More bytes than the type has. */
export class IncorrectBinaryData extends Error {}

function sized(bytes: Buffer, length: number): Buffer {
  if (bytes.length < length) throw protocolViolation('insufficient data left in message');
  if (bytes.length > length) throw new IncorrectBinaryData();
  return bytes;
}

function written(length: number, write: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  write(bytes);
  return bytes;
}

const int2: ValueCodec = { decode: (bytes) => String(sized(bytes, 2).readInt16BE()), encode: (text) => written(2, (bytes) => bytes.writeInt16BE(Number(text))) };
const int4: ValueCodec = { decode: (bytes) => String(sized(bytes, 4).readInt32BE()), encode: (text) => written(4, (bytes) => bytes.writeInt32BE(Number(text))) };
const int8: ValueCodec = { decode: (bytes) => String(sized(bytes, 8).readBigInt64BE()), encode: (text) => written(8, (bytes) => bytes.writeBigInt64BE(BigInt(text))) };
const oid: ValueCodec = { decode: (bytes) => String(sized(bytes, 4).readUInt32BE()), encode: (text) => written(4, (bytes) => bytes.writeUInt32BE(Number(text))) };
const bool: ValueCodec = { decode: (bytes) => (sized(bytes, 1)[0] === 0 ? 'f' : 't'), encode: (text) => Uint8Array.of(text === 't' ? 1 : 0) };
const text: ValueCodec = { decode: (bytes) => utf8(bytes), encode: (value) => Buffer.from(value) };
const float4: ValueCodec = { decode: (bytes) => formatFloat4(sized(bytes, 4).readFloatBE()), encode: (value) => written(4, (bytes) => bytes.writeFloatBE(numberOf(value))) };
const float8: ValueCodec = { decode: (bytes) => formatFloat8(sized(bytes, 8).readDoubleBE()), encode: (value) => written(8, (bytes) => bytes.writeDoubleBE(numberOf(value))) };
const bytea: ValueCodec = { decode: (bytes) => `\\x${bytes.toString('hex')}`, encode: (value) => Buffer.from(value.slice(2), 'hex') };
const uuid: ValueCodec = {
  decode: (bytes) => sized(bytes, 16).toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
  encode: (value) => Buffer.from(value.replaceAll('-', ''), 'hex'),
};
const jsonb: ValueCodec = {
  decode: (bytes) => {
    if (bytes[0] !== 1) throw protocolViolation(`unsupported jsonb version number ${bytes[0] ?? 0}`, { sqlState: 'XX000' });
    return utf8(bytes.subarray(1));
  },
  encode: (value) => Buffer.concat([Uint8Array.of(1), Buffer.from(value)]),
};

function numberOf(value: string): number {
  return value === 'NaN' ? Number.NaN : value === 'Infinity' ? Infinity : value === '-Infinity' ? -Infinity : Number(value);
}

/** By OID; texts are as the default settings of `bytea_output` and `extra_float_digits` give them. */
const codecs: ReadonlyMap<number, ValueCodec> = new Map([
  [16, bool], [17, bytea], [19, text], [20, int8], [21, int2], [23, int4], [25, text], [26, oid], [28, oid], [29, oid], [114, text], [142, text], [700, float4], [701, float8], [705, text], [1042, text], [1043, text], [2950, uuid], [3802, jsonb],
]);
