import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Pool } from 'pg';
import { expect, test } from 'vitest';
import { Cluster } from '../../../src/index.ts';
import { createTestDatabases } from '../../support/test-databases.ts';
import { scriptArguments } from '../../support/child-script.ts';
import { migrate, type OnStatement, type Tool, tools } from './migrate.ts';
import { mortalCluster } from './mortal-cluster.ts';

/** What one PostgreSQL has in the place of the cluster's functions. */
const stubs = `
CREATE FUNCTION create_distributed_table(table_name regclass, distribution_column text, colocate_with text DEFAULT 'default') RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION create_reference_table(table_name regclass) RETURNS void LANGUAGE sql AS ''`;

type Side = Pick<Pool, 'query'>;

/** Which row gets which number of a column that is added is left open, as is how often a tool had to begin. */
const tables = `SELECT table_schema AS schema, table_name AS name, array_agg(quote_ident(column_name) ORDER BY ordinal_position) FILTER (WHERE data_type NOT LIKE 'timestamp%' AND column_name <> 'number'
    AND (table_name <> 'knex_migrations' OR column_name = 'name')) AS columns
  FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema', 'shardwright') GROUP BY 1, 2 ORDER BY 1, 2`;

/** As migration tools look at a schema. */
const looks = [
  `SELECT table_schema, table_name, column_name, ordinal_position, column_default, is_nullable, data_type, udt_schema, udt_name, character_maximum_length, numeric_precision, numeric_scale, is_identity
    FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema', 'shardwright') ORDER BY 1, 2, 4`,
  `SELECT conrelid::regclass::text AS t, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE connamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'shardwright') ORDER BY 1, 2`,
  `SELECT schemaname, indexname, indexdef FROM pg_indexes WHERE schemaname NOT IN ('pg_catalog', 'shardwright') ORDER BY 1, 2`,
  `SELECT enumtypid::regtype::text AS t, enumlabel FROM pg_enum ORDER BY 1, enumsortorder`,
];

async function seen(side: Side): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const text of looks) found.push((await side.query(text)).rows);
  for (const { schema, name, columns } of (await side.query<{ schema: string; name: string; columns: string[] | string }>(tables)).rows) {
    const list = typeof columns === 'string' ? columns.slice(1, -1) : columns.join(', ');
    found.push(name, (await side.query({ text: `SELECT ${list} FROM "${schema}"."${name}"`, rowMode: 'array' })).rows.map((row) => JSON.stringify(row)).toSorted());
  }
  return found;
}

interface Statement {
  readonly migration: string;
  readonly index: number;
}

interface Victim {
  readonly cluster: Cluster;
  readonly connectionString: string;
  readonly tool: Tool;
}

/** How many messages to servers behind the start of a statement all connections end: as the first server has it, in the midst of it, at its end or a statement later. */
const messagesSent = [1, 2, 4, 6];

/** Clusters that end as if killed, each at one of the statements. What one has done, the next one goes on from. Returns how many did not come to their end before. */
async function endAtEach(statements: readonly Statement[], { cluster, connectionString, tool }: Victim): Promise<number> {
  let ended = 0;
  for (const [i, { migration, index }] of statements.entries()) {
    // The one before has ended behind the last statement of it.
    if (await isDone(cluster, tool, migration)) continue;
    const mortal = mortalCluster(connectionString);
    const messages = messagesSent[i % messagesSent.length] ?? 0;
    const marker = `at ${migration} ${index}`;
    const migrated = migrateOnce(mortal.cluster, tool, (name, n) => {
      if (name !== migration || n !== index) return undefined;
      if (isOneText(tool)) mortal.dieBehind(marker, messages);
      else mortal.dieAfter(messages);
      return `SELECT '${marker}'`;
    });
    ended += await Promise.race([mortal.died.then(() => 1), migrated.then(() => 0)]);
    await migrated.catch(() => undefined);
    await mortal.bury();
    await settled(cluster);
  }
  return ended;
}

async function migrateOnce(side: Cluster | Pool, tool: Tool, onStatement?: OnStatement): Promise<string[]> {
  const client = await side.connect();
  try {
    return await migrate(tool, client, onStatement);
  } finally {
    client.release(true);
  }
}

/** How far into a statement a process dies: before the server has seen it, in the midst of it, or some statements later. */
const delaysMs = [0, 6, 20];

/** Processes that are killed with -9, each at one of the statements. The next one is started while one migrates. */
async function killAtEach(statements: readonly Statement[], { cluster, connectionString, tool }: Victim): Promise<void> {
  const start = (): ChildProcess =>
    spawn(process.execPath, [...scriptArguments(new URL('migrating-process.ts', import.meta.url)), connectionString, tool], { stdio: ['pipe', 'ignore', 'inherit'] });
  let next = start();
  try {
    for (const [i, { migration, index }] of statements.entries()) {
      // The one before has died some statements later, or after the last one.
      if (await isDone(cluster, tool, migration)) continue;
      const child = next;
      next = start();
      const ended = once(child, 'exit');
      child.stdin?.write(`${migration} ${index} ${delaysMs[i % delaysMs.length]}\n`);
      expect(await ended).toEqual([null, 'SIGKILL']);
      await settled(cluster);
    }
  } finally {
    next.kill('SIGKILL');
  }
}

/** Nothing of the dead is left. */
async function settled(cluster: Cluster): Promise<void> {
  await expect.poll(async () => {
    await cluster.recover();
    return (await cluster.transactions()).length;
  }, { timeout: 30_000, interval: 20 }).toBe(0);
}

function isOneText(tool: Tool): boolean {
  return tool === 'prisma' || tool === 'node-pg-migrate';
}

const histories: Readonly<Record<Tool, string>> = {
  knex: 'SELECT name FROM knex_migrations', flyway: 'SELECT script AS name FROM flyway_schema_history', ...allOf(['drizzle', 'prisma', 'node-pg-migrate'], 'SELECT name FROM tool.migrations'),
};

function allOf<K extends string, V>(keys: readonly K[], value: V): Record<K, V> {
  return Object.fromEntries(keys.map((key) => [key, value])) as Record<K, V>;
}

async function isDone(cluster: Cluster, tool: Tool, migration: string): Promise<boolean> {
  // The first process may have died before the history was there.
  const { rows } = await cluster.query<{ name: string }>(histories[tool]).catch(() => ({ rows: [] }));
  return rows.some(({ name }) => name === migration);
}

/** All of drizzle's history is one transaction, which begins anew each time: every third statement will do, since each ends elsewhere in it or in the next. */
const endedAt = (tool: Tool, all: readonly Statement[]): readonly Statement[] => (tool === 'drizzle' ? all.filter((_, i) => i % 3 === 1) : all);

/** Where processes are killed in earnest: each takes seconds. */
const killed: Readonly<Record<Tool, readonly number[]>> = { knex: [1, 9], flyway: [5], drizzle: [14], prisma: [], 'node-pg-migrate': [2] };

test.each(tools)('a history of %s, twice, and ended at each statement, gives the schema and rows of one PostgreSQL', async (tool) => {
  await using databases = await createTestDatabases({ nodes: 2 });
  await using reference = await createTestDatabases({ nodes: 0 });
  const { connectionString } = databases.coordinator;
  const cluster = new Cluster({ connectionString });
  const plain = new Pool({ connectionString: reference.coordinator.connectionString });
  const statements: Statement[] = [];
  const twice = async (side: Cluster | Pool): Promise<void> => {
    await migrateOnce(side, tool, (migration, index) => {
      statements.push({ migration, index });
      return undefined;
    });
    expect(await migrateOnce(side, tool)).toEqual([]);
  };
  try {
    for (const { host, port, database } of databases.nodes) await cluster.addNode({ host, port, database });
    await plain.query(stubs);
    await twice(plain);
    const all = statements.slice();
    await killAtEach(all.filter((_, i) => killed[tool].includes(i)), { cluster, connectionString, tool });
    const points = endedAt(tool, all);
    const ended = await endAtEach(points, { cluster, connectionString, tool });
    expect(ended).toBeGreaterThan(points.length / 4);
    await twice(cluster);
    expect((await cluster.tables()).length).toBeGreaterThan(1);
    expect(await seen(cluster)).toEqual(await seen(plain));
    expect((await cluster.checkSchema()).differences).toEqual([]);
  } finally {
    await Promise.all([cluster.end(), plain.end()]);
  }
}, 300_000);
