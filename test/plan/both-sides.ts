import { Client, type Pool, type QueryResult } from 'pg';
import { Cluster, ClusterError } from '../../src/index.ts';
import { createTestDatabases } from '../support/test-databases.ts';

/** Schema objects that every server has. */
const prerequisites = `
  CREATE SCHEMA other;
  CREATE SCHEMA early;
  CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  CREATE FUNCTION add_ints(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT coalesce($1, 0) + coalesce($2, 0)';
  CREATE AGGREGATE total(int) (SFUNC = add_ints, STYPE = int, INITCOND = '0');
  CREATE AGGREGATE other.sum(int) (SFUNC = add_ints, STYPE = int, INITCOND = '100');
`;

const tables = `
  CREATE TABLE a (k bigint NOT NULL, id int NOT NULL, x int, y numeric, s text, PRIMARY KEY (k, id));
  CREATE TABLE b (k bigint NOT NULL, id int NOT NULL, x int, PRIMARY KEY (k, id));
  CREATE TABLE tx (k text NOT NULL, v int);
  CREATE TABLE ch (k char(4) NOT NULL, v int);
  CREATE TABLE ci (k text NOT NULL, t text COLLATE caseless, v int);
  CREATE TABLE r (id int PRIMARY KEY, name text);
  CREATE TABLE other.a (k bigint NOT NULL, id int);
  CREATE TABLE loc (k bigint, id int);
`;

const rows = [
  `INSERT INTO a SELECT i % 7, i, (i * 7919) % 11, ((i * 31) % 17) / 4.0, CASE WHEN i % 5 = 0 THEN NULL ELSE 's' || (i % 6) END FROM generate_series(1, 60) i`,
  `INSERT INTO b SELECT i % 9, i, (i * 13) % 10 FROM generate_series(1, 50) i`,
  `INSERT INTO tx SELECT (ARRAY['a', 'A', '1', '1.0', '01', 'b ', 'b', 'c'])[1 + i % 8], i FROM generate_series(1, 24) i`,
  `INSERT INTO ch SELECT (ARRAY['a', 'ab', 'abc', 'b', '1'])[1 + i % 5], i FROM generate_series(1, 24) i`,
  `INSERT INTO ci SELECT 'k' || i, (ARRAY['A', 'a', 'B', 'b', 'C'])[1 + i % 5], i FROM generate_series(1, 20) i`,
  `INSERT INTO other.a SELECT i % 4, i FROM generate_series(1, 12) i`,
];
const distributed: Readonly<Record<string, string | undefined>> = { b: 'a', 'other.a': 'a', ci: 'tx' };

export interface Outcome {
  readonly rows: readonly string[];
  readonly tag: string;
  /** Of an error: its SQLSTATE; `refused` where only the cluster may say no. */
  readonly error: string | undefined;
}

export interface BothSides extends AsyncDisposable {
  /** The statements one after another on a session of each side, in a transaction that is rolled back; the last one's outcome. */
  run(sql: readonly string[], values: readonly unknown[]): Promise<{ readonly plain: Outcome; readonly cluster: Outcome }>;
}

/** The same rows in a cluster of two nodes with seven shard groups and in one PostgreSQL. */
export async function openBothSides(): Promise<BothSides> {
  const databases = await createTestDatabases({ nodes: 3 });
  const [first, second, single] = databases.nodes;
  if (first === undefined || second === undefined || single === undefined) throw new Error('three databases are needed');
  for (const { connectionString } of [databases.coordinator, ...databases.nodes]) await runOn(connectionString, [prerequisites]);
  const reference = `INSERT INTO r SELECT i, 'r' || i FROM generate_series(1, 8) i`;
  const local = 'INSERT INTO loc SELECT i, i FROM generate_series(1, 5) i';
  await runOn(single.connectionString, [tables, ...rows, reference, local]);
  await runOn(databases.coordinator.connectionString, [tables, ...rows, reference, local]);
  const cluster = new Cluster({ connectionString: databases.coordinator.connectionString });
  for (const { host, port, database } of [first, second]) await cluster.addNode({ host, port, database });
  for (const table of ['a', 'b', 'tx', 'ci', 'ch', 'other.a']) {
    const leader = distributed[table];
    await cluster.createDistributedTable(table, 'k', { shardCount: 7, ...(leader === undefined ? {} : { colocateWith: leader }) });
  }
  await cluster.createReferenceTable('r');
  const plain = new Client(single.connectionString);
  await plain.connect();
  return {
    async run(sql, values) {
      const client = await (cluster as unknown as Pool).connect();
      try {
        return { plain: await outcomeOf(plain, sql, values), cluster: await outcomeOf(client, sql, values) };
      } finally {
        client.release();
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([plain.end(), cluster.end()]);
      await databases.drop();
    },
  };
}

type Session = { query(query: object): Promise<QueryResult<string[]>> };

async function outcomeOf(session: Session, sql: readonly string[], values: readonly unknown[]): Promise<Outcome> {
  await session.query({ text: 'BEGIN' });
  try {
    let result: QueryResult<string[]> | undefined;
    for (const [i, text] of sql.entries()) {
      const own = i === sql.length - 1 && values.length > 0 ? { values } : {};
      result = await session.query({ text, ...own, rowMode: 'array', types: { getTypeParser: () => (value: string) => value } });
    }
    return { rows: (result?.rows ?? []).map((row) => JSON.stringify(row)).sort(), tag: `${result?.command} ${result?.rowCount}`, error: undefined };
  } catch (error) {
    return { rows: [], tag: '', error: stateOf(error) };
  } finally {
    await session.query({ text: 'ROLLBACK' });
  }
}

function stateOf(error: unknown): string {
  if (error instanceof ClusterError && error.code === '0A000') return 'refused';
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  throw error;
}

async function runOn(connectionString: string, statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  for (const sql of statements) await client.query(sql);
  await client.end();
}
