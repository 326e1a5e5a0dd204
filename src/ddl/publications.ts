import type { NodeId } from '../catalog/ids.ts';
import { quoteIdentifier, quoteLiteral } from '../sql/identifiers.ts';
import type { PublicationEntry, TableDefinition } from './table-definition.ts';

/** What publishes a shard wherever its table is published. The node must have the publications. */
export function publishShard(sql: string, { publications }: Pick<TableDefinition, 'publications'>): string[] {
  return (publications ?? []).map((entry) => publish(sql, entry));
}

export function publish(sql: string, { name, columns, where }: PublicationEntry): string {
  return `ALTER PUBLICATION ${quoteIdentifier(name)} ADD TABLE ${sql}${columns === null ? '' : ` (${columns})`}${where === null ? '' : ` WHERE (${where})`}`;
}

/** What takes a shard out again; of what somebody has taken out on the node by hand, nothing. */
export function unpublishShard(sql: string, { publications }: Pick<TableDefinition, 'publications'>): string[] {
  return (publications ?? []).map((entry) => unpublish(sql, entry));
}

export function unpublish(sql: string, { name }: Pick<PublicationEntry, 'name'>): string {
  const there = `SELECT FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
    WHERE p.pubname = ${quoteLiteral(name)} AND r.prrelid = pg_catalog.to_regclass(${quoteLiteral(sql)})`;
  return `DO ${quoteLiteral(`BEGIN IF EXISTS (${there}) THEN ALTER PUBLICATION ${quoteIdentifier(name)} DROP TABLE ${sql}; END IF; END`)}`;
}

/** The node that publishes reference tables, whose rows are on all of them: who subscribes to every node gets each row once. `nodes` in order of id. */
export function publishingNode(nodes: readonly { readonly id: NodeId }[]): NodeId | undefined {
  return nodes[0]?.id;
}

/** The definition of a reference table as a node is to have it. */
export function publishedOn(table: TableDefinition, node: NodeId, nodes: readonly { readonly id: NodeId }[]): TableDefinition {
  return node === publishingNode(nodes) ? table : unpublished(table);
}

export function unpublished(table: TableDefinition): TableDefinition {
  return { ...table, publications: null };
}
