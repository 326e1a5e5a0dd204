import { at, present } from '../base/assert.ts';
import type { DistributedTable } from '../catalog/catalog-snapshot.ts';
import type { RawRow } from '../cluster/node-connection.ts';
import type { Placer } from '../plan/prune.ts';

/** Runs one statement on the coordinator database. */
export type AskCoordinator = (query: { readonly text: string; readonly values: readonly unknown[] }) => Promise<{ readonly rows: readonly RawRow[] }>;

/**
 * The hash of a value that only a server can read: a date in words, a time without its zone. Null when the value is NULL for the server. What is
 * no value of the column's type is the server's error.
 */
export async function askServerHash(placer: Placer, table: DistributedTable, value: unknown, ask: AskCoordinator): Promise<number | null> {
  const typeSql = present(table.distributionColumn, 'distribution column').type.sql;
  const type = present(placer.type, 'distribution type');
  const text = `SELECT v, ${type.hashSql('v')} FROM (SELECT CAST($1 AS ${typeSql}) AS v) AS s`;
  const { rows } = await ask({ text, values: [value] });
  const [canonical = null, hash = null] = at(rows, 0);
  if (canonical === null) return null;
  if (placer.group.hash === 'postgres') return Number(hash);
  return type.hashOf(canonical, placer.group.hash) ?? null;
}
