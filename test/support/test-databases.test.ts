import { Client } from 'pg';
import { expect, test } from 'vitest';
import { createTestDatabases, dropRest, endTransactions, type TestDatabase } from './test-databases.ts';

test.each([15, 18] as const)('databases of their own on version %i, more nodes than servers', async (major) => {
  await using databases = await createTestDatabases({ major, nodes: 4 });
  expect(databases.nodes).toHaveLength(4);
  expect(new Set(databases.nodes.map(({ port }) => port)).size).toBe(3);
  const [row] = await run(databases.nodes[3], ['SELECT current_database() AS name, version() AS version']);
  expect(row).toMatchObject({ name: databases.nodes[3]?.database, version: expect.stringContaining(`PostgreSQL ${major}.`) });
});

test('a connection left open is reported, and the database is gone nevertheless', async () => {
  const databases = await createTestDatabases({ nodes: 0, closingMsMax: 100 });
  const client = new Client({ connectionString: databases.coordinator.connectionString, application_name: 'leaky' });
  client.on('error', () => undefined); // The forced drop ends it.
  await client.connect();
  await expect(databases.drop()).rejects.toThrow(/connection to .*leaky/);
  await expectGone(databases.coordinator);
});

test('a prepared transaction and a slot left behind are reported, and the database is gone nevertheless', async () => {
  const databases = await createTestDatabases({ nodes: 1 });
  const name = databases.coordinator.database;
  await run(databases.coordinator, [
    `SELECT pg_create_logical_replication_slot('${name}', 'pgoutput')`,
    'BEGIN',
    'CREATE TABLE t ()',
    `PREPARE TRANSACTION 'gid of ${name}'`,
  ]);
  await expect(databases.drop()).rejects.toThrow(new RegExp(`gid of ${name}[^]*replication slot ${name}`));
  await expectGone(databases.coordinator);
});

test('what a failed test leaves in a transaction is ended, and nothing else', async () => {
  await using databases = await createTestDatabases({ nodes: 1 });
  const { connectionString } = databases.coordinator;
  const [idle, left] = [new Client(connectionString), new Client(connectionString)];
  const ended = new Promise((resolve) => left.on('error', resolve));
  for (const client of [idle, left]) await client.connect();
  await left.query('BEGIN');
  await endTransactions();
  expect(await ended).toMatchObject({ code: '57P01' });
  expect((await idle.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await idle.end();
});

test('databases that a test file does not drop are reported, and gone nevertheless', async () => {
  const { coordinator, nodes } = await createTestDatabases({ nodes: 1 });
  await expect(dropRest()).rejects.toThrow(new RegExp(`${coordinator.database}[^]*${nodes[0]?.database}`));
  await expectGone(coordinator);
  await dropRest();
});

async function expectGone(database: TestDatabase): Promise<void> {
  await expect(run(database, ['SELECT 1'])).rejects.toMatchObject({ code: '3D000' });
}

async function run(database: TestDatabase | undefined, statements: readonly string[]): Promise<unknown[]> {
  const client = new Client(database?.connectionString);
  await client.connect();
  try {
    let rows: unknown[] = [];
    for (const statement of statements) ({ rows } = await client.query(statement));
    return rows;
  } finally {
    await client.end();
  }
}
