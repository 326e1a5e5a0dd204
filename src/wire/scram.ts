import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';
import { ClusterError } from '../base/errors.ts';
import { protocolViolation } from './protocol-error.ts';

/** What a server stores of a password (RFC 5802): enough to check one, not to know it. */
export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** As in `pg_authid.rolpassword`; undefined for what is none, such as an md5 hash. */
export function parseVerifier(text: string): ScramVerifier | undefined {
  const parts = /^SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/.exec(text);
  if (parts === null) return undefined;
  const [, iterations = '', salt = '', storedKey = '', serverKey = ''] = parts;
  return { iterations: Number(iterations), salt: Buffer.from(salt, 'base64'), storedKey: Buffer.from(storedKey, 'base64'), serverKey: Buffer.from(serverKey, 'base64') };
}

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

  constructor(
    private readonly verifier: ScramVerifier,
    private readonly mechanism: string,
    private readonly binding: ChannelBinding | undefined,
  ) {}

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

/** What would be stored for a password, for tests and for roles whose verifier cannot be read. */
export function verifierOf(password: string, { salt, iterations }: { readonly salt: Buffer; readonly iterations: number }): ScramVerifier {
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, iterations, 32, 'sha256');
  const clientKey = hmac(salted, 'Client Key');
  return { iterations, salt, storedKey: createHash('sha256').update(clientKey).digest(), serverKey: hmac(salted, 'Server Key') };
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function malformed(detail?: string): ClusterError {
  return protocolViolation('malformed SCRAM message', { detail });
}
