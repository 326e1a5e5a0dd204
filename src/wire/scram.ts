import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { ClusterError } from '../base/errors.ts';
import type { ScramKeys } from '../cluster/scram-client.ts';
import { hmac, type ScramVerifier } from '../cluster/scram-verifier.ts';
import { protocolViolation } from './protocol-error.ts';

/**
 * For a role that does not exist or has no such password: the exchange runs and fails as with a wrong password, so that nobody learns which. Always the same for a role, as a real salt would be; `secret` is the
 * server's own.
 */
export function mockVerifier(role: string, secret: Buffer): ScramVerifier {
  const salt = createHmac('sha256', secret).update(role).digest().subarray(0, 16);
  return { iterations: 4096, salt, storedKey: randomBytes(32), serverKey: randomBytes(32) };
}

/** How the client's side of the TLS connection is bound to the exchange. */
export interface ChannelBinding {
  /** `tls-server-end-point`: the hash of the server's certificate. */
  readonly data: Buffer;
}

export const plainMechanism = 'SCRAM-SHA-256';
export const boundMechanism = 'SCRAM-SHA-256-PLUS';

/** The server's side of one SCRAM-SHA-256 exchange, in two steps. Source: RFC 5802, 7677. */
export class ScramServer {
  #authMessage = '';
  #nonce = '';
  #gs2Header = '';
  #keys: ScramKeys | undefined;

  constructor(
    private readonly verifier: ScramVerifier,
    private readonly mechanism: string,
    private readonly binding: ChannelBinding | undefined,
  ) {}

  /** What the client has proved to know: with it this server can log in where the same verifier is stored. Undefined before. */
  get keys(): ScramKeys | undefined {
    return this.#keys;
  }

  /** The client's first message; returns the server's. */
  first(message: string): string {
    const parts = /^(?:(p)=([^,]*)|([ny])),(?:a=([^,]*))?,(.*)$/s.exec(message);
    if (parts === null) throw malformed();
    const [, p, type, flag, , bare = ''] = parts;
    this.#checkBinding(p === undefined ? flag : 'p', type);
    const client = /^n=([^,]*),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?$/s.exec(bare);
    if (client === null) throw malformed();
    this.#gs2Header = message.slice(0, message.length - bare.length);
    this.#nonce = `${client[2] ?? ''}${randomBytes(18).toString('base64')}`;
    const answer = `r=${this.#nonce},s=${this.verifier.salt.toString('base64')},i=${this.verifier.iterations}`;
    this.#authMessage = `${bare},${answer}`;
    return answer;
  }

  /** The client's last message; returns the server's, or undefined when the password is wrong. */
  final(message: string): string | undefined {
    const parts = /^c=([A-Za-z0-9+/=]*),r=([^,]*)(?:,.*)?,p=([A-Za-z0-9+/=]+)$/s.exec(message);
    if (parts === null) throw malformed();
    const [, channel = '', nonce = '', proof = ''] = parts;
    const expected = Buffer.concat([Buffer.from(this.#gs2Header), ...(this.#gs2Header.startsWith('p') && this.binding !== undefined ? [this.binding.data] : [])]).toString('base64');
    if (channel !== expected) throw new ClusterError('invalidParameter', 'SCRAM channel binding check failed', { sqlState: '28000' });
    if (nonce !== this.#nonce) throw protocolViolation('invalid SCRAM response', { detail: 'Nonce does not match.' });
    const auth = `${this.#authMessage},${message.slice(0, message.lastIndexOf(',p='))}`;
    const signature = hmac(this.verifier.storedKey, auth);
    const given = Buffer.from(proof, 'base64');
    if (given.length !== signature.length) throw malformed();
    const clientKey = Buffer.from(given.map((byte, i) => byte ^ (signature[i] ?? 0)));
    if (!timingSafeEqual(createHash('sha256').update(clientKey).digest(), this.verifier.storedKey)) return undefined;
    this.#keys = { salt: this.verifier.salt, iterations: this.verifier.iterations, clientKey, serverKey: this.verifier.serverKey };
    return `v=${hmac(this.verifier.serverKey, auth).toString('base64')}`;
  }

  #checkBinding(flag: string | undefined, type: string | undefined): void {
    if (this.mechanism === boundMechanism && flag !== 'p') throw malformed('The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.');
    if (flag === 'p' && (this.mechanism !== boundMechanism || this.binding === undefined)) throw malformed('The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.');
    if (flag === 'p' && type !== 'tls-server-end-point') throw new ClusterError('invalidParameter', `unsupported SCRAM channel-binding type "${type ?? ''}"`, { sqlState: '08P01' });
    if (flag === 'y' && this.binding !== undefined) {
      throw new ClusterError('invalidParameter', 'SCRAM channel binding negotiation error', {
        sqlState: '28000', detail: 'The client supports SCRAM channel binding but thinks the server does not. However, this server does support channel binding.',
      });
    }
  }
}

function malformed(detail?: string): ClusterError {
  return protocolViolation('malformed SCRAM message', { detail });
}
