import { createHash, X509Certificate } from 'node:crypto';
import type { ChannelBinding } from './scram.ts';

/** Hashes by the object identifier of a certificate's signature, where that is not SHA-256's or a weaker one's (RFC 5929). */
const strongHashes: readonly (readonly [identifier: string, hash: string])[] = [
  ['2a864886f70d01010c', 'sha384'], ['2a8648ce3d040303', 'sha384'], ['2a864886f70d01010d', 'sha512'], ['2a8648ce3d040304', 'sha512'],
];

/** `tls-server-end-point`: the hash of the server's certificate, by the hash that its signature uses. */
export function endPointBinding(certificate: string | Buffer): ChannelBinding {
  const { raw } = new X509Certificate(certificate);
  const hex = raw.toString('hex');
  const hash = strongHashes.find(([identifier]) => hex.includes(identifier))?.[1] ?? 'sha256';
  return { data: createHash(hash).update(raw).digest() };
}
