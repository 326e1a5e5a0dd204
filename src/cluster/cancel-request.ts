import { Connection } from 'pg';

/** What identifies a running backend to its server. */
export interface CancelTarget {
  readonly host: string;
  readonly port: number;
  readonly ssl: unknown;
  readonly sslNegotiation?: string;
  readonly processID: number;
  readonly secretKey: number;
}

/** What this file uses of pg's Connection beyond its documented interface. */
interface CancelConnection {
  readonly stream: { destroy(error?: Error): void };
  connect(portOrPath: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: number): void;
  on(event: 'connect' | 'sslconnect' | 'end', listener: () => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
}

const PgConnection = Connection as unknown as new (config: object) => CancelConnection;

/**
 * Asks the server to cancel what the backend is running, over a connection of its own (with TLS if the other has it).
 * Resolves when the server has closed that connection: it has passed the request on by then, so no later statement can be hit.
 * Rejects when the server cannot be reached in time.
 */
export function sendCancelRequest(target: CancelTarget, timeoutMs: number): Promise<void> {
  const { host, port, ssl, sslNegotiation, processID, secretKey } = target;
  return new Promise((resolve, reject) => {
    const connection = new PgConnection({ ssl, sslNegotiation });
    let sent = false;
    let failure: Error | undefined;
    const timer = setTimeout(() => connection.stream.destroy(new Error('timeout expired')), timeoutMs);
    const send = (): void => {
      sent = true;
      connection.cancel(processID, secretKey);
    };
    connection.on('connect', () => {
      if (ssl === false) send();
      else if (sslNegotiation !== 'direct') connection.requestSsl();
    });
    connection.on('sslconnect', send);
    connection.on('error', (error) => (failure ??= error));
    connection.on('end', () => {
      clearTimeout(timer);
      // A reset after the request was sent is how some servers close.
      if (sent && failure?.message !== 'timeout expired') resolve();
      else reject(failure ?? new Error('the server closed the connection'));
    });
    if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`);
    else connection.connect(port, host);
  });
}
