import { Readable } from 'node:stream';
import { Client } from 'pg';
import type { Cluster } from '../../src/index.ts';
import { copyText, type DataRow } from '../data/copy-text.ts';
import { copyStatement, type TableDefinition } from '../data/table-definition.ts';
import { copyRowsPlain } from './copy-rows.ts';
import { createTable } from './create-table.ts';

/** A table and the rows it gets. */
export interface FilledTable {
  readonly table: TableDefinition;
  readonly rowsOf: () => Iterable<DataRow>;
}

/** Called now and then with the rows loaded so far. */
export type OnRows = (table: string, rows: number) => void;

/** Makes the tables in one database and fills them, in order. */
export async function loadPlain(connectionString: string, tables: readonly FilledTable[], onRows: OnRows = ignore): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    for (const { table } of tables) await createTable(client, table);
  } finally {
    await client.end();
  }
  for (const { table, rowsOf } of tables) {
    const source = copyText(rowsOf(), { onProgress: (count) => onRows(`plain ${table.name}`, count) });
    await copyRowsPlain(connectionString, copyStatement(table), source);
  }
}

/** The same in a cluster, each table placed before it is filled. A table that others are co-located with comes before them. */
export async function loadCluster(cluster: Cluster, tables: readonly FilledTable[], onRows: OnRows = ignore): Promise<void> {
  for (const { table } of tables) await createTable(cluster, table, cluster);
  for (const { table, rowsOf } of tables) {
    const source = copyText(rowsOf(), { onProgress: (count) => onRows(`cluster ${table.name}`, count) });
    await cluster.copyFrom(copyStatement(table), Readable.from(source, { objectMode: false }));
  }
}

const ignore: OnRows = () => {};
