import { Client } from 'pg';
import { at } from '../../src/base/assert.ts';
import { nodeId } from '../../src/catalog/ids.ts';
import { createNodePools, type NodePools } from '../../src/cluster/node-pools.ts';
import { volatileSettings } from '../../src/embedded/default-settings.ts';
import { type PostgresServer, startPostgres } from '../../src/embedded/postgres-server.ts';
import { nodeSchemaSql } from '../../src/store/node-schema.ts';

/** Servers that may be killed: a coordinator database's (node 0) and nodes', each with the metadata and a table `t (cell text)`. */
export interface FaultServers extends AsyncDisposable {
  readonly servers: readonly PostgresServer[];
  readonly connectionStrings: readonly string[];
  /** Which of them have a row of the cell, in order: `0,1`. */
  nodesWith(cell: string): Promise<string>;
  /** Prepared transactions, advisory locks, and what processes of the name are connected by, of all servers. */
  remains(applicationName: string): Promise<string[]>;
  run(node: number, sql: string): Promise<(string | null)[]>;
}

export async function startFaultServers(count: number): Promise<FaultServers> {
  const servers = await Promise.all(Array.from({ length: count }, () => startPostgres({ settings: volatileSettings })));
  const run = async (node: number, sql: string): Promise<(string | null)[]> => {
    // A connection of its own each time, since servers die.
    const client = new Client(at(servers, node).connectionString);
    await client.connect();
    try {
      const results = [await client.query<(string | null)[]>({ text: sql, rowMode: 'array' })].flat();
      return (results.at(-1)?.rows ?? []).map(([value]) => value ?? null);
    } finally {
      await client.end();
    }
  };
  const onEach = (sql: string): Promise<(string | null)[][]> => Promise.all(servers.map((_, node) => run(node, sql)));
  await onEach(`${nodeSchemaSql} CREATE TABLE t (cell text)`);
  return {
    servers,
    connectionStrings: servers.map(({ connectionString }) => connectionString),
    nodesWith: async (cell) => (await onEach(`SELECT cell FROM t WHERE cell = '${cell}'`)).flatMap((rows, node) => rows.map(() => node)).join(),
    remains: async (applicationName) => {
      const found = await onEach(`
        SELECT 'prepared ' || gid FROM pg_prepared_xacts
        UNION ALL SELECT 'lock of ' || coalesce(pid::text, 'a prepared transaction') FROM pg_locks WHERE locktype = 'advisory'
        UNION ALL SELECT 'connection: ' || query FROM pg_stat_activity WHERE application_name = '${applicationName}'`);
      return found.flatMap((lines, node) => lines.map((line) => `node ${node}: ${line ?? ''}`));
    },
    run,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(servers.map((server) => server.stop('immediate')));
    },
  };
}

export function openFaultPools(connectionStrings: readonly string[], applicationName: string): NodePools {
  return createNodePools(connectionStrings.map((connectionString, index) => ({
    id: nodeId(index),
    name: new URL(connectionString).host,
    config: { client: { connectionString, application_name: applicationName } },
  })));
}
