import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes to write over a file of a data directory. */
export interface Patch {
  /** Relative to the data directory. */
  readonly file: string;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

const controlFile = 'global/pg_control';
const identifierBytes = 8;
// XLogLongPageHeaderData: a header of 20 bytes, padding, then the identifier.
const identifierInWal = 24;

/**
 * What makes a copy of an initialised data directory a system of its own: another system identifier, which the control file and the
 * first page of every WAL segment carry. Empty when the control file is not laid out as known; then the copies stay twins.
 */
export function newIdentity(template: string): Patch[] {
  const control = Uint8Array.from(readFileSync(join(template, controlFile)));
  const checksumOffset = findChecksum(control);
  if (checksumOffset === undefined) return [];
  control.set(randomBytes(identifierBytes / 2)); // The other half is the time of initdb.
  const identifier = control.slice(0, identifierBytes);
  return [
    { file: controlFile, offset: 0, bytes: identifier },
    { file: controlFile, offset: checksumOffset, bytes: uint32(crc32c(control.subarray(0, checksumOffset))) },
    ...walSegments(template).map((file) => ({ file, offset: identifierInWal, bytes: identifier })),
  ];
}

/** The checksum is the last field: it stands where it equals that of all bytes before, at an offset that depends on the version. */
function findChecksum(control: Uint8Array): number | undefined {
  const view = new DataView(control.buffer);
  for (let offset = 200; offset <= 400; offset += 4) {
    if (view.getUint32(offset, true) === crc32c(control.subarray(0, offset))) return offset;
  }
  return undefined;
}

function walSegments(template: string): string[] {
  return readdirSync(join(template, 'pg_wal'))
    .filter((name) => /^[\dA-F]{24}$/.test(name))
    .map((name) => `pg_wal/${name}`);
}

/** CRC-32C (Castagnoli, reflected), bit by bit: the input is a few hundred bytes. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
