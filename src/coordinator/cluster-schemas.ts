import { at, present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import type { MovedShardGroup } from './cluster-moves.ts';

/** A distributed schema, as `cluster.schemas()` lists it. */
export interface SchemaInfo {
  readonly name: string;
  readonly colocationId: number;
  readonly shardGroupId: number;
  readonly nodeId: number;
  /** Names of its tables, without the schema, in order. */
  readonly tables: readonly string[];
}

/** A distributed schema that was moved. */
export interface MovedSchema extends Omit<MovedShardGroup, 'jobId'> {
  /** Undefined where it had no tables: then there was nothing to do. */
  readonly jobId: string | undefined;
}

export function listSchemas({ distributedSchemas, colocationGroups, tables }: CatalogSnapshot): SchemaInfo[] {
  const bySchema = new Map<string, string[]>([...distributedSchemas.keys()].map((name) => [name, []]));
  for (const { schema, name } of tables.values()) bySchema.get(schema)?.push(name);
  return [...distributedSchemas].map(([name, colocationId]) => {
    const { id: shardGroupId, node: nodeId } = at(present(colocationGroups.get(colocationId), 'colocation group').shardGroups, 0);
    return { name, colocationId, shardGroupId, nodeId, tables: (bySchema.get(name) ?? []).sort() };
  }).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The schema that a name means, as SQL writes it. `notDistributed`. */
export function findSchema(snapshot: CatalogSnapshot, written: string): SchemaInfo {
  const quoted = /^"((?:[^"]|"")*)"$/.exec(written)?.[1]?.replaceAll('""', '"');
  const name = quoted ?? written.toLowerCase();
  const found = listSchemas(snapshot).find((schema) => schema.name === name);
  if (found !== undefined) return found;
  throw new ClusterError('notDistributed', `schema ${written} is not distributed`, { hint: 'Call createDistributedSchema() first.' });
}
