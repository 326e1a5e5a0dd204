import { Client, Pool } from 'pg';
import type { ClusterUnderTest } from '../../oracle/install.ts';
import type { EmptyDatabase } from '../../oracle/load-pair.ts';
import type { Queryable } from '../../oracle/outcome.ts';
import { type FuzzTable, ownTypes } from '../fuzz-tables.ts';
import { fuzzTablesOf, makeTables, placeTables } from './random-schema.ts';
import { installViews } from './random-views.ts';
import type { RandomPlacement, RandomTable } from './random-schema.ts';

export interface RandomInstall {
  readonly plain: Queryable;
  readonly coordinator: EmptyDatabase;
  readonly nodes: readonly EmptyDatabase[];
  readonly cluster: ClusterUnderTest;
  readonly seed: number;
}

/** The tables of a seed twice, as schemas x and y, distributed in two ways, and views over them: on both sides. Gives what the generator needs to know. */
export async function installRandom({ plain, coordinator, nodes, cluster, seed }: RandomInstall): Promise<FuzzTable[]> {
  const tables = makeTables(seed);
  const placements = [placeTables(seed * 2, tables), placeTables(seed * 2 + 1, tables)];
  const pool = new Pool({ connectionString: coordinator.connectionString, max: 1 });
  try {
    for (const [i, schema] of ['x', 'y'].entries()) {
      for (const { connectionString } of nodes) await once(connectionString, `CREATE SCHEMA ${schema}`);
      for (const database of [plain, pool]) {
        await database.query(`CREATE SCHEMA ${schema}`);
        await createTables(database, schema, tables);
      }
      await placeInCluster(cluster, schema, { tables, placements: placements[i] ?? [] });
    }
  } finally {
    await pool.end();
  }
  const known = fuzzTablesOf(tables, placements[0] ?? []);
  return [...known, ...(await installViews([plain, cluster], { seed, tables: known }))];
}

/** What the random schema's columns are of. Before anybody asks for names of types. */
export async function installTypes(databases: readonly EmptyDatabase[]): Promise<void> {
  for (const { connectionString } of databases) await once(connectionString, ownTypes);
}

async function once(connectionString: string, sql: string): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  await client.query(sql);
  await client.end();
}

/** The tables and their rows in a database, in a schema that is made. */
async function createTables(database: Queryable, schema: string, tables: readonly RandomTable[]): Promise<void> {
  for (const { name, definition, rows } of tables) {
    await database.query(`CREATE TABLE ${schema}.${name} (${definition})`);
    if (rows.length === 0) continue;
    const width = rows[0]?.length ?? 0;
    const values = rows.map((_, row) => `(${Array.from({ length: width }, (__, column) => `$${row * width + column + 1}`).join(', ')})`);
    await database.query(`INSERT INTO ${schema}.${name} VALUES ${values.join(', ')}`, rows.flat());
  }
}

/** Distributes them; their schema must be on the nodes. */
async function placeInCluster(cluster: ClusterUnderTest, schema: string, { tables, placements }: { readonly tables: readonly RandomTable[]; readonly placements: readonly RandomPlacement[] }): Promise<void> {
  for (const [i, { name }] of tables.entries()) {
    const placement = placements[i];
    if (placement === undefined || placement.kind === 'local') continue;
    if (placement.kind === 'reference') await cluster.createReferenceTable(`${schema}.${name}`);
    else {
      const { column, colocateWith, shardCount, hash, singleShard = false } = placement;
      const options = colocateWith === 'none' ? { colocateWith, ...(singleShard ? {} : { shardCount, hash }) } : { colocateWith: `${schema}.${colocateWith}` };
      await cluster.createDistributedTable(`${schema}.${name}`, singleShard ? null : column, options);
    }
  }
}
