import { Client } from 'pg';
import { startPostgres, volatileSettings } from '../../src/embedded.ts';
import type { PostgresServer } from '../../src/embedded.ts';
import { Cluster } from '../../src/index.ts';
import { serve } from '../../src/wire.ts';
import type { Place } from './run-psql.ts';

/** Where scripts can be run; it ends on dispose. */
export interface Answering extends AsyncDisposable {
  readonly place: Place;
}

const database = 'regression';
/** As PostgreSQL's own runner has it. */
const databaseSettings = ["lc_messages TO 'C'", "lc_monetary TO 'C'", "lc_numeric TO 'C'", "lc_time TO 'C'", "bytea_output TO 'hex'", "timezone_abbreviations TO 'Default'"];
const settings = { ...volatileSettings, autovacuum: 'off', max_prepared_transactions: '200' };
const major = 15;

/** One PostgreSQL. `isShifted`: its counters have gone on, so that OIDs and numbers of transactions are others. */
export async function startPlain({ isShifted }: { readonly isShifted: boolean }): Promise<Answering> {
  const server = await startServer();
  if (isShifted) await onServer(server, database, Array.from({ length: 70 }, (_, i) => [`CREATE TABLE shift_${i} (a serial PRIMARY KEY, b text UNIQUE)`, `DROP TABLE shift_${i}`]).flat());
  return { place: { host: server.host, port: server.port, user: server.user, database }, [Symbol.asyncDispose]: () => server.stop('immediate') };
}

/** A cluster of three nodes behind a wire server. */
export async function startServed(): Promise<Answering> {
  const servers = await Promise.all(Array.from({ length: 4 }, startServer));
  const [coordinator, ...nodes] = servers as [PostgresServer, ...PostgresServer[]];
  const cluster = new Cluster({ connectionString: `postgresql://postgres@127.0.0.1:${coordinator.port}/${database}` });
  for (const { port } of nodes) await cluster.addNode({ host: '127.0.0.1', port, database });
  const wire = await serve(cluster, { port: 0, authentication: 'trust' });
  return {
    place: { host: wire.host, port: wire.port, user: 'postgres', database },
    [Symbol.asyncDispose]: async () => {
      await wire.close();
      await cluster.end();
      await Promise.all(servers.map((server) => server.stop('immediate')));
    },
  };
}

async function startServer(): Promise<PostgresServer> {
  const server = await startPostgres({ major, settings });
  await onServer(server, 'postgres', [`CREATE DATABASE ${database} TEMPLATE template0`, ...databaseSettings.map((setting) => `ALTER DATABASE ${database} SET ${setting}`)]);
  return server;
}

async function onServer({ port, user }: PostgresServer, name: string, texts: readonly string[]): Promise<void> {
  const client = new Client({ host: '127.0.0.1', port, user, database: name });
  await client.connect();
  for (const text of texts) await client.query(text);
  await client.end();
}
