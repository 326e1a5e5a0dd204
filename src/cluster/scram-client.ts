import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { ClusterError } from '../base/errors.ts';
import { hmac } from './scram-verifier.ts';

/** What stands for a password in SCRAM-SHA-256, with servers whose verifier has this salt and this number of iterations. */
export interface ScramKeys {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly clientKey: Buffer;
  readonly serverKey: Buffer;
}

/** The client's side of one exchange, by keys instead of a password: to pass on what another client has proved. Source: RFC 5802, 7677. */
export class ScramClient {
  readonly mechanism = 'SCRAM-SHA-256';
  readonly #nonce: string = randomBytes(18).toString('base64');
  #signature: Buffer = Buffer.alloc(0);

  constructor(
    private readonly user: string,
    private readonly keys: ScramKeys,
  ) {}

  first(): string {
    return `n,,${this.#bare}`;
  }

  /** Answers the server's first message. Throws `invalidParameter` with 28P01 where the server has another verifier of the role, by which the keys are of no use. */
  final(message: string): string {
    const [, nonce = '', salt = '', iterations = ''] = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=(\d+)(?:,.*)?$/.exec(message) ?? [];
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) throw this.#refused('The server\'s message is malformed.');
    if (salt !== this.keys.salt.toString('base64') || Number(iterations) !== this.keys.iterations) throw this.#refused('The server has stored the password with another salt than the coordinator database.');
    const last = `c=biws,r=${nonce}`;
    const auth = `${this.#bare},${message},${last}`;
    const signature = hmac(createHash('sha256').update(this.keys.clientKey).digest(), auth);
    this.#signature = hmac(this.keys.serverKey, auth);
    return `${last},p=${Buffer.from(this.keys.clientKey.map((byte, i) => byte ^ (signature[i] ?? 0))).toString('base64')}`;
  }

  /** Whether the server knows the verifier, too. */
  check(message: string): void {
    const given = Buffer.from(/^v=([A-Za-z0-9+/=]+)/.exec(message)?.[1] ?? '', 'base64');
    if (given.length !== this.#signature.length || !timingSafeEqual(given, this.#signature)) throw this.#refused('The server\'s signature is wrong.');
  }

  get #bare(): string {
    return `n=*,r=${this.#nonce}`;
  }

  #refused(detail: string): ClusterError {
    return new ClusterError('invalidParameter', `could not log in as "${this.user}"`, {
      sqlState: '28P01', detail, hint: `ALTER ROLE … PASSWORD, through the cluster, stores the same on every server.`,
    });
  }
}
