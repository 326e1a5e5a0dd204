import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Between a client and a server; what the server answers can be held back for ever, as a network does that breaks in one direction first. */
export interface MutingProxy extends AsyncDisposable {
  readonly port: number;
  /** What the client says waits here from now on. */
  hold(): void;
  letGo(): void;
  /** Nothing that the server says from now on arrives. What it has said before does. */
  mute(): Promise<void>;
  /** Ends all connections. Those made later work again. */
  cut(): void;
  /** Resolves when the client has said that, which does not arrive: all connections are ended then, and new ones, until `open`. */
  closeAt(text: string): Promise<void>;
  open(): void;
}

/** `listen`: a free port of 127.0.0.1 by default. */
export async function startMutingProxy(target: { readonly host: string; readonly port: number }, listen: { readonly host: string; readonly port: number } = { host: '127.0.0.1', port: 0 }): Promise<MutingProxy> {
  const sockets = new Set<Socket>();
  let muted = false;
  const held: (() => void)[] = [];
  let holds = false;
  let closing: { readonly text: string; readonly close: () => void } | undefined;
  let closed = false;
  const server = createServer((client) => {
    if (closed) {
      client.destroy();
      return;
    }
    const upstream = connect(target.port, target.host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    client.on('data', (bytes) => {
      if (closing === undefined || !bytes.includes(closing.text)) return;
      closing.close();
      closing = undefined;
    });
    client.on('data', (bytes) => (holds ? held.push(() => upstream.write(bytes)) : upstream.write(bytes))).on('close', () => upstream.destroy());
    upstream.on('data', (bytes) => muted || client.write(bytes)).on('close', () => muted || client.destroy());
  }).listen(listen.port, listen.host);
  await once(server, 'listening');
  const cut = (): void => {
    muted = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    hold: () => (holds = true),
    letGo: () => {
      holds = false;
      for (const send of held.splice(0)) send();
    },
    mute: async () => {
      // What is there is read within a turn of the event loop.
      for (let turns = 0; turns < 2; turns += 1) await new Promise((resolve) => setImmediate(resolve));
      muted = true;
    },
    cut,
    closeAt: (text) => new Promise((resolve) => {
      closing = { text, close: () => {
        closed = true;
        cut();
        resolve();
      } };
    }),
    open: () => (closed = false),
    [Symbol.asyncDispose]: async () => {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
