import { pipeline } from 'node:stream/promises';
import { Client } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { movedColumns } from './moved-table.ts';

export interface BareCopy {
  /** Connection strings. */
  readonly from: string;
  readonly to: string;
  /** Of the source, as `makeMovedTable` makes it; the copy is removed again. */
  readonly table: string;
}

/** What is done to the bytes of a shard that moves, by hand, for a table that nobody writes to: COPY from one server to another, keys and indexes, statistics, a hash of each row on both sides. */
export async function bareCopy({ from, to, table }: BareCopy): Promise<void> {
  const [source, target] = [from, to].map((connectionString) => new Client({ connectionString })) as [Client, Client];
  await Promise.all([source.connect(), target.connect()]);
  try {
    await target.query(`DROP TABLE IF EXISTS ${table}; CREATE TABLE ${table} (${movedColumns}) WITH (autovacuum_enabled = false)`);
    await target.query(`BEGIN; TRUNCATE ${table}`);
    await pipeline(source.query(copyTo(`COPY ${table} TO STDOUT (FORMAT binary)`)), target.query(copyFrom(`COPY ${table} FROM STDIN (FORMAT binary, FREEZE)`)));
    await target.query(`COMMIT; ALTER TABLE ${table} ADD PRIMARY KEY (tenant_id, id); CREATE INDEX ON ${table} (made); ANALYZE ${table}`);
    await Promise.all([source, target].map((client) => client.query(`SELECT sum(hash_record_extended(t, 0)::numeric) FROM ${table} t`)));
    await target.query(`DROP TABLE ${table}`);
  } finally {
    await Promise.all([source.end(), target.end()]);
  }
}
