import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { nodeId } from '../../src/catalog/ids.ts';
import { ReplicatedConnections } from '../../src/ha/replicated-connections.ts';

const waitersMax = 40;

/** A server that takes connections and says nothing, as one whose packets are dropped, or ends them at once. */
async function startOddServer(what: 'silent' | 'ending'): Promise<AsyncDisposable & { readonly port: number; readonly tries: { made: number; atOnce: number } }> {
  const open = new Set<Socket>();
  const tries = { made: 0, atOnce: 0 };
  const server = createServer((socket) => {
    open.add(socket);
    tries.made += 1;
    tries.atOnce = Math.max(tries.atOnce, open.size);
    socket.resume().on('error', () => undefined).on('close', () => open.delete(socket));
    if (what === 'ending') socket.destroy();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    for (const socket of open) socket.destroy();
    server.close();
    await once(server, 'close');
  };
  return { port: (server.address() as AddressInfo).port, tries, [Symbol.asyncDispose]: close };
}

test.each(['silent', 'ending'] as const)('while the only server is %s so many statements wait and no more, and one connection at a time is tried for all of them', async (what) => {
  await using server = await startOddServer(what);
  const client = { host: '127.0.0.1', port: server.port, database: 'postgres', user: 'postgres' };
  const connections = new ReplicatedConnections({ id: nodeId(1), name: 'odd', config: { client } }, { hosts: [{ host: client.host, port: client.port }] }, { failoverTimeoutMs: 3_000, waitersMax });
  const queries = Array.from({ length: waitersMax }, () => connections.query({ text: 'SELECT 1' }).catch((error: unknown) => error));
  await expect(connections.query({ text: 'SELECT 1' })).rejects.toMatchObject({ id: 'poolTimeout', message: `more than ${waitersMax} calls wait for a primary of node odd` });
  for (const error of await Promise.all(queries)) expect(error).toMatchObject({ id: 'nodeUnreachable', message: 'no server of node odd takes writes' });
  await connections.end();
  expect(server.tries.atOnce).toBe(1);
  expect(server.tries.made).toBeGreaterThan(0);
  // Of the probe, ever more rarely: not of each statement.
  expect(server.tries.made).toBeLessThan(waitersMax);
});
