import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

interface FakeServer {
  readonly host: string;
  readonly port: number;
}

export interface FakePatroniOptions<Server> {
  /** They are called `member-0`, `member-1`, … */
  readonly servers: readonly Server[];
  readonly isLeader: (server: Server) => boolean;
  /** Called for `POST /switchover`, which is refused with what it throws. */
  readonly promote: () => Promise<void>;
}

export interface FakePatroni extends AsyncDisposable {
  readonly url: string;
  /** Bodies of `POST /switchover`. */
  readonly asked: readonly unknown[];
}

/** What Patroni's REST interface says, for a name and a password. */
export async function startFakePatroni<Server extends FakeServer>({ servers, isLeader, promote }: FakePatroniOptions<Server>): Promise<FakePatroni> {
  const asked: unknown[] = [];
  const answer = async (request: IncomingMessage): Promise<[status: number, text: string]> => {
    if (request.headers.authorization !== `Basic ${Buffer.from('user:pass@word').toString('base64')}`) return [401, 'no auth header received'];
    if (request.url === '/cluster') return [200, JSON.stringify({ members: servers.map((server, i) => ({ name: `member-${i}`, host: server.host, port: server.port, role: isLeader(server) ? 'leader' : 'sync_standby' })) })];
    if (request.url !== '/switchover' || request.method !== 'POST') return [404, ''];
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    asked.push(JSON.parse(Buffer.concat(chunks).toString()));
    return promote().then(() => [200, 'Successfully switched over'], (error: unknown) => [412, error instanceof Error ? error.message : String(error)]);
  };
  const http = createServer((request, response) => void answer(request).then(([status, text]) => response.writeHead(status).end(text))).listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    url: `http://user:pass%40word@127.0.0.1:${(http.address() as AddressInfo).port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
}
