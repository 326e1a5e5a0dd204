import { ClusterError } from '../../base/errors.ts';
import { formatFloat4 } from '../../sql/values/float4-text.ts';
import { formatFloat8 } from '../../sql/values/float8-text.ts';
import { isoDate } from '../../sql/values/iso-date.ts';
import { isoClock, isoTimestamp } from '../../sql/values/iso-timestamp.ts';
import type { FieldDecoder, FieldValue } from './field-decoder.ts';
import { numericText } from './numeric-text.ts';

/**
 * Reads a binary field as a text that the type's input reads under any settings. A field of a wrong length is read as the empty
 * text: the server refuses the row.
 */
export class BinaryFieldDecoder implements FieldDecoder {
  readonly #read: (field: Buffer) => string;
  readonly #bytes: number | undefined;

  /** `typeOid` is the distribution column's; `unsupportedQuery` for types whose binary form is not read here. */
  constructor(typeOid: number, typeSql: string) {
    const form = forms.get(typeOid);
    if (form === undefined) {
      throw new ClusterError('unsupportedQuery', `cannot COPY in binary format into a table distributed by type ${typeSql}`, {
        detail: 'The distribution column is not read in binary form for this type.',
        hint: 'Use the text or CSV format.',
      });
    }
    this.#read = form.read;
    this.#bytes = form.bytes;
  }

  decode(bytes: Buffer, start: number, end: number): FieldValue {
    if (end < start) return null;
    if (this.#bytes !== undefined && end - start !== this.#bytes) return '';
    return this.#read(bytes.subarray(start, end));
  }
}

interface BinaryForm {
  /** undefined when it varies. */
  readonly bytes: number | undefined;
  readonly read: (field: Buffer) => string;
}

const text: BinaryForm = { bytes: undefined, read: (field) => field.toString() };

/** By OID of the built-in types, which are the same on every server. */
const forms: ReadonlyMap<number, BinaryForm> = new Map<number, BinaryForm>([
  [16, { bytes: 1, read: (field) => (field[0] === 0 ? 'f' : 't') }],
  [17, { bytes: undefined, read: (field) => `\\x${field.toString('hex')}` }],
  [18, { bytes: 1, read: (field) => (field[0] === 0 ? '' : field.toString()) }],
  [19, text],
  [20, { bytes: 8, read: (field) => String(field.readBigInt64BE()) }],
  [21, { bytes: 2, read: (field) => String(field.readInt16BE()) }],
  [23, { bytes: 4, read: (field) => String(field.readInt32BE()) }],
  [25, text],
  [26, { bytes: 4, read: (field) => String(field.readUInt32BE()) }],
  [700, { bytes: 4, read: (field) => formatFloat4(field.readFloatBE()) }],
  [701, { bytes: 8, read: (field) => formatFloat8(field.readDoubleBE()) }],
  [1042, text],
  [1043, text],
  [1082, { bytes: 4, read: (field) => dateText(field.readInt32BE()) }],
  [1083, { bytes: 8, read: (field) => isoClock(Number(field.readBigInt64BE())) }],
  [1114, { bytes: 8, read: (field) => timestampText(field.readBigInt64BE(), '') }],
  [1184, { bytes: 8, read: (field) => timestampText(field.readBigInt64BE(), '+00') }],
  [1700, { bytes: undefined, read: numericText }],
  [2950, { bytes: 16, read: uuidText }],
]);

function dateText(day: number): string {
  if (day === 2 ** 31 - 1) return 'infinity';
  if (day === -(2 ** 31)) return '-infinity';
  const { date, suffix } = isoDate(day);
  return date + suffix;
}

function timestampText(micros: bigint, zone: string): string {
  if (micros === 2n ** 63n - 1n) return 'infinity';
  if (micros === -(2n ** 63n)) return '-infinity';
  return isoTimestamp(micros, zone);
}

function uuidText(field: Buffer): string {
  const hex = field.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
