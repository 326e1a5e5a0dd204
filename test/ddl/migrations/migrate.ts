import { readdirSync, readFileSync } from 'node:fs';
import type { PoolClient } from 'pg';
import { parseStatements } from '../../../src/sql/parse.ts';
import { fixturesOf } from './fixtures-folder.ts';
import { flyway } from './flyway.ts';
import { knex } from './knex.ts';

export const tools = ['drizzle', 'prisma', 'node-pg-migrate', 'knex', 'flyway'] as const;
export type Tool = (typeof tools)[number];

/** Called before a statement of a migration is sent, or a text of several, for each; the last one writes down that it is done. Returns a statement to be sent in front of it, in a text of several. */
export type OnStatement = (migration: string, index: number) => string | undefined;

/** Those that keep to a table and a transaction of our own making. */
type Plain = Exclude<Tool, 'knex' | 'flyway'>;

interface Migration {
  readonly name: string;
  readonly sql: string;
}

/** The migrations of a tool's history, in order. */
function historyOf(tool: Plain): Migration[] {
  const folder = fixturesOf(tool);
  return readdirSync(folder).toSorted().map((name) => ({ name, sql: readFileSync(new URL(tool === 'prisma' ? `${name}/migration.sql` : name, folder), 'utf8') }));
}

/** Does what the tool does with what it has not done yet: takes its lock, sends each migration in its way, and writes down that it is done. Returns the names of what it ran. */
export async function migrate(tool: Tool, client: PoolClient, onStatement: OnStatement = () => undefined): Promise<string[]> {
  if (tool === 'knex') return knex(client, onStatement);
  return tool === 'flyway' ? flyway(client, onStatement) : plain(tool, client, onStatement);
}

async function plain(tool: Plain, client: PoolClient, onStatement: OnStatement): Promise<string[]> {
  await client.query('SELECT pg_advisory_lock(72707369)');
  await client.query('CREATE SCHEMA IF NOT EXISTS tool; CREATE TABLE IF NOT EXISTS tool.migrations (name text PRIMARY KEY, at timestamptz DEFAULT now())');
  const { rows } = await client.query<{ name: string }>('SELECT name FROM tool.migrations ORDER BY name');
  const pending = historyOf(tool).filter(({ name }) => !rows.some((row) => row.name === name));
  // drizzle's migrator has one transaction for all.
  await inTransaction(client, tool === 'drizzle' && pending.length > 0, async () => {
    for (const migration of pending) await senders[tool](client, migration, onStatement);
  });
  await client.query('SELECT pg_advisory_unlock(72707369)');
  return pending.map(({ name }) => name);
}

const done = 'INSERT INTO tool.migrations (name) VALUES ($1)';

const senders: Readonly<Record<Plain, (client: PoolClient, migration: Migration, onStatement: OnStatement) => Promise<void>>> = {
  drizzle: async (client, { name, sql }, onStatement) => {
    for (const [i, statement] of sql.split('--> statement-breakpoint').entries()) {
      onStatement(name, i);
      await client.query(statement);
    }
    await client.query(done, [name]);
  },
  /** All of a file is one text, and so one transaction. Prisma itself writes down that it is done in another, and asks what to do when it finds that missing; here it is the text's last statement. */
  prisma: async (client, { name, sql }, onStatement) => {
    await client.query(`${asOneText(name, sql, onStatement)};\nINSERT INTO tool.migrations (name) VALUES ('${name}')`);
  },
  'node-pg-migrate': (client, { name, sql }, onStatement) => inTransaction(client, true, async () => {
    await client.query(asOneText(name, sql, onStatement));
    await client.query(done, [name]);
  }),
};

/** As it is, or with what is to be sent before its statements. */
function asOneText(name: string, sql: string, onStatement: OnStatement): string {
  const statements = parseStatements(sql).map(({ text }, i) => ({ text, before: onStatement(name, i) }));
  return statements.every(({ before }) => before === undefined) ? sql : statements.map(({ text, before }) => `${before ?? 'SELECT'};\n${text}`).join(';\n');
}

async function inTransaction(client: PoolClient, wanted: boolean, work: () => Promise<void>): Promise<void> {
  if (wanted) await client.query('BEGIN');
  await work();
  if (wanted) await client.query('COMMIT');
}
