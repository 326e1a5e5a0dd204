import type { Cluster } from '../../src/index.ts';
import type { SaasRows } from '../data/saas-rows.ts';
import { saasTables } from '../data/saas-schema.ts';
import { loadCluster, loadPlain, type FilledTable, type OnRows } from './load-tables.ts';

export interface LoadTargets {
  readonly plainConnectionString: string;
  readonly cluster: Cluster;
}

/** Makes and fills the multi-tenant tables on both sides, one after the other. */
export async function loadSaas(targets: LoadTargets, rows: SaasRows, onRows: OnRows): Promise<void> {
  await loadPlain(targets.plainConnectionString, tablesOf(rows), onRows);
  await loadCluster(targets.cluster, tablesOf(rows), onRows);
}

/** The table that others are co-located with comes before them. */
function tablesOf(rows: SaasRows): readonly FilledTable[] {
  return [
    { table: saasTables.countries, rowsOf: rows.countries },
    { table: saasTables.companies, rowsOf: rows.companies },
    { table: saasTables.campaigns, rowsOf: rows.campaigns },
    { table: saasTables.ads, rowsOf: rows.ads },
    { table: saasTables.clicks, rowsOf: rows.clicks },
  ];
}
