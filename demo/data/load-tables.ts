import { Readable } from 'node:stream';
import { Client } from 'pg';
import { copyRowsPlain } from '../../bench/harness/copy-rows.ts';
import { createTable } from '../../bench/harness/create-table.ts';
import type { Cluster } from '../../src/index.ts';
import { loadProgress } from '../terminal/load-progress.ts';
import type { CopySource, DemoTable } from './demo-tables.ts';

export interface CallOptions {
  readonly signal: AbortSignal;
}

/** Makes and fills the tables of one plain PostgreSQL. */
export async function loadPlain(connectionString: string, tables: readonly DemoTable[], { signal }: CallOptions): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    for (const { table } of tables) await createTable(client, table);
  } finally {
    await client.end();
  }
  await fill(tables, { signal, copy: (sql, source) => copyRowsPlain(connectionString, sql, source) });
}

/** Makes the tables of the cluster, places them while they are empty, and fills them. */
export async function loadCluster(cluster: Cluster, tables: readonly DemoTable[], { signal }: CallOptions): Promise<void> {
  for (const { table } of tables) await createTable(cluster, table, cluster);
  const copy = async (sql: string, source: CopySource): Promise<number> => {
    const { rowCount } = await cluster.copyFrom(sql, Readable.from(source, { objectMode: false }), { signal });
    return rowCount;
  };
  await fill(tables, { signal, copy });
}

interface Filling {
  readonly signal: AbortSignal;
  readonly copy: (sql: string, source: CopySource) => Promise<number>;
}

async function fill(tables: readonly DemoTable[], { signal, copy }: Filling): Promise<void> {
  for (const { table, sql, source, rowsExpected } of tables) {
    signal.throwIfAborted();
    const progress = loadProgress(table.name, rowsExpected);
    progress.done(await copy(sql, source((rows) => progress.update(rows))));
  }
}
