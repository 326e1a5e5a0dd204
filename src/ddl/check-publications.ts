import { ClusterError } from '../base/errors.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import { readNodeIdentity } from '../store/node-identity.ts';
import { isPublished, isUsersPublication } from '../store/publication-sql.ts';
import type { TableDefinition } from './table-definition.ts';

/**
 * Where the coordinator database is a node itself, its one publication of the name would have the table and the shards there: two sessions of one statement would wait for each other at it, and one of all tables would publish what
 * is copied into shards. `unsupportedTable`.
 */
export async function checkPublications(coordinator: NodeConnection, tables: readonly TableDefinition[], options: CallOptions): Promise<void> {
  const found = tables.flatMap(({ schema, name: table, publications }) => (publications ?? []).map(({ name }) => ({ publication: name, schema, table })))[0];
  if (found !== undefined && (await readNodeIdentity(coordinator, options)) !== undefined) throw besideShards(found);
}

/** As `checkPublications`, of all distributed and reference tables, before a node is added: it may be the coordinator database. */
export async function checkPublicationsOfNode({ coordinator, clusterId }: { readonly coordinator: NodeConnection; readonly clusterId: string }, node: NodeConnection, options: CallOptions): Promise<void> {
  const { rows: known } = await node.query({ text: `SELECT pg_catalog.to_regclass('shardwright.cluster') IS NOT NULL` }, options);
  if (known[0]?.[0] !== 't') return;
  const { rows: ids } = await node.query({ text: 'SELECT id FROM shardwright.cluster' }, options);
  if (ids[0]?.[0] !== clusterId) return;
  const { rows } = await coordinator.query({ text: publishedTable }, options);
  const [publication, schema, table] = rows[0] ?? [];
  if (typeof publication === 'string') throw besideShards({ publication, schema: schema ?? '', table: table ?? '' });
}

const publishedTable = `
SELECT p.pubname, n.nspname, c.relname FROM shardwright.distributed_table t JOIN pg_catalog.pg_class c ON c.oid = t.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_publication p ON ${isUsersPublication('p')} AND ${isPublished('p', 'c')} ORDER BY c.oid LIMIT 1`;

function besideShards({ publication, schema, table }: { readonly publication: string; readonly schema: string; readonly table: string }): ClusterError {
  return new ClusterError('unsupportedTable', `publication "${publication}" cannot have distributed table "${table}"`, {
    detail: 'The coordinator database is a node itself, whose publication of that name would have both the table and its shards.', hint: 'Keep shards on other servers, or databases, or read changes by cluster.changes().', schema, table,
  });
}
