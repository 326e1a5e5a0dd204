import type { NodeConnections } from '../cluster/node-connection.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';

/** How the log tells a table's rows apart, as it stands behind REPLICA IDENTITY. */
export interface ReplicaIdentity {
  /** Of the table. */
  readonly oid: string;
  readonly now: string;
  /** What a stream of changes needs: the same where that tells rows apart, else a unique index, else whole rows. */
  readonly needed: string;
}

/**
 * A deferrable key does not count, nor one with a generated column, which is not streamed. An index will do whose columns are all NOT NULL. Ordered so that the table's own choice comes first.
 */
const query = `
SELECT c.oid, c.relreplident, i.name, i.own, own.relname
FROM pg_catalog.pg_class c
LEFT JOIN LATERAL (
  SELECT x.relname AS name, CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END AS own
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
    AND NOT EXISTS (SELECT FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY k (position, place)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.position
      WHERE k.place <= i.indnkeyatts AND (NOT a.attnotnull OR a.attgenerated <> ''))
  ORDER BY own DESC, i.indisprimary DESC, x.relname LIMIT 1) i ON true
LEFT JOIN pg_catalog.pg_index r ON r.indrelid = c.oid AND r.indisreplident
LEFT JOIN pg_catalog.pg_class own ON own.oid = r.indexrelid
WHERE c.oid = $1::text::pg_catalog.regclass`;

/** `table.sql` is quoted and qualified. */
export async function readReplicaIdentity(source: Pick<NodeConnections, 'query'>, table: { readonly sql: string }, signal?: AbortSignal): Promise<ReplicaIdentity> {
  const { rows } = await source.query({ text: query, values: [table.sql] }, { signal });
  const [oid, setting, index, own, chosen] = rows[0] ?? [];
  const now = setting === 'f' ? 'FULL' : setting === 'n' ? 'NOTHING' : setting === 'i' && typeof chosen === 'string' ? usingIndex(chosen) : 'DEFAULT';
  const isEnough = setting === 'f' || own === 't';
  return { oid: oid ?? '', now, needed: isEnough ? now : typeof index === 'string' ? usingIndex(index) : 'FULL' };
}

function usingIndex(name: string): string {
  return `USING INDEX ${quoteIdentifier(name)}`;
}
