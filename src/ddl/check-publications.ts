import { ClusterError } from '../base/errors.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import { readNodeIdentity } from '../store/node-identity.ts';
import type { TableDefinition } from './table-definition.ts';

/**
 * Where the coordinator database is a node itself, a publication of all tables, or of all in a schema, would publish whatever is copied into shards there, and reference tables a second time: `unsupportedTable`.
 */
export async function checkPublications(coordinator: NodeConnection, tables: readonly TableDefinition[], options: CallOptions): Promise<void> {
  const found = tables.flatMap((table) => (table.publications ?? []).flatMap((entry) => (entry.whole ? [{ table, entry }] : [])))[0];
  if (found === undefined || (await readNodeIdentity(coordinator, options)) === undefined) return;
  const { table: { schema, name: table }, entry } = found;
  throw new ClusterError('unsupportedTable', `publication "${entry.name}" cannot have distributed table "${table}" as one of all tables`, {
    detail: 'The coordinator database is a node itself, so that the publication would have the shards there as tables, while rows are copied into them too.', hint: 'Name the tables: CREATE PUBLICATION … FOR TABLE ….', schema, table,
  });
}
