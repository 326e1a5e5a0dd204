import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import { shown } from './compared-rows.ts';

/** What a unique index says, as SQL over a table that is called `t`. */
const indexQuery = `
SELECT x.relname, pg_catalog.pg_get_expr(i.indpred, i.indrelid), i.indnullsnotdistinct,
  (SELECT pg_catalog.array_to_json(pg_catalog.array_agg(pg_catalog.format('(%s)', pg_catalog.pg_get_indexdef(i.indexrelid, k.place::int4, false))
    || CASE WHEN c.oid IS NULL THEN '' ELSE pg_catalog.format(' COLLATE %I.%I', n.nspname, c.collname) END ORDER BY k.place))
   FROM pg_catalog.unnest(i.indcollation::oid[]) WITH ORDINALITY AS k (collated, place)
   LEFT JOIN pg_catalog.pg_collation c ON c.oid = k.collated LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
   WHERE k.place <= i.indnkeyatts)
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
WHERE i.indrelid = $1::text::pg_catalog.regclass AND i.indisunique AND i.indisvalid AND NOT i.indisexclusion ORDER BY 1`;

interface UniqueIndex {
  readonly name: string;
  readonly keys: readonly string[];
  readonly predicate: string | null;
  readonly nullsEqual: boolean;
}

export interface Duplicates {
  readonly index: string;
  readonly key: string;
  readonly rows: number;
}

/**
 * Rows that are equal where a unique index says that none are: an index that a change of the system's collations has put out of order lets them in. Sorts or hashes the table's rows themselves, without any
 * index, once for each unique index. In a transaction under `definitionSettings`.
 */
export async function findDuplicates(connection: NodeConnection, sql: string, { signal, max }: CallOptions & { readonly max: number }): Promise<Duplicates[]> {
  const found: Duplicates[] = [];
  await connection.query({ text: 'SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan = off', simple: true }, { signal });
  const { rows: indexes } = await connection.query({ text: indexQuery, values: [sql] }, { signal });
  for (const [name, predicate, nullsEqual, keys] of indexes) {
    const index = { name: name ?? '', predicate: predicate ?? null, nullsEqual: nullsEqual === 't', keys: JSON.parse(keys ?? '[]') as string[] };
    const { rows } = await connection.query({ text: duplicatesSql(sql, index, max) }, { signal });
    found.push(...rows.map(([key, count]) => ({ index: index.name, key: key ?? '', rows: Number(count) })));
  }
  return found;
}

function duplicatesSql(sql: string, { keys, predicate, nullsEqual }: UniqueIndex, max: number): string {
  const names = keys.map((_, i) => `k${i}`);
  const conditions = nullsEqual ? [] : names.map((name) => `${name} IS NOT NULL`);
  const rows = `SELECT ${keys.map((key, i) => `${key} AS k${i}`).join(', ')} FROM ${sql} AS t${predicate === null ? '' : ` WHERE ${predicate}`}`;
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  return `SELECT ${shown(`ROW(${names.join(', ')})::text`)}, pg_catalog.count(*) FROM (${rows}) AS s${where} GROUP BY ${names.join(', ')} HAVING pg_catalog.count(*) > 1 LIMIT ${max}`;
}
