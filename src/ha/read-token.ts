import { createHmac, timingSafeEqual } from 'node:crypto';
import { ClusterError } from '../base/errors.ts';
import { nodeId, type NodeId } from '../catalog/ids.ts';
import type { LogPosition } from '../cluster/log-position.ts';

/** What a token stands for. */
export interface ReadToken {
  /** Where each node's log must have been applied. */
  readonly positions: ReadonlyMap<NodeId, LogPosition>;
  /** The version of the catalog by which it was written: an older one may look for rows where they are not any more. */
  readonly catalogVersion: number;
}

const kinds = { plain: 2, signed: 3 } as const;
const signatureBytes = 16;

/**
 * Tokens as short texts of letters, digits, `-` and `_`, fit for a cookie or a header: some ten bytes for each node. With a secret they are signed (HMAC-SHA-256, 128 bits), and others are refused: a client cannot make one up, which could send its
 * reads to primaries for ever, or to an older state than it has seen.
 */
export class ReadTokens {
  readonly #secret: string | undefined;

  constructor(secret?: string) {
    this.#secret = secret;
  }

  format({ positions, catalogVersion }: ReadToken): string {
    const entries = [...positions].toSorted(([a], [b]) => a - b);
    const numbers = [BigInt(catalogVersion), ...entries.flatMap(([node, { timeline, lsn }]) => [BigInt(node), BigInt(timeline), lsn])];
    const body = Buffer.from([this.#secret === undefined ? kinds.plain : kinds.signed, ...numbers.flatMap(bytesOf)]);
    return Buffer.concat(this.#secret === undefined ? [body] : [body, signature(this.#secret, body)]).toString('base64url');
  }

  /** `invalidParameter` for what `format` has not made, with the same secret. */
  parse(text: string): ReadToken {
    const body = this.#verified(Buffer.from(text, 'base64url'), text);
    const numbers = numbersOf(body.subarray(1));
    if (numbers === undefined || numbers.length % 3 !== 1) throw noToken(text);
    const [catalogVersion = 0n, ...rest] = numbers;
    const positions = new Map<NodeId, LogPosition>();
    for (let i = 0; i < rest.length; i += 3) {
      const [node = 0n, timeline = 0n, lsn = 0n] = rest.slice(i, i + 3);
      positions.set(nodeId(Number(node)), { timeline: Number(timeline), lsn });
    }
    return { positions, catalogVersion: Number(catalogVersion) };
  }

  #verified(bytes: Buffer, text: string): Buffer {
    if (bytes.toString('base64url') !== text) throw noToken(text);
    if (this.#secret === undefined) {
      if (bytes[0] === kinds.signed) throw noToken(text, 'It is signed, and there is no readTokenSecret to check it by.');
      if (bytes[0] !== kinds.plain) throw noToken(text);
      return bytes;
    }
    const body = bytes.subarray(0, Math.max(0, bytes.length - signatureBytes));
    if (body[0] !== kinds.signed || !timingSafeEqual(signature(this.#secret, body), bytes.subarray(body.length))) {
      throw noToken(text, 'It is not signed with the readTokenSecret of this cluster object.');
    }
    return body;
  }
}

function signature(secret: string, body: Buffer): Buffer {
  return createHmac('sha256', secret).update('shardwright read token').update(body).digest().subarray(0, signatureBytes);
}

/** Seven bits a byte, the lowest first; the highest bit says that more follow. */
function bytesOf(value: bigint): number[] {
  const low = Number(value & 0x7fn);
  return value < 0x80n ? [low] : [low | 0x80, ...bytesOf(value >> 7n)];
}

/** Undefined when the last one has no end, or one is larger than 64 bits. */
function numbersOf(bytes: Buffer): bigint[] | undefined {
  const numbers: bigint[] = [];
  let shift = 0n;
  let value = 0n;
  for (const byte of bytes) {
    value |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (value >= 1n << 64n || shift > 70n) return undefined;
    if (byte >= 0x80) continue;
    numbers.push(value);
    shift = 0n;
    value = 0n;
  }
  return shift === 0n ? numbers : undefined;
}

function noToken(text: string, detail = `It is "${text.slice(0, 100)}".`): ClusterError {
  return new ClusterError('invalidParameter', 'this is no read token of this cluster', { detail, hint: 'Take the readToken of a result, of a client, or of cluster.readToken(), as it is.' });
}
