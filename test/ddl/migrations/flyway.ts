import { readdirSync, readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { PoolClient } from 'pg';
import { fixturesOf } from './fixtures-folder.ts';
import type { OnStatement } from './migrate.ts';

interface Script {
  /** Undefined of a repeatable one, which runs again when it has changed. */
  readonly version: readonly number[] | undefined;
  readonly name: string;
  readonly sql: string;
  readonly checksum: number;
}

const folder = fixturesOf('flyway');

/** `V2.1__name.sql` by their numbers, then `R__name.sql`; with placeholders replaced. */
function scripts(): Script[] {
  const all = readdirSync(folder).map((name): Script => {
    const text = readFileSync(new URL(name, folder), 'utf8');
    const version = /^V([\d.]+)__/.exec(name)?.[1]?.split('.').map(Number);
    return { version, name, sql: text.replaceAll('${region}', 'eu'), checksum: crc32(text) | 0 };
  });
  const place = ({ version: [major = Infinity, minor = 0] = [] }: Script): number => major * 1000 + minor;
  return all.toSorted((a, b) => place(a) - place(b));
}

const history = `CREATE TABLE IF NOT EXISTS flyway_schema_history (installed_rank int PRIMARY KEY, version varchar(50), description varchar(200) NOT NULL, type varchar(20) NOT NULL, script varchar(1000) NOT NULL,
  checksum int, installed_by varchar(100) NOT NULL, installed_on timestamp NOT NULL DEFAULT now(), execution_time int NOT NULL, success boolean NOT NULL)`;

/** As Flyway does with PostgreSQL: each script in a transaction with its row of the history, statement by statement; but one that builds an index concurrently in none. */
export async function flyway(client: PoolClient, onStatement: OnStatement): Promise<string[]> {
  await client.query('SELECT pg_advisory_lock(77431708279161)');
  await client.query(history);
  const { rows } = await client.query<{ script: string; checksum: number }>('SELECT script, checksum FROM flyway_schema_history WHERE success');
  const pending = scripts().filter((script) => !rows.some((row) => row.script === script.name && (script.version !== undefined || row.checksum === script.checksum)));
  for (const [i, { version, name, sql, checksum }] of pending.entries()) {
    const inTransaction = !sql.includes('CONCURRENTLY');
    if (inTransaction) await client.query('BEGIN');
    const statements = sql.split(/;\s*\n/).filter((text) => text.trim() !== '');
    for (const [n, text] of statements.entries()) {
      onStatement(name, n);
      await client.query(text);
    }
    onStatement(name, statements.length);
    await client.query(`INSERT INTO flyway_schema_history (installed_rank, version, description, type, script, checksum, installed_by, execution_time, success) VALUES ($1, $2, $3, 'SQL', $4, $5, current_user, 0, true)`,
      [rows.length + i + 1, version?.join('.') ?? null, name.replace(/^\w[\d.]*__|\.sql$/g, '').replaceAll('_', ' '), name, checksum]);
    if (inTransaction) await client.query('COMMIT');
  }
  await client.query('SELECT pg_advisory_unlock(77431708279161)');
  return pending.map(({ name }) => name);
}
