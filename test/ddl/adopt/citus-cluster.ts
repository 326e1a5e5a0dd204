import { Client } from 'pg';
import { Cluster } from '../../../src/index.ts';
import { createTestDatabases, type TestDatabase } from '../../support/test-databases.ts';

/** Databases that look like a Citus cluster's, made by hand: metadata tables in one, shards with rows in those of two nodes. And a cluster that could take them over, with empty tables. */
export interface CitusCluster extends AsyncDisposable {
  readonly cluster: Cluster;
  /** Connection string of Citus's coordinator. */
  readonly from: string;
  /** Runs a text on Citus's coordinator, or on the node with this index. Rows as arrays. */
  onCitus(text: string): Promise<unknown[][]>;
  onNode(index: number, text: string): Promise<unknown[][]>;
}

const tables = `
  CREATE TABLE orders (tenant_id bigint NOT NULL, id int NOT NULL, note text, PRIMARY KEY (tenant_id, id));
  CREATE TABLE items (tenant_id bigint NOT NULL, order_id int NOT NULL, line int NOT NULL, PRIMARY KEY (tenant_id, order_id, line), FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id));
  CREATE TABLE countries (code text PRIMARY KEY)`;

const metadataTables = `
  CREATE TABLE pg_dist_node (nodeid int, groupid int, nodename text, nodeport int, noderole text DEFAULT 'primary', isactive boolean DEFAULT true);
  CREATE TABLE pg_dist_partition (logicalrelid regclass, partmethod "char", partkey text, colocationid int, repmodel "char");
  CREATE TABLE pg_dist_shard (logicalrelid regclass, shardid bigint, shardstorage "char", shardminvalue text, shardmaxvalue text);
  CREATE TABLE pg_dist_placement (placementid serial, shardid bigint, shardstate int DEFAULT 1, shardlength bigint DEFAULT 0, groupid int)`;

const tree = '{VAR :varno 1 :varattno 1 :vartype 20 :vartypmod -1 :varcollid 0 :varlevelsup 0 :location -1}';
const slices = [-(2 ** 31), -(2 ** 30), 0, 2 ** 30].map((min) => ({ min, max: min + 2 ** 30 - 1 }));

/** Rows as Citus places them: by the server's own hash. */
function shardStatements(i: number): string {
  const { min, max } = slices[i] ?? { min: 0, max: 0 };
  const [orders, items] = [102_008 + i, 102_012 + i];
  return `
    CREATE TABLE orders_${orders} (tenant_id bigint NOT NULL, id int NOT NULL, note text, CONSTRAINT orders_pkey_${orders} PRIMARY KEY (tenant_id, id));
    CREATE TABLE items_${items} (tenant_id bigint NOT NULL, order_id int NOT NULL, line int NOT NULL, CONSTRAINT items_pkey_${items} PRIMARY KEY (tenant_id, order_id, line),
      CONSTRAINT items_tenant_id_order_id_fkey_${items} FOREIGN KEY (tenant_id, order_id) REFERENCES orders_${orders} (tenant_id, id));
    INSERT INTO orders_${orders} SELECT t, 1, 'by Citus' FROM generate_series(1, 200) t WHERE hashint8(t) BETWEEN ${min} AND ${max};
    INSERT INTO items_${items} SELECT tenant_id, id, 7 FROM orders_${orders};`;
}

const reference = `CREATE TABLE countries_102016 (code text CONSTRAINT countries_pkey_102016 PRIMARY KEY); INSERT INTO countries_102016 VALUES ('de'), ('fr');`;

export async function openCitusCluster(): Promise<CitusCluster> {
  const databases = await createTestDatabases({ nodes: 2 });
  const citus = await createTestDatabases({ nodes: 0 });
  const { database } = citus.coordinator;
  // Citus's nodes all have a database of the same name.
  const nodes = databases.nodes.map((node): TestDatabase => ({ ...node, database, connectionString: node.connectionString.replace(node.database, database) }));
  for (const node of databases.nodes) await run(node.connectionString, `CREATE DATABASE ${database}`);
  for (const [i, node] of nodes.entries()) await run(node.connectionString, `${[0, 1, 2, 3].filter((slice) => slice % 2 === i).map(shardStatements).join('')} ${reference}`);
  await run(citus.coordinator.connectionString, `${tables}; ${metadataTables}; ${metadataRows(nodes)}`);
  await run(databases.coordinator.connectionString, tables);
  const cluster = new Cluster({ connectionString: databases.coordinator.connectionString });
  return {
    cluster,
    from: citus.coordinator.connectionString,
    onCitus: (text) => run(citus.coordinator.connectionString, text),
    onNode: (index, text) => run(nodes[index]?.connectionString ?? '', text),
    async [Symbol.asyncDispose]() {
      await cluster.end();
      for (const node of databases.nodes) await run(node.connectionString, `DROP DATABASE ${database} WITH (FORCE)`);
      await databases.drop();
      await citus.drop();
    },
  };
}

function metadataRows(nodes: readonly TestDatabase[]): string {
  const shards = [102_008, 102_012].flatMap((first, table) => slices.map(({ min, max }, i) => `('${['orders', 'items'][table]}', ${first + i}, 't', '${min}', '${max}')`));
  return `
    INSERT INTO pg_dist_node VALUES (0, 0, 'localhost', 5432), ${nodes.map(({ host, port }, i) => `(${i + 1}, ${i + 1}, '${host}', ${port})`).join(', ')};
    INSERT INTO pg_dist_partition VALUES ('orders', 'h', '${tree}', 1, 's'), ('items', 'h', '${tree}', 1, 's'), ('countries', 'n', NULL, 2, 't');
    INSERT INTO pg_dist_shard VALUES ${shards.join(', ')}, ('countries', 102016, 't', NULL, NULL);
    INSERT INTO pg_dist_placement (shardid, groupid) SELECT shardid, 1 + (shardid - 102008) % 4 % 2 FROM pg_dist_shard WHERE shardid < 102016;
    INSERT INTO pg_dist_placement (shardid, groupid) VALUES (102016, 0), (102016, 1), (102016, 2)`;
}

async function run(connectionString: string, text: string): Promise<unknown[][]> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const result = await client.query<unknown[]>({ text, rowMode: 'array' });
    return (Array.isArray(result) ? (result as { rows: unknown[][] }[]).at(-1)?.rows : result.rows) ?? [];
  } finally {
    await client.end();
  }
}
