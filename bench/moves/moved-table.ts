import { Client } from 'pg';
import { at, present } from '../../src/base/assert.ts';
import type { Cluster } from '../../src/index.ts';
import type { TestBed } from '../harness/test-bed.ts';

/** About what a row takes, with its part of both indexes. */
const rowBytes = 330;

export interface MovedTable {
  readonly table: string;
  /** Of each shard: its id and node, and keys of the distribution column that belong to it. */
  readonly shards: readonly { readonly shardId: number; readonly nodeId: number; readonly tenants: readonly number[] }[];
  readonly rowsPerTenant: number;
}

/** What one writer writes to. */
export interface PlainTable extends Omit<MovedTable, 'shards'> {
  readonly tenants: readonly number[];
}

export interface MovedTableWish {
  readonly table: string;
  readonly shards: number;
  /** Of each shard, about, indexes included. */
  readonly shardBytes: number;
}

const tenantsPerShard = 8;
export const movedColumns = 'tenant_id bigint, id bigint, counter int NOT NULL DEFAULT 0, made timestamptz NOT NULL, note text NOT NULL';

/** A table with a key, a second index and rows of 250 bytes, distributed and filled on the nodes themselves; not co-located with any other. */
export async function makeMovedTable(bed: TestBed, { table, shards, shardBytes }: MovedTableWish): Promise<MovedTable> {
  const cluster = bed.shardwright;
  await cluster.query(`CREATE TABLE ${table} (${movedColumns}, PRIMARY KEY (tenant_id, id)); CREATE INDEX ON ${table} (made)`);
  await cluster.createDistributedTable(table, 'tenant_id', { colocateWith: 'none', shardCount: shards });
  const rowsPerTenant = rowsOfTenant(shardBytes);
  const placed = await placedShards(cluster, table);
  for (const shard of placed) await fillShard(bed, { table, rowsPerTenant, ...shard });
  return { table, shards: placed, rowsPerTenant };
}

async function placedShards(cluster: Cluster, table: string): Promise<MovedTable['shards']> {
  const shards = (await cluster.shards()).filter((shard) => shard.table === table);
  const tenants = new Map<number, number[]>(shards.map(({ shardId }) => [shardId, []]));
  for (let tenant = 1; [...tenants.values()].some((list) => list.length < tenantsPerShard); tenant += 1) {
    const { shardId } = await cluster.shardOf(table, tenant);
    const list = present(tenants.get(shardId), 'shard of a tenant');
    if (list.length < tenantsPerShard) list.push(tenant);
  }
  return shards.map(({ shardId, nodeId }) => ({ shardId, nodeId, tenants: tenants.get(shardId) ?? [] }));
}

async function fillShard(bed: TestBed, { table, shardId, nodeId, tenants, rowsPerTenant }: { readonly table: string; readonly rowsPerTenant: number } & MovedTable['shards'][number]): Promise<void> {
  const { host, port, database } = present((await bed.shardwright.nodes()).find(({ id }) => id === nodeId), 'node of a shard');
  const client = new Client({ host, port, database, user: 'postgres' });
  await client.connect();
  try {
    await fill(client, `${table}_${shardId}`, { tenants, rowsPerTenant });
  } finally {
    await client.end();
  }
}

async function fill(client: Client, table: string, { tenants, rowsPerTenant }: { readonly tenants: readonly number[]; readonly rowsPerTenant: number }): Promise<void> {
  await client.query(`INSERT INTO ${table} SELECT t, i, 0, now() - i * interval '1 s', repeat(md5(i::text), 5) FROM unnest($1::bigint[]) t, generate_series(1, $2::bigint) i`, [tenants, rowsPerTenant]);
  await client.query(`VACUUM ANALYZE ${table}`);
  await client.query('CHECKPOINT');
}

/** A table of the same form on the plain server, as large as one shard. */
export async function makePlainTable({ plain: { connectionString } }: TestBed, table: string, shardBytes: number): Promise<PlainTable> {
  const rowsPerTenant = rowsOfTenant(shardBytes);
  const tenants = Array.from({ length: tenantsPerShard }, (_, i) => i + 1);
  const client = await new Client({ connectionString }).connect();
  try {
    await client.query(`DROP TABLE IF EXISTS ${table}; CREATE TABLE ${table} (${movedColumns}, PRIMARY KEY (tenant_id, id)); CREATE INDEX ON ${table} (made)`);
    await fill(client, table, { tenants, rowsPerTenant });
    return { table, rowsPerTenant, tenants };
  } finally {
    await client.end();
  }
}

function rowsOfTenant(shardBytes: number): number {
  return Math.max(1, Math.round(shardBytes / rowBytes / tenantsPerShard));
}

/** Where the shard is now, and a node that it is not on. */
export async function whereToMove(cluster: Cluster, shardId: number): Promise<{ readonly from: number; readonly to: number }> {
  const from = present((await cluster.shards()).find((shard) => shard.shardId === shardId), 'shard').nodeId;
  const others = (await cluster.nodes()).filter(({ id }) => id !== from);
  return { from, to: at(others, 0).id };
}
