import { readdirSync } from 'node:fs';
import type { PoolClient } from 'pg';
import { fixturesOf } from './fixtures-folder.ts';
import type { OnStatement } from './migrate.ts';

interface Migration {
  readonly up: (knex: { raw(sql: string, bindings?: readonly unknown[]): Promise<unknown> }) => Promise<void>;
  readonly config?: { readonly transaction?: boolean };
}

const folder = fixturesOf('knex');

const tables = `CREATE TABLE IF NOT EXISTS knex_migrations (id serial PRIMARY KEY, name varchar(255), batch integer, migration_time timestamptz);
  CREATE TABLE IF NOT EXISTS knex_migrations_lock (index serial PRIMARY KEY, is_locked integer);
  INSERT INTO knex_migrations_lock (is_locked) SELECT 0 WHERE NOT EXISTS (SELECT FROM knex_migrations_lock)`;

/** As Knex does: a lock that is a row, then each file in a transaction with its row, unless it says otherwise. A lock that a dead process has left is taken away as by `knex migrate:unlock`. */
export async function knex(client: PoolClient, onStatement: OnStatement): Promise<string[]> {
  await client.query(tables);
  await client.query('UPDATE knex_migrations_lock SET is_locked = 0');
  await client.query('UPDATE knex_migrations_lock SET is_locked = 1 WHERE is_locked = 0');
  const { rows } = await client.query<{ name: string; batch: number }>('SELECT name, batch FROM knex_migrations ORDER BY id');
  const pending = readdirSync(folder).toSorted().filter((name) => !rows.some((row) => row.name === name));
  for (const name of pending) {
    const { up, config } = (await import(new URL(name, folder).href)) as Migration;
    const inTransaction = config?.transaction !== false;
    let count = 0;
    const query = (text: string, values: readonly unknown[] = []): Promise<unknown> => {
      onStatement(name, count);
      count += 1;
      return client.query(text, [...values]);
    };
    if (inTransaction) await client.query('BEGIN');
    await up({ raw: (sql, bindings = []) => query(numbered(sql), bindings) });
    await query('INSERT INTO knex_migrations (name, batch, migration_time) VALUES ($1, $2, now())', [name, (rows.at(-1)?.batch ?? 0) + 1]);
    if (inTransaction) await client.query('COMMIT');
  }
  await client.query('UPDATE knex_migrations_lock SET is_locked = 0');
  return pending;
}

/** `?` of bindings as PostgreSQL's parameters. */
function numbered(sql: string): string {
  let count = 0;
  return sql.replaceAll('?', () => `$${(count += 1)}`);
}
