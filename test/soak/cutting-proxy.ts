import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

/** A TCP proxy in front of a server, whose connections can be reset in the middle of anything. */
export interface CuttingProxy {
  readonly port: number;
  /** The connection over which the so manieth message from now comes, either way, is reset, and the message lost. */
  cutAfter(messages: number): void;
  /** No more of what `cutAfter` asked for. */
  heal(): void;
  close(): Promise<void>;
}

/** A message is what one read of a socket gives: mostly one of the protocol, or several that were sent together. */
export async function startCuttingProxy(target: { readonly host: string; readonly port: number }): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  let left = Infinity;
  const server: Server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ ...target, noDelay: true });
    const cut = (): void => {
      for (const socket of [client, upstream]) reset(socket);
    };
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(from);
      from.on('data', (bytes) => {
        left -= 1;
        if (left > 0) {
          if (!to.write(bytes)) from.pause();
          return;
        }
        left = Infinity;
        cut();
      });
      from.on('drain', () => to.resume());
      from.on('error', cut);
      from.on('end', () => to.end());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cutAfter: (messages) => (left = messages),
    heal: () => (left = Infinity),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A socket that has said its end already cannot be reset: Node 20 would then wait for ever when the process ends. */
function reset(socket: Socket): void {
  if (socket.writableEnded || socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}
