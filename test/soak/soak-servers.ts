import { at } from '../../src/base/assert.ts';
import { startPostgres, volatileSettings } from '../../src/embedded.ts';
import type { PostgresMajor, PostgresServer } from '../../src/embedded.ts';
import { Cluster } from '../../src/index.ts';
import { type CuttingProxy, startCuttingProxy } from './cutting-proxy.ts';

export interface SoakServers extends AsyncDisposable {
  /** The coordinator database's first. */
  readonly servers: readonly PostgresServer[];
  /** One before each server: nobody but this module connects past them. */
  readonly proxies: readonly CuttingProxy[];
  /** Of the coordinator database, by its proxy. */
  readonly connectionString: string;
}

/** A cluster of its own servers, each behind a proxy. They end on dispose and with the process. */
export async function startSoakServers({ major, nodes }: { readonly major: PostgresMajor; readonly nodes: number }): Promise<SoakServers> {
  const settings = { ...volatileSettings, shared_buffers: '32MB', max_connections: '200' };
  const servers = await Promise.all(Array.from({ length: 1 + nodes }, () => startPostgres({ major, settings })));
  const proxies = await Promise.all(servers.map(startCuttingProxy));
  const started = {
    servers, proxies,
    connectionString: `postgresql://postgres@127.0.0.1:${at(proxies, 0).port}/postgres`,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(proxies.map((proxy) => proxy.close()));
      await Promise.all(servers.map((server) => server.stop('immediate')));
    },
  };
  const cluster = new Cluster({ connectionString: started.connectionString });
  for (const { port } of proxies.slice(1)) await cluster.addNode({ host: '127.0.0.1', port, database: 'postgres' });
  await cluster.end();
  return started;
}
