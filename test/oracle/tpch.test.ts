import { Client, Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareAnswers, readAnswer, type TpchAnswer } from '../../bench/data/tpch/compare-answers.ts';
import { tpchQueries } from '../../bench/data/tpch/tpch-queries.ts';
import { tpchRows } from '../../bench/data/tpch/tpch-rows.ts';
import { tpchTables, type TpchLayout } from '../../bench/data/tpch/tpch-tables.ts';
import { loadCluster, loadPlain, type FilledTable } from '../../bench/harness/load-tables.ts';
import { refusalOf } from '../../bench/harness/refusal.ts';
import { Cluster } from '../../src/index.ts';
import { createTestDatabases, type TestDatabases } from '../support/test-databases.ts';

const scale = 0.01;
const queries = tpchQueries(scale);
const rows = tpchRows(scale);

/** Queries without a distributed plan yet, by layout. One that is answered leaves this list; none may join it. */
const refused: Readonly<Record<TpchLayout, readonly string[]>> = {
  'by-key': [],
  reference: [],
};

const cells: readonly { readonly layout: TpchLayout; readonly nodes: number }[] = [
  { layout: 'by-key', nodes: 1 },
  { layout: 'by-key', nodes: 3 },
  { layout: 'by-key', nodes: 4 },
  { layout: 'reference', nodes: 1 },
  { layout: 'reference', nodes: 3 },
];

const plainAnswers = new Map<string, TpchAnswer>();

beforeAll(async () => {
  await using databases = await createTestDatabases({ nodes: 0 });
  const { connectionString } = databases.coordinator;
  await loadPlain(connectionString, filledTables('by-key'));
  await analyze([connectionString]);
  const pool = new Pool({ connectionString, max: 1 });
  for (const query of queries) plainAnswers.set(query.name, await readAnswer(pool, query));
  await pool.end();
});

describe.each(cells)('TPC-H, layout $layout, $nodes nodes', ({ layout, nodes }) => {
  let databases: TestDatabases | undefined;
  let cluster: Cluster | undefined;

  beforeAll(async () => {
    databases = await createTestDatabases({ nodes });
    cluster = new Cluster({ connectionString: databases.coordinator.connectionString });
    for (const { host, port, database } of databases.nodes) await cluster.addNode({ host, port, database });
    await loadCluster(cluster, filledTables(layout));
    await analyze([databases.coordinator, ...databases.nodes].map(({ connectionString }) => connectionString));
  });

  afterAll(async () => {
    await cluster?.end();
    await databases?.drop();
  });

  test('the 22 queries are answered as by one PostgreSQL, or refused if they are on the list', async () => {
    const refusedNow: string[] = [];
    const differences: string[] = [];
    for (const query of queries) {
      const answer = await answerOf(cluster, query);
      if (answer === 'refused') refusedNow.push(query.name);
      else {
        const difference = compareAnswers(query, plainAnswers.get(query.name) ?? { columns: [], rows: [] }, answer);
        if (difference !== undefined) differences.push(`${query.name}: ${difference}`);
      }
    }
    expect(differences).toEqual([]);
    expect(refusedNow).toEqual(refused[layout]);
  });
});

async function answerOf(cluster: Cluster | undefined, query: (typeof queries)[number]): Promise<TpchAnswer | 'refused'> {
  if (cluster === undefined) throw new Error('the cluster could not be loaded');
  try {
    return await readAnswer(cluster, query);
  } catch (error) {
    if (refusalOf(error) !== undefined) return 'refused';
    throw new Error(`${query.name} fails`, { cause: error });
  }
}

function filledTables(layout: TpchLayout): readonly FilledTable[] {
  return tpchTables(layout).map((table) => ({ table, rowsOf: () => rows.rowsOf(table.name) }));
}

async function analyze(connectionStrings: readonly string[]): Promise<void> {
  for (const connectionString of connectionStrings) {
    const client = new Client({ connectionString });
    await client.connect();
    await client.query('ANALYZE');
    await client.end();
  }
}
