import { compareAnswers, readAnswer } from '../data/tpch/compare-answers.ts';
import { tpchQueries, type TpchQuery } from '../data/tpch/tpch-queries.ts';
import { tpchRows } from '../data/tpch/tpch-rows.ts';
import { tpchTables, type TpchLayout } from '../data/tpch/tpch-tables.ts';
import { loadCluster, loadPlain } from '../harness/load-tables.ts';
import { openDatabases, type OwnDatabases } from '../harness/open-databases.ts';
import { runClients } from '../harness/run-clients.ts';
import { median } from '../harness/statistics.ts';
import type { Side } from '../harness/side.ts';
import type { TestBed } from '../harness/test-bed.ts';
import { vacuumAll } from '../harness/vacuum.ts';

type Kind = Side['kind'];

/** Median times in ms of one query, one per round. */
interface Times {
  readonly plain: number[];
  readonly cluster: number[];
}

/** One layout, loaded on both sides when first needed, and the times that its queries took. */
export class TpchRun {
  readonly queries: readonly TpchQuery[];
  private readonly times = new Map<string, Times>();
  private readonly differing = new Set<string>();
  private opened: Promise<OwnDatabases> | undefined;

  constructor(
    private readonly bed: TestBed,
    private readonly layout: TpchLayout,
  ) {
    this.queries = tpchQueries(bed.tpchScale);
  }

  open(): Promise<OwnDatabases> {
    return (this.opened ??= this.load());
  }

  /** How the cluster's answer differs from plain's, if it does. */
  async verify(query: TpchQuery): Promise<string | undefined> {
    const { plain, cluster } = await this.open();
    const difference = compareAnswers(query, await readAnswer(plain.pool(1), query), await readAnswer(cluster.pool(1), query));
    if (difference !== undefined) this.differing.add(query.name);
    return difference;
  }

  async measure(query: TpchQuery, kind: Kind): Promise<number> {
    const side = (await this.open())[kind];
    const operation = (): Promise<unknown> => side.pool(1).query(query.sql);
    const { medianMs } = await runClients({ clients: 1, durationMs: this.bed.pace.measureMs, operation });
    const times = this.times.get(query.name) ?? { plain: [], cluster: [] };
    this.times.set(query.name, times);
    times[kind].push(medianMs);
    return medianMs;
  }

  /** Of each query that both sides answered alike. */
  mediansOfBoth(): { readonly plain: number; readonly cluster: number }[] {
    const both = [...this.times].filter(([name, { plain, cluster }]) => plain.length > 0 && cluster.length > 0 && !this.differing.has(name));
    return both.map(([, { plain, cluster }]) => ({ plain: median(plain), cluster: median(cluster) }));
  }

  private async load(): Promise<OwnDatabases> {
    const { bed, layout } = this;
    bed.progress.step(`loading TPC-H at scale ${bed.tpchScale}, layout ${layout}, on both sides`);
    const databases = await openDatabases(bed, `tpch_${layout.replace('-', '_')}`);
    const rows = tpchRows(bed.tpchScale);
    const tables = tpchTables(layout).map((table) => ({ table, rowsOf: () => rows.rowsOf(table.name) }));
    const onRows = (table: string, count: number): void => bed.progress.update(`${table}: ${count} rows`);
    await loadPlain(databases.plain.connectionString, tables, onRows);
    await loadCluster(databases.shardwright, tables, onRows);
    await vacuumAll(databases.connectionStrings);
    return databases;
  }
}
