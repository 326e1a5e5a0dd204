import { readdirSync, readFileSync } from 'node:fs';
import type { PoolClient } from 'pg';

export const tools = ['drizzle', 'prisma', 'node-pg-migrate'] as const;
export type Tool = (typeof tools)[number];

interface Migration {
  readonly name: string;
  readonly sql: string;
}

/** The migrations of a tool's history, in order. */
function historyOf(tool: Tool): Migration[] {
  const folder = new URL(`fixtures/${tool}/`, import.meta.url);
  return readdirSync(folder).toSorted().map((name) => ({ name, sql: readFileSync(new URL(tool === 'prisma' ? `${name}/migration.sql` : name, folder), 'utf8') }));
}

/**
 * Does what the tool does with what it has not done yet: takes its lock, sends each migration in its way, and writes down that it is done. Returns the names of what it ran. Where the tool has a transaction
 * for each migration, those that call functions of the cluster are run without, which node-pg-migrate has a comment for.
 */
export async function migrate(tool: Tool, client: PoolClient, onDone: (name: string) => void = () => undefined): Promise<string[]> {
  await client.query('SELECT pg_advisory_lock(72707369)');
  await client.query('CREATE SCHEMA IF NOT EXISTS tool; CREATE TABLE IF NOT EXISTS tool.migrations (name text PRIMARY KEY, at timestamptz DEFAULT now())');
  const { rows } = await client.query<{ name: string }>('SELECT name FROM tool.migrations ORDER BY name');
  const pending = historyOf(tool).filter(({ name }) => !rows.some((row) => row.name === name));
  for (const migration of pending) {
    await senders[tool](client, migration);
    onDone(migration.name);
  }
  await client.query('SELECT pg_advisory_unlock(72707369)');
  return pending.map(({ name }) => name);
}

const done = 'INSERT INTO tool.migrations (name) VALUES ($1)';

const senders: Readonly<Record<Tool, (client: PoolClient, migration: Migration) => Promise<void>>> = {
  drizzle: (client, { name, sql }) => inTransaction(client, !/SELECT create_/.test(sql), async () => {
    for (const statement of sql.split('--> statement-breakpoint')) await client.query(statement);
    await client.query(done, [name]);
  }),
  /** All of a file is one text. */
  prisma: async (client, { name, sql }) => {
    await client.query(sql);
    await client.query(done, [name]);
  },
  'node-pg-migrate': (client, { name, sql }) => inTransaction(client, !sql.includes('pgm.noTransaction'), async () => {
    await client.query(sql);
    await client.query(done, [name]);
  }),
};

async function inTransaction(client: PoolClient, wanted: boolean, work: () => Promise<void>): Promise<void> {
  if (wanted) await client.query('BEGIN');
  await work();
  if (wanted) await client.query('COMMIT');
}
