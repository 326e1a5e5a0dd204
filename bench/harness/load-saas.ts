import { Readable } from 'node:stream';
import { Client } from 'pg';
import type { Cluster } from '../../src/index.ts';
import { copyText, type DataRow } from '../data/copy-text.ts';
import type { SaasRows } from '../data/saas-rows.ts';
import { saasTables } from '../data/saas-schema.ts';
import { copyStatement, type TableDefinition } from '../data/table-definition.ts';
import { copyRowsPlain } from './copy-rows.ts';
import { createTable } from './create-table.ts';

export interface LoadTargets {
  readonly plainConnectionString: string;
  readonly cluster: Cluster;
}

export type OnRows = (table: string, rows: number) => void;

/** Makes and fills the multi-tenant tables on both sides, one after the other. */
export async function loadSaas(targets: LoadTargets, rows: SaasRows, onRows: OnRows): Promise<void> {
  await loadPlain(targets.plainConnectionString, rows, onRows);
  await loadCluster(targets.cluster, rows, onRows);
}

async function loadPlain(connectionString: string, rows: SaasRows, onRows: OnRows): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    for (const { table } of tablesOf(rows)) await createTable(client, table);
  } finally {
    await client.end();
  }
  for (const { table, rowsOf } of tablesOf(rows)) {
    const source = copyText(rowsOf(), { onProgress: (count) => onRows(`plain ${table.name}`, count) });
    await copyRowsPlain(connectionString, copyStatement(table), source);
  }
}

async function loadCluster(cluster: Cluster, rows: SaasRows, onRows: OnRows): Promise<void> {
  for (const { table } of tablesOf(rows)) await createTable(cluster, table, cluster);
  for (const { table, rowsOf } of tablesOf(rows)) {
    const source = copyText(rowsOf(), { onProgress: (count) => onRows(`cluster ${table.name}`, count) });
    await cluster.copyFrom(copyStatement(table), Readable.from(source, { objectMode: false }));
  }
}

/** Each table with the rows it gets; the table that others are co-located with comes before them. */
export function tablesOf(rows: SaasRows): readonly { readonly table: TableDefinition; readonly rowsOf: () => Iterable<DataRow> }[] {
  return [
    { table: saasTables.countries, rowsOf: rows.countries },
    { table: saasTables.companies, rowsOf: rows.companies },
    { table: saasTables.campaigns, rowsOf: rows.campaigns },
    { table: saasTables.ads, rowsOf: rows.ads },
    { table: saasTables.clicks, rowsOf: rows.clicks },
  ];
}
