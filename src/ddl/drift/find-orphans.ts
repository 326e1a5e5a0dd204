import type { CatalogSnapshot, ClusterNode } from '../../catalog/catalog-snapshot.ts';
import { shardName } from '../../catalog/shard-name.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import type { SchemaDifference } from './schema-report.ts';

interface Searched extends CallOptions {
  readonly snapshot: CatalogSnapshot;
  readonly node: ClusterNode;
  readonly name: string;
  /** Schemas that are a move's own, quoted: what is in them will be, or was, in its place. */
  readonly ofJobs: ReadonlySet<string>;
}

/** The hash constraint of a shard tells it from a table that happens to be called alike. */
const candidates = `
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relname ~ '_[0-9]{6,15}$'
  AND EXISTS (SELECT FROM pg_constraint o WHERE o.conrelid = c.oid AND o.contype = 'c' AND o.conname = 'shardwright_hash' || substring(c.relname FROM '_[0-9]+$'))
ORDER BY 1, 2`;

/** Shards that the catalog does not have, or has on another node. */
export async function findOrphans(connection: NodeConnection, { snapshot, node, name, ofJobs, signal }: Searched): Promise<SchemaDifference[]> {
  const { rows } = await connection.query({ text: candidates }, { signal });
  const known = new Set(shardsOn(snapshot, node));
  return rows.flatMap(([schema, shard]): SchemaDifference[] => {
    const sql = quoteQualified(schema ?? '', shard ?? '');
    if (known.has(sql) || ofJobs.has(quoteIdentifier(schema ?? ''))) return [];
    return [{ schema: null, table: null, node: name, shard: shard ?? '', what: `shard ${sql}`, expected: null, found: 'a table that the catalog does not have on this node', repair: `DROP TABLE ${sql}` }];
  });
}

function shardsOn(snapshot: CatalogSnapshot, node: ClusterNode): string[] {
  return [...snapshot.tables.values()].flatMap((table) => {
    if (table.kind === 'reference') return [quoteQualified(table.schema, shardName(table.name, table.shardId))];
    const groups = snapshot.colocationGroups.get(table.colocationId)?.shardGroups ?? [];
    return table.shardIds.filter((_, ordinal) => groups[ordinal]?.node === node.id).map((id) => quoteQualified(table.schema, shardName(table.name, id)));
  });
}
