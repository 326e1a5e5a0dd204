import { Client } from 'pg';
import { at, present } from '../../../src/base/assert.ts';
import type { Column, DistributedTable, ReferenceTable } from '../../../src/catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../../../src/catalog/coordinator-node.ts';
import { colocationId, nodeId, shardId } from '../../../src/catalog/ids.ts';
import type { NodeId } from '../../../src/catalog/ids.ts';
import { createNodePools } from '../../../src/cluster/node-pools.ts';
import type { NodePools } from '../../../src/cluster/node-pools.ts';
import type { CallOptions, NodeConnection } from '../../../src/cluster/node-connection.ts';
import type { ColumnDefaults } from '../../../src/execute/copy/added-columns.ts';
import { copyStatement } from '../../../src/execute/copy/copy-statement.ts';
import type { CopyStatement } from '../../../src/execute/copy/copy-statement.ts';
import { parseOne } from '../../../src/sql/parse.ts';
import type { DistributedTransaction } from '../../../src/txn/distributed-transaction.ts';
import { createTestDatabases } from '../../support/test-databases.ts';
import type { TestDatabase } from '../../support/test-databases.ts';
import type { TestMajor } from '../../support/start-test-servers.ts';

/** A table cut into shards by hand, and a plain one with all rows to compare with, both on real servers. */
export interface CopyCluster extends AsyncDisposable {
  readonly table: DistributedTable;
  readonly reference: ReferenceTable;
  readonly shards: readonly { readonly node: NodeId; readonly name: string }[];
  readonly nodes: readonly NodeId[];
  readonly pools: NodePools;
  readonly defaults: ColumnDefaults;
  readonly serverVersion: number;
  /** The coordinator database; holds the shell and, as schema `plain`, the plain table. */
  readonly coordinator: Client;
  begin(): DirectTransaction;
  /** Rows of all shards, each as one text, sorted. */
  shardRows(): Promise<string[]>;
  plainRows(): Promise<string[]>;
  /** Rows of a shard. */
  rowsOf(ordinal: number): Promise<string[]>;
  referenceRows(): Promise<string[][]>;
  clear(): Promise<void>;
}

export interface CopyClusterOptions {
  readonly major?: TestMajor;
  readonly nodes?: number;
  readonly shards?: number;
  /** Definition of the table, in parentheses; every column must be in `columns`. */
  readonly definition: string;
  readonly columns: readonly (Partial<Column> & { readonly name: string })[];
  readonly distributionColumn: string;
}

export async function createCopyCluster(options: CopyClusterOptions): Promise<CopyCluster> {
  const { major = 18, nodes = 3, shards = 4, definition } = options;
  const databases = await createTestDatabases({ major, nodes });
  const pools = createNodePools(
    [databases.coordinator, ...databases.nodes].map((database, index) => ({
      id: nodeId(index),
      name: `${database.host}:${database.port}/${database.database}`,
      config: { client: { connectionString: database.connectionString } },
    })),
  );
  const coordinator = await connect(databases.coordinator);
  const clients = await Promise.all(databases.nodes.map(connect));
  const placed = Array.from({ length: shards }, (_, ordinal) => ({ node: nodeId(1 + (ordinal % nodes)), name: `orders_${102008 + ordinal}` }));
  await coordinator.query(`CREATE SEQUENCE ids; CREATE TABLE orders ${definition}; CREATE SCHEMA plain; CREATE TABLE plain.orders ${definition}`);
  const clientOf = (node: NodeId): Client => at(clients, node - 1);
  for (const { node, name } of placed) await clientOf(node).query(`CREATE TABLE ${name} ${nodeDefinition(definition)}`);
  for (const client of clients) await client.query(`CREATE TABLE rates_102000 ${nodeDefinition(definition)}`);
  await coordinator.query(`CREATE TABLE rates ${definition}`);
  const { table, reference } = tablesOf(options, shards);
  const end = async (): Promise<void> => {
    await Promise.all([pools.end(), coordinator.end(), ...clients.map((client) => client.end())]);
    await databases.drop();
  };
  const rowsOf = (ordinal: number): Promise<string[]> => rows(clientOf(at(placed, ordinal).node), at(placed, ordinal).name);
  return {
    table,
    reference,
    shards: placed,
    nodes: clients.map((_, index) => nodeId(index + 1)),
    pools,
    coordinator,
    defaults: defaultsOf(coordinator),
    serverVersion: await versionOf(coordinator),
    begin: () => new DirectTransaction(pools),
    shardRows: async () => (await Promise.all(placed.map((_, ordinal) => rowsOf(ordinal)))).flat().sort(),
    plainRows: () => rows(coordinator, 'plain.orders'),
    rowsOf,
    referenceRows: () => Promise.all(clients.map((client) => rows(client, 'rates_102000'))),
    async clear() {
      await coordinator.query('TRUNCATE plain.orders');
      await Promise.all(placed.map(({ node, name }) => clientOf(node).query(`TRUNCATE ${name}`)));
    },
    [Symbol.asyncDispose]: end,
  };
}

/** Servers of another version may stand in the place of those of 18. */
async function versionOf(client: Client): Promise<number> {
  const { rows: [row] } = await client.query<{ version: number }>(`SELECT current_setting('server_version_num')::int AS version`);
  return present(row).version;
}

async function rows(client: Client, name: string): Promise<string[]> {
  const result = await client.query<{ line: string }>(`SELECT t::text AS line FROM ${name} AS t`);
  return result.rows.map(({ line }) => line).sort();
}

/** The sequence exists in the coordinator database only. */
function nodeDefinition(definition: string): string {
  return definition.replaceAll("DEFAULT nextval('ids')", '');
}

async function connect({ connectionString }: TestDatabase): Promise<Client> {
  const client = new Client(connectionString);
  await client.connect();
  return client;
}

function tablesOf(options: CopyClusterOptions, shards: number): { table: DistributedTable; reference: ReferenceTable } {
  const columns = options.columns.map((column, index) => fullColumn(column, index + 1));
  const base = { oid: 1, schema: 'public', columns, indexes: [], constraints: [], rowSecurity: false, rowTriggers: false, partitioned: false };
  const distributionColumn = present(columns.find(({ name }) => name === options.distributionColumn));
  return {
    table: {
      ...base,
      name: 'orders',
      kind: 'distributed',
      distributionColumn,
      colocationId: colocationId(1),
      shardIds: Array.from({ length: shards }, (_, ordinal) => shardId(102008 + ordinal)),
    },
    reference: { ...base, name: 'rates', kind: 'reference', shellIsCopy: false, shardId: shardId(102000) },
  };
}

function fullColumn(column: Partial<Column> & { readonly name: string }, position: number): Column {
  return {
    position,
    type: { oid: 25, modifier: -1, sql: 'text' },
    collation: undefined,
    deterministic: true,
    notNull: false,
    identity: 'none',
    generated: false,
    default: undefined,
    ...column,
  };
}

function defaultsOf(coordinator: Client): ColumnDefaults {
  const values = async (expression: string, count: number): Promise<(string | null)[]> => {
    const result = await coordinator.query<{ value: string | null }>(
      `SELECT (${expression})::text AS value FROM generate_series(1, ${count})`,
    );
    return result.rows.map(({ value }) => value);
  };
  return {
    evaluate: values,
    nextValues: async (sequence, count) => (await values(`nextval('${sequence}')`, count)).map((value) => value ?? ''),
  };
}

/** One connection per server, a plain transaction on each. */
export class DirectTransaction implements DistributedTransaction {
  readonly id = 'test';
  readonly #connections = new Map<NodeId, Promise<NodeConnection>>();
  readonly #pools: NodePools;

  constructor(pools: NodePools) {
    this.#pools = pools;
  }

  /** Of the servers that were joined. */
  get nodes(): NodeId[] {
    return [...this.#connections.keys()].filter((node) => node !== coordinatorNodeId);
  }

  join(node: NodeId, _effect: 'read' | 'write', options?: CallOptions): Promise<NodeConnection> {
    let connection = this.#connections.get(node);
    if (connection === undefined) {
      connection = this.#open(node, options);
      this.#connections.set(node, connection);
    }
    return connection;
  }

  commit(): Promise<void> {
    return this.#finish('COMMIT');
  }

  rollback(): Promise<void> {
    return this.#finish('ROLLBACK');
  }

  async #open(node: NodeId, options: CallOptions | undefined): Promise<NodeConnection> {
    const connection = await this.#pools.get(node).acquire(options);
    await connection.query({ text: 'BEGIN' });
    return connection;
  }

  async #finish(sql: string): Promise<void> {
    for (const opening of await Promise.allSettled(this.#connections.values())) {
      if (opening.status === 'rejected') continue;
      await opening.value.query({ text: sql });
      opening.value.release();
    }
    this.#connections.clear();
  }
}

/** As the cluster's own translation will: a shard's name in a message becomes the table's. */
export function withTableName(error: unknown): unknown {
  if (error instanceof Error) error.message = error.message.replace(/"(orders|rates)_\d+/g, '"$1');
  return error;
}

/** Reads a COPY. `loadGrammar` has to have run. */
export function readCopy(text: string): CopyStatement {
  const statement = parseOne(text);
  if (!('CopyStmt' in statement.node)) throw new Error(`not a COPY: ${text}`);
  return copyStatement(statement, statement.node.CopyStmt);
}
