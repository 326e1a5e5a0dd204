import { Client } from 'pg';
import { startPostgres, volatileSettings } from '../../src/embedded.ts';
import type { PostgresMajor, PostgresServer } from '../../src/embedded.ts';
import type { EmptyDatabase, Places } from '../oracle/load-pair.ts';

export interface StartedPlaces extends AsyncDisposable {
  readonly places: Places;
}

/** A server for the plain database and the coordinator's, and one for each node; all end on dispose and with the process. */
export async function startPlaces(major: PostgresMajor, nodes: number): Promise<StartedPlaces> {
  const settings = { ...volatileSettings, max_connections: '300', shared_buffers: '48MB' };
  const servers = await Promise.all(Array.from({ length: 1 + nodes }, () => startPostgres({ major, settings })));
  const [first, ...others] = servers;
  if (first === undefined) throw new Error('no server was started');
  const places = {
    plain: await createDatabase(first, 'plain'),
    coordinator: await createDatabase(first, 'coordinator'),
    nodes: await Promise.all(others.map((server) => createDatabase(server, 'node'))),
  };
  return { places, [Symbol.asyncDispose]: () => stopAll(servers) };
}

async function stopAll(servers: readonly PostgresServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop('immediate')));
}

async function createDatabase(server: PostgresServer, database: string): Promise<EmptyDatabase> {
  const client = new Client({ connectionString: server.connectionString });
  await client.connect();
  await client.query(`CREATE DATABASE ${database}`);
  await client.end();
  const url = new URL(server.connectionString);
  url.pathname = `/${database}`;
  return { host: server.host, port: server.port, database, connectionString: url.href };
}
