import { Client } from 'pg';
import { at } from '../../src/base/assert.ts';
import { volatileSettings } from '../../src/embedded/default-settings.ts';
import { type EmbeddedCluster, startEmbeddedCluster } from '../../src/embedded/embedded-cluster.ts';
import { type NodeId, nodeId, type ShardGroupId, shardGroupId } from '../../src/catalog/ids.ts';
import { Cluster, type ClusterOptions } from '../../src/index.ts';

/** Asks a server: 0 is the coordinator database's, nodes are known by their ids. Rows of the last statement, as arrays. */
type Ask = (node: number, text: string) => Promise<unknown[][]>;

/** A cluster on servers of its own: a slot waits for every transaction of its server. */
export interface MoveCluster extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly embedded: EmbeddedCluster;
  /** Another process of the same cluster, as it were. */
  another(options?: ClusterOptions): Cluster;
  readonly on: Ask;
  /** What moves have left, on all servers, and should not have. */
  readonly remains: () => Promise<string[]>;
  /** The group's first shard of a table, and a node where it is not. */
  readonly place: (table: string) => Promise<Place>;
}

interface Place {
  readonly shardId: number;
  readonly shardGroup: ShardGroupId;
  readonly name: string;
  readonly from: NodeId;
  readonly to: NodeId;
}

const tables = `
CREATE TABLE plans (code text PRIMARY KEY);
CREATE TABLE orders (tenant bigint, id bigint, total int NOT NULL DEFAULT 0, note text, plan text REFERENCES plans, PRIMARY KEY (tenant, id));
CREATE TABLE items (tenant bigint, id bigint, line int, FOREIGN KEY (tenant, id) REFERENCES orders ON DELETE CASCADE);
CREATE INDEX ON orders (note)`;

export async function startMoveCluster({ nodes = 3, major = 18, options = {} }: { readonly nodes?: number; readonly major?: 15 | 18; readonly options?: ClusterOptions } = {}): Promise<MoveCluster> {
  const embedded = await startEmbeddedCluster({ nodes, major, settings: volatileSettings, cluster: options });
  const { cluster } = embedded;
  await createMoveTables(cluster);
  const others: Cluster[] = [];
  const on = async (node: number, text: string): Promise<unknown[][]> => {
    const client = await new Client(node === 0 ? embedded.connectionString : at(embedded.nodes, node - 1).connectionString).connect();
    try {
      return ([await client.query({ text, rowMode: 'array' })].flat().at(-1)?.rows ?? []) as unknown[][];
    } finally {
      await client.end();
    }
  };
  return {
    cluster, embedded, on,
    another: (own = {}) => {
      const other = new Cluster({ connectionString: embedded.connectionString, ...own });
      others.push(other);
      return other;
    },
    remains: () => lastingRemains(on, embedded.nodes.map((_, i) => i + 1)),
    place: (table) => placeOf(cluster, table),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(others.filter((one) => !one.ending).map((one) => one.end()));
      await embedded.stop();
    },
  };
}

export async function createMoveTables(cluster: Cluster): Promise<void> {
  await cluster.query(tables);
  await cluster.createReferenceTable('plans');
  await cluster.createDistributedTable('orders', 'tenant', { shardCount: 4 });
  await cluster.createDistributedTable('items', 'tenant', { colocateWith: 'orders' });
  await cluster.query(`INSERT INTO plans VALUES ('free'), ('pro')`);
}

const passingMsMax = 30_000;

/** As `listRemains`. Every process recovers now and then, under an advisory lock, and writers commit in two phases: those are waited for. */
async function lastingRemains(ask: Ask, nodes: readonly number[]): Promise<string[]> {
  const deadline = performance.now() + passingMsMax;
  for (;;) {
    const found = await listRemains(ask, nodes);
    if (!found.some((line) => /^(lock|prepared )/.test(line)) || performance.now() > deadline) return found;
  }
}

/** Slots, publications, schemas, prepared transactions, replica identities, unfinished constraints, jobs and their locks. */
export async function listRemains(ask: Ask, nodes: readonly number[]): Promise<string[]> {
  const found = await Promise.all(nodes.map((node) => ask(node, `
    SELECT 'slot ' || slot_name FROM pg_replication_slots UNION ALL SELECT 'publication ' || pubname FROM pg_publication
    UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname LIKE 'shardwright\\_%' UNION ALL SELECT 'prepared ' || gid FROM pg_prepared_xacts
    UNION ALL SELECT 'identity of ' || relname FROM pg_class WHERE relreplident <> 'd' AND relname LIKE '%\\_10____' AND relkind = 'r'
      AND relname NOT LIKE 'Rich%' AND relnamespace::regnamespace::text NOT LIKE 'shardwright%'
    UNION ALL SELECT 'not valid: ' || conname FROM pg_constraint WHERE NOT convalidated AND conname NOT LIKE 'later%'`)));
  const registered = await ask(0, `SELECT 'object ' || name FROM shardwright.job_object UNION ALL SELECT 'job ' || job_id || ' is ' || state FROM shardwright.job WHERE state NOT IN ('done', 'undone')
    UNION ALL SELECT 'lock' FROM pg_locks WHERE locktype = 'advisory'`);
  return [...found.flat(), ...registered].map(([line]) => String(line));
}

export async function placeOf(cluster: Cluster, table: string): Promise<Place> {
  const shard = at((await cluster.shards()).filter((one) => one.table === table), 0);
  const to = at((await cluster.nodes()).filter(({ id }) => id !== shard.nodeId), 0).id;
  return { shardId: shard.shardId, shardGroup: shardGroupId(shard.shardGroupId ?? 0), name: shard.name, from: nodeId(shard.nodeId), to };
}
