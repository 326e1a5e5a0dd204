import { Client } from 'pg';
import type { Copying } from './copying.ts';
import type { Connectable, Streaming } from './outcome.ts';
import { makeRows } from './rows.ts';
import type { TableRows } from './rows.ts';
import { prerequisites, tables, writeTables } from './schema.ts';
import type { OracleTable } from './schema.ts';

/** What the suite needs of a `Cluster`. */
export interface ClusterUnderTest extends Connectable, Copying, Streaming {
  end(): Promise<void>;
  addNode(node: ServerAddress): Promise<unknown>;
  createDistributedTable(table: string, column: string | null, options?: { shardCount?: number; colocateWith?: string; hash?: 'postgres' | 'murmur3' }): Promise<unknown>;
  createReferenceTable(table: string): Promise<unknown>;
}

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
}

/** Makes schema and rows in one plain database. Types must not be there yet. */
export async function installPlain(connectionString: string, seed: number): Promise<void> {
  await withClient(connectionString, async (client) => {
    await client.query(prerequisites);
    const rows = makeRows(seed);
    for (const table of [...tables, ...writeTables]) {
      await client.query(table.definition);
      await loadRows(client, rows.filter((some) => some.table === table.name));
    }
  });
}

/**
 * Makes the same in a cluster whose nodes have been added: each table is made and filled in the coordinator database, then
 * distributed, which moves its rows. Foreign keys are not checked while loading, since the rows they point to have left.
 * Rows are stored in the reverse order, so that no case can lean on how they happen to lie.
 */
export async function installCluster(cluster: ClusterUnderTest, coordinator: string, options: { seed: number; shardCount: number; singleShard?: SingleShard | undefined }): Promise<void> {
  const rows = makeRows(options.seed).map((some) => ({ ...some, rows: some.rows.toReversed() }));
  await withClient(coordinator, async (client) => {
    await client.query(`SET session_replication_role = replica`);
    for (const table of [...tables, ...writeTables]) {
      await client.query(table.definition);
      await loadRows(client, rows.filter((some) => some.table === table.name));
      await place(cluster, table, options);
    }
  });
}

/** Types and schemas that distributed tables refer to must be on a node before. */
export async function installPrerequisites(connectionString: string): Promise<void> {
  await withClient(connectionString, (client) => client.query(prerequisites));
}

/** Which colocation groups are of single-shard tables: that of most tables, or every one that is not of its own hash. */
export type SingleShard = 'tenants' | 'all';

async function place(cluster: ClusterUnderTest, table: OracleTable, { shardCount, singleShard }: { readonly shardCount: number; readonly singleShard?: SingleShard | undefined }): Promise<void> {
  const { placement } = table;
  if (placement.kind === 'reference') await cluster.createReferenceTable(table.name);
  if (placement.kind !== 'distributed') return;
  const { column, colocateWith, hash } = placement;
  const isTenants = table.name === 'accounts' || colocateWith === 'accounts';
  if (singleShard !== undefined && (isTenants || (singleShard === 'all' && hash === undefined))) {
    await cluster.createDistributedTable(table.name, null, { colocateWith: colocateWith ?? 'none' });
    return;
  }
  await cluster.createDistributedTable(table.name, column, colocateWith === undefined ? { shardCount, colocateWith: 'none', ...(hash === undefined ? {} : { hash }) } : { colocateWith });
}

async function loadRows(client: Client, batches: readonly TableRows[]): Promise<void> {
  for (const { table, columns, rows } of batches) {
    const values = rows.map((_, row) => `(${columns.map((__, column) => `$${row * columns.length + column + 1}`).join(', ')})`);
    await client.query(`INSERT INTO ${table} (${columns.join(', ')}) VALUES ${values.join(', ')}`, rows.flat());
  }
}

async function withClient(connectionString: string, work: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
