import { assert, present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { tableKey } from '../catalog/catalog-snapshot.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import { shardDefinitionsQuery, tableDefinitionsQuery } from '../store/table-definitions.ts';
import type { TableDefinition } from './table-definition.ts';

/** Reads a table's definition; the transaction must have `definitionSettings`, and a lock that keeps the definition from changing. */
export async function readDefinition(coordinator: NodeConnection, oid: number, options?: CallOptions): Promise<TableDefinition> {
  return present((await readPresentDefinitions(coordinator, [oid], options)).get(oid));
}

/** As `readDefinitions`, of tables that have to be there: `undefinedTable` when one is gone. */
export async function readPresentDefinitions(coordinator: NodeConnection, oids: readonly number[], options?: CallOptions): Promise<Map<number, TableDefinition>> {
  const definitions = await readDefinitions(coordinator, oids, options);
  const gone = oids.find((oid) => !definitions.has(oid));
  if (gone !== undefined) throw new ClusterError('undefinedTable', `relation with OID ${gone} does not exist`);
  return definitions;
}

/** Those of several tables, by OID; of what is gone there is none. Indexes of rows that are not valid are no part of the definition yet: shards get them when they are. */
export async function readDefinitions(coordinator: NodeConnection, oids: readonly number[], options?: CallOptions): Promise<Map<number, TableDefinition>> {
  if (oids.length === 0) return new Map();
  const { rows } = await coordinator.query({ text: tableDefinitionsQuery(), values: [oids] }, options);
  return new Map(rows.map(([document]) => {
    const definition = definitionOf(document);
    return [definition.oid, { ...definition, indexes: (definition.indexes ?? []).filter(({ valid }) => valid || definition.partitionKey !== null) }];
  }));
}

/** A table and all below it that are its partitions, parents first. */
export async function readTree(coordinator: NodeConnection, table: TableDefinition, options?: CallOptions): Promise<TableDefinition[]> {
  if (table.partitionKey === null) return [table];
  const { rows } = await coordinator.query({ text: 'SELECT relid::oid FROM pg_partition_tree($1::oid) ORDER BY level, relid', values: [table.oid] }, options);
  const oids = rows.map(([oid]) => Number(oid));
  const definitions = await readDefinitions(coordinator, oids, options);
  return oids.map((oid) => present(definitions.get(oid)));
}

/** What a partition is a partition of, and so on. */
export async function readAncestors(coordinator: NodeConnection, table: TableDefinition, options?: CallOptions): Promise<TableDefinition[]> {
  if (table.partitionOf === null) return [];
  const { rows } = await coordinator.query({ text: 'SELECT relid::oid FROM pg_partition_ancestors($1::oid) WHERE relid <> $1::oid', values: [table.oid] }, options);
  return [...(await readDefinitions(coordinator, rows.map(([oid]) => Number(oid)), options)).values()];
}

/** The definitions of shards, as their node has them, by `tableKey`; those that do not exist are left out. Of other tables it tells nothing of their distribution. */
export async function readShardDefinitions(
  node: NodeConnection,
  shards: readonly { readonly schema: string; readonly name: string }[],
  options?: CallOptions,
): Promise<Map<string, TableDefinition>> {
  if (shards.length === 0) return new Map();
  const { rows } = await node.query({ text: shardDefinitionsQuery(), values: [JSON.stringify(shards)] }, options);
  const definitions = rows.map(([document]) => definitionOf(document));
  return new Map(definitions.map((definition) => [tableKey(definition.schema, definition.name), definition]));
}

function definitionOf(document: string | null | undefined): TableDefinition {
  const definition = JSON.parse(document ?? '') as TableDefinition;
  return { ...definition, indexes: (definition.indexes ?? []).map(withoutHead) };
}

/** What follows name and table in CREATE INDEX. The head is known to the letter, so it can be cut off. */
function withoutHead<I extends { readonly head: string; readonly sql: string }>(index: I): I {
  assert(index.sql.startsWith(index.head), `unexpected index definition ${index.sql}`);
  return { ...index, sql: index.sql.slice(index.head.length) };
}
