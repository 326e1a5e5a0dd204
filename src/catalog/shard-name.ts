import { assert } from '../base/assert.ts';
import { clipUtf8 } from './clip-utf8.ts';
import { hashUtf8 } from './hash/hash-bytes.ts';
import type { ShardId } from './ids.ts';

/** PostgreSQL's NAMEDATALEN less the terminator. */
export const nameBytesMax = 63;

/**
 * The name of a table's, index' or constraint's counterpart on a shard: `orders_102008`. What would be longer than a name can be is cut at
 * a character and told apart by a hash of the whole name: `<prefix>_<8 hexadecimal digits>_102008`, the same name that Citus gives.
 * Takes names of at most 63 bytes, as every name is.
 */
export function shardName(base: string, id: ShardId): string {
  const suffix = `_${id}`;
  const bytes = Buffer.byteLength(base);
  assert(bytes <= nameBytesMax, `"${base}" is longer than a name can be`);
  if (bytes + suffix.length <= nameBytesMax) return base + suffix;
  const hash = (hashUtf8(base) >>> 0).toString(16).padStart(8, '0');
  return `${clipUtf8(base, nameBytesMax + 1 - suffix.length - 10)}_${hash}${suffix}`;
}
