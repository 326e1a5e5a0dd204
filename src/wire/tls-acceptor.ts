import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { Fatal } from './fatal.ts';
import type { WireOptions } from './wire-options.ts';

/** The protocol's name in TLS, by which clients that begin with it say what they speak. */
const protocolName = 'postgresql';

/** The first byte of TLS: a record of its handshake. */
export const firstOfTls = 0x16;

/**
 * Begins TLS over sockets that are open already. Certificates of clients are asked for where they are who the client is, and looked at then (`TLSSocket.authorized`); else as `tls` says, and those that nobody known has signed
 * are refused. Node checks them in a `tls.Server` alone, to which the sockets are therefore given; it listens to none.
 */
export class TlsAcceptor {
  readonly #server: Server;
  /** By the client's address, which is that of the socket over TLS as well. */
  readonly #waiting = new Map<string, (socket: TLSSocket) => void>();

  constructor({ tls, authentication }: Pick<WireOptions, 'authentication'> & { readonly tls: NonNullable<WireOptions['tls']> }) {
    const namesClients = authentication === 'certificate';
    this.#server = createServer({ ...tls, requestCert: namesClients || tls.requestCert === true, rejectUnauthorized: !namesClients && tls.requestCert === true && tls.rejectUnauthorized !== false, ALPNProtocols: [protocolName] });
    this.#server.on('secureConnection', (socket) => this.#waiting.get(addressOf(socket))?.(socket));
  }

  /** Resolves once both sides agree. Nobody may listen to the socket any more; what was read of it and not taken is put back by the caller. Throws `Fatal` 08P01. */
  accept(raw: Socket): Promise<TLSSocket> {
    const address = addressOf(raw);
    return new Promise<TLSSocket>((resolve, reject) => {
      raw.once('close', () => reject(new Fatal('08P01', 'could not accept SSL connection')));
      this.#waiting.set(address, resolve);
      this.#server.emit('connection', raw);
    }).finally(() => this.#waiting.delete(address));
  }
}

/** Whether a client that began with TLS has said that it speaks this protocol, so that nobody has it speak it who meant another. */
export function speaksPostgres({ alpnProtocol }: TLSSocket): boolean {
  return alpnProtocol === protocolName;
}

function addressOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
