import { Client } from 'pg';
import { present } from '../../../src/base/assert.ts';
import { type ClusterAndPlain, startCluster } from '../../coordinator/start-cluster.ts';
import type { TestDatabases } from '../../support/test-databases.ts';

export interface StagedCluster extends ClusterAndPlain {
  /** Temporary tables, open transactions and cursors' connections that anybody but the caller of this has, on all servers. */
  remains(): Promise<string[]>;
  /** The same at this moment. */
  found(): Promise<string[]>;
}

/** A cluster with rows enough for intermediate results of every size. */
export async function startStaged(options: Parameters<typeof startCluster>[0] = {}): Promise<StagedCluster> {
  const pair = await startCluster(options);
  const more = `INSERT INTO orders (tenant_id, id, total, note) VALUES ${Array.from({ length: 2_000 }, (_, i) => `(${i % 40}, ${100 + i}, ${i}, 'more ${i % 7}')`).join(', ')}`;
  await Promise.all([pair.cluster.query(more), pair.plain.query(more)]);
  return { ...pair, found: () => remainsOf(pair.databases), remains: () => lasting(() => remainsOf(pair.databases)), [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose]() };
}

/** On a busy machine a server may still be at the ROLLBACK or DISCARD of a connection that was given back. */
async function lasting(look: () => Promise<string[]>): Promise<string[]> {
  for (let rounds = 0; rounds < 200; rounds += 1) if ((await look()).length === 0) return [];
  return look();
}

async function remainsOf({ coordinator, nodes }: TestDatabases): Promise<string[]> {
  const found = await Promise.all([coordinator, ...nodes].map(async ({ connectionString }) => {
    const client = new Client(connectionString);
    await client.connect();
    try {
      const { rows } = await client.query<{ line: string }>(`
        SELECT 'table ' || relname AS line FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'
        UNION ALL SELECT state || ': ' || query FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle'`);
      return rows.map(({ line }) => line);
    } finally {
      await client.end();
    }
  }));
  return found.flat();
}

/** Ends a connection's server process. */
export async function terminate({ coordinator, nodes }: TestDatabases, { node, processId }: { readonly node: number; readonly processId: number }): Promise<void> {
  const client = new Client(present([coordinator, ...nodes][node]).connectionString);
  await client.connect();
  try {
    await client.query('SELECT pg_terminate_backend($1, 5000)', [processId]);
  } finally {
    await client.end();
  }
}
