import type { CallOptions, NodeConnections } from '../cluster/node-connection.ts';
import { firstUserOid } from '../sql/values/type-oid.ts';

/** OIDs of the types of columns as results of queries have them: a domain's is that of the type below it. */
export type ColumnTypes = ReadonlyMap<string, number>;

const query = `
WITH RECURSIVE columns AS (
  SELECT attrelid, attname, atttypid AS type FROM pg_catalog.pg_attribute WHERE attrelid = ANY ($1::oid[]) AND attnum > 0 AND NOT attisdropped),
below AS (
  SELECT oid AS domain, typbasetype AS type FROM pg_catalog.pg_type WHERE typtype = 'd'
  UNION ALL SELECT b.domain, t.typbasetype FROM below b JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE t.typtype = 'd')
SELECT attrelid, attname, coalesce((SELECT b.type FROM below b JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE b.domain = c.type AND t.typtype <> 'd' LIMIT 1), type) FROM columns c`;

/** By the OID of the shell, and the name of the column. */
export async function readColumnTypes(coordinator: Pick<NodeConnections, 'query'>, tables: readonly number[], options?: CallOptions): Promise<ReadonlyMap<number, ColumnTypes>> {
  const { rows } = await coordinator.query({ text: query, values: [`{${tables.join(',')}}`] }, options);
  const types = new Map(tables.map((oid) => [oid, new Map<string, number>()]));
  for (const [table, column, type] of rows) types.get(Number(table))?.set(column ?? '', Number(type));
  return types;
}

/** What a node's type is in the coordinator database; undefined for one that the shell's column does not tell, which stays text. */
export function typeOf(column: { readonly name: string; readonly type: number }, shell: ColumnTypes | undefined): number | undefined {
  return column.type < firstUserOid ? column.type : shell?.get(column.name);
}
