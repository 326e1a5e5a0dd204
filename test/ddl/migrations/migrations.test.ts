import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Pool } from 'pg';
import { expect, test } from 'vitest';
import { Cluster } from '../../../src/index.ts';
import { createTestDatabases } from '../../support/test-databases.ts';
import { migrate, type Tool, tools } from './migrate.ts';
import { scriptArguments } from '../../support/child-script.ts';

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

/** How far into a statement the process dies: before the server has seen it, in the midst of it, or some statements later. */
const delaysMs = [0, 6, 20];

interface Statement {
  readonly migration: string;
  readonly index: number;
}

/** Processes that are killed with -9, each at one of the statements. The next one is started while one migrates. */
async function killAtEach(statements: readonly Statement[], { cluster, connectionString, tool }: { readonly cluster: Cluster; readonly connectionString: string; readonly tool: Tool }): Promise<void> {
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
      await expect.poll(async () => {
        await cluster.recover();
        return (await cluster.transactions()).length;
      }, { timeout: 30_000 }).toBe(0);
    }
  } finally {
    next.kill('SIGKILL');
  }
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

/** At each statement of one tool that has a transaction for each migration, where processes die in all of them, and at some of the others: each kill takes a process. */
const chosen: Readonly<Record<Tool, (statements: readonly Statement[]) => readonly Statement[]>> = {
  knex: (all) => all,
  flyway: (all) => all.filter((_, i) => i % 3 === 2),
  drizzle: (all) => all.filter((_, i) => i % 15 === 14),
  prisma: () => [],
  'node-pg-migrate': (all) => all.filter((_, i) => i === 2 || i === 6),
};

test.each(tools)('a history of %s, twice, and killed on the way, gives the schema and rows of one PostgreSQL', async (tool) => {
  await using databases = await createTestDatabases({ nodes: 2 });
  await using reference = await createTestDatabases({ nodes: 0 });
  const { connectionString } = databases.coordinator;
  const cluster = new Cluster({ connectionString });
  const plain = new Pool({ connectionString: reference.coordinator.connectionString });
  const statements: Statement[] = [];
  const twice = async (side: Cluster | Pool): Promise<void> => {
    const client = await side.connect();
    await migrate(tool, client, (migration, index) => void statements.push({ migration, index }));
    expect(await migrate(tool, client)).toEqual([]);
    client.release();
  };
  try {
    for (const { host, port, database } of databases.nodes) await cluster.addNode({ host, port, database });
    await plain.query(stubs);
    await twice(plain);
    await killAtEach(chosen[tool](statements), { cluster, connectionString, tool });
    await twice(cluster);
    expect((await cluster.tables()).length).toBeGreaterThan(1);
    expect(await seen(cluster)).toEqual(await seen(plain));
    expect((await cluster.checkSchema()).differences).toEqual([]);
  } finally {
    await Promise.all([cluster.end(), plain.end()]);
  }
}, 300_000);
