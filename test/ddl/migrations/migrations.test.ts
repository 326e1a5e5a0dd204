import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Pool } from 'pg';
import { expect, test } from 'vitest';
import { Cluster } from '../../../src/index.ts';
import { createTestDatabases } from '../../support/test-databases.ts';
import { migrate, type Tool, tools } from './migrate.ts';

/** What one PostgreSQL has in the place of the cluster's functions. */
const stubs = `
CREATE FUNCTION create_distributed_table(table_name regclass, distribution_column text, colocate_with text DEFAULT 'default') RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION create_reference_table(table_name regclass) RETURNS void LANGUAGE sql AS ''`;

type Side = Pick<Pool, 'query'>;

const tables = `SELECT table_schema AS schema, table_name AS name, array_agg(quote_ident(column_name) ORDER BY ordinal_position) FILTER (WHERE data_type NOT LIKE 'timestamp%') AS columns
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

/** A process that is killed with -9 somewhere in the migration that follows, which is a transaction. */
async function killedBehind(migration: string, connectionString: string, tool: Tool): Promise<void> {
  const child = spawn(process.execPath, ['--import', 'tsx', fileURLToPath(new URL('migrating-process.ts', import.meta.url)), connectionString, tool], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  child.stdout.on('data', (chunk: Buffer) => {
    if (chunk.toString().includes(migration)) child.kill('SIGKILL');
  });
  expect(await ended).toEqual([null, 'SIGKILL']);
}

test.each(tools)('a history of %s, twice, and killed on the way, gives the schema and rows of one PostgreSQL', async (tool) => {
  await using databases = await createTestDatabases({ nodes: 2 });
  await using reference = await createTestDatabases({ nodes: 0 });
  const cluster = new Cluster({ connectionString: databases.coordinator.connectionString });
  const plain = new Pool({ connectionString: reference.coordinator.connectionString });
  try {
    for (const { host, port, database } of databases.nodes) await cluster.addNode({ host, port, database });
    await plain.query(stubs);
    if (tool === 'node-pg-migrate') for (const stop of ['0003', '0005', '0006']) await killedBehind(stop, databases.coordinator.connectionString, tool);
    for (const side of [cluster, plain]) {
      const client = await side.connect();
      const ran = await migrate(tool, client);
      if (side === plain || tool !== 'node-pg-migrate') expect(ran).toHaveLength(8);
      expect(await migrate(tool, client)).toEqual([]);
      client.release();
    }
    expect((await cluster.tables()).length).toBeGreaterThan(2);
    expect(await seen(cluster)).toEqual(await seen(plain));
  } finally {
    await Promise.all([cluster.end(), plain.end()]);
  }
}, 120_000);
