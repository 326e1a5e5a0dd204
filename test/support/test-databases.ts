import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { inject } from 'vitest';
import { assert, at } from '../../src/base/assert.ts';
import type { TestMajor } from './start-test-servers.ts';

export interface TestDatabase {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly connectionString: string;
}

export interface TestDatabases extends AsyncDisposable {
  readonly coordinator: TestDatabase;
  readonly nodes: readonly TestDatabase[];
  /** Drops them. Rejects, after dropping, when somebody left a connection, a prepared transaction or a slot behind. */
  drop(): Promise<void>;
}

export interface TestDatabaseOptions {
  readonly major?: TestMajor;
  readonly nodes?: number;
  /** How long connections may take to close that somebody has left: 5 s. */
  readonly closingMsMax?: number;
}

/** All of this process that are not dropped. */
const existing = new Set<TestDatabase>();

/**
 * Fresh databases of unique names on the servers that all test files share: a coordinator's, and `nodes` (3) nodes'. Beyond three
 * nodes the further ones are databases on the same servers. Dispose them at the end, *after* closing your connections: that also
 * proves that nothing leaked.
 *
 * ```ts
 * await using databases = await createTestDatabases({ major: 15, nodes: 2 });
 * const client = new Client(databases.coordinator.connectionString);
 * ```
 *
 * A test that stops, kills or reconfigures a server starts one of its own: `startPostgres({ settings: volatileSettings })` from src/embedded/.
 */
export async function createTestDatabases(options: TestDatabaseOptions = {}): Promise<TestDatabases> {
  const { major = 18, nodes = 3, closingMsMax = closingMs } = options;
  const servers = inject('testServers')[major];
  const prefix = `test_${randomBytes(6).toString('hex')}`;
  const coordinator = databaseOn(servers.coordinator, `${prefix}_coordinator`);
  const nodeDatabases = Array.from({ length: nodes }, (_, index) =>
    databaseOn(at(servers.nodes, index % servers.nodes.length), `${prefix}_node${index + 1}`),
  );
  const all = [coordinator, ...nodeDatabases];
  await Promise.all(all.map((database) => onServerOf(database, (admin) => admin.query(`CREATE DATABASE ${database.database} STRATEGY file_copy`))));
  for (const database of all) existing.add(database);
  const drop = once(() => dropAll(all, closingMsMax));
  return { coordinator, nodes: nodeDatabases, drop, [Symbol.asyncDispose]: drop };
}

/** Ends the sessions that a failed test has left in transactions, for which those of other tests on the server may wait. */
export async function endTransactions(): Promise<void> {
  await Promise.all([...existing].map((database) => onServerOf(database, (admin) =>
    admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend' AND xact_start IS NOT NULL`, [database.database]))));
}

/** Drops what a test file has left. Rejects, after dropping, when there is any. */
export async function dropRest(): Promise<void> {
  const left = [...existing];
  await dropAll(left, closingMs).catch(() => undefined); // What is in them is told less well than that they are there.
  assert(left.length === 0, `the test file left behind:\n${left.map(({ database, port }) => `database ${database}, port ${port}`).join('\n')}`);
}

function databaseOn(server: string, database: string): TestDatabase {
  const url = new URL(server);
  url.pathname = `/${database}`;
  return { host: url.hostname, port: Number(url.port), database, user: url.username, connectionString: url.href };
}

async function dropAll(databases: readonly TestDatabase[], closingMsMax: number): Promise<void> {
  for (const database of databases) existing.delete(database);
  const leaks = await Promise.all(databases.map((database) => onServerOf(database, (admin) => dropOne(admin, { ...database, closingMsMax }))));
  assert(leaks.flat().length === 0, `the test left behind:\n${leaks.flat().join('\n')}`);
}

/** Returns what was left in it, one line each. */
async function dropOne(admin: Client, { database, closingMsMax }: Pick<TestDatabase, 'database'> & { readonly closingMsMax: number }): Promise<string[]> {
  const leaks = [...(await connectionsLeft(admin, { database, closingMsMax })), ...(await removeRemains(admin, database))];
  await admin.query(`DROP DATABASE ${database} WITH (FORCE)`);
  return leaks;
}

const closingMs = 5_000;
const pollMs = 10;

/** A closed connection's server process takes a moment to end: only one that stays is a leak. */
async function connectionsLeft(admin: Client, { database, closingMsMax }: Pick<TestDatabase, 'database'> & { readonly closingMsMax: number }): Promise<string[]> {
  const deadline = performance.now() + closingMsMax;
  for (;;) {
    const { rows } = await admin.query<{ line: string }>(
      `SELECT format('connection to %s, pid %s, application "%s", %s: %s', datname, pid, application_name, state, query) AS line
       FROM pg_stat_activity WHERE datname = $1 AND backend_type IN ('client backend', 'walsender')`,
      [database],
    );
    if (rows.length === 0 || performance.now() > deadline) return rows.map(({ line }) => line);
    await delay(pollMs);
  }
}

/** Prepared transactions and slots would keep the database from being dropped. */
async function removeRemains(admin: Client, database: string): Promise<string[]> {
  const prepared = await admin.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts WHERE database = $1', [database]);
  const slots = await admin.query<{ name: string }>('SELECT slot_name AS name FROM pg_replication_slots WHERE database = $1', [database]);
  if (prepared.rows.length > 0) await rollBackPrepared({ admin, database, gids: prepared.rows.map(({ gid }) => gid) });
  for (const { name } of slots.rows) await admin.query('SELECT pg_drop_replication_slot($1)', [name]);
  return [
    ...prepared.rows.map(({ gid }) => `prepared transaction ${gid} in ${database}`),
    ...slots.rows.map(({ name }) => `replication slot ${name} in ${database}`),
  ];
}

/** Only a session in the same database may finish them. */
async function rollBackPrepared({ admin, database, gids }: { admin: Client; database: string; gids: string[] }): Promise<void> {
  await withClient({ host: admin.host, port: admin.port, user: 'postgres', database }, async (client) => {
    for (const gid of gids) await client.query(`ROLLBACK PREPARED ${client.escapeLiteral(gid)}`);
  });
}

function onServerOf<T>({ host, port, user }: TestDatabase, use: (admin: Client) => Promise<T>): Promise<T> {
  return withClient({ host, port, user, database: 'postgres' }, use);
}

interface Address {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

async function withClient<T>(address: Address, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ ...address });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

function once<T>(run: () => T): () => T {
  let result: { readonly value: T } | undefined;
  return () => (result ??= { value: run() }).value;
}
