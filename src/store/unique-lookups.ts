import { at } from '../base/assert.ts';
import { type ShardId, shardId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnections } from '../cluster/node-connection.ts';

interface Change extends CallOptions {
  readonly coordinator: Pick<NodeConnections, 'query'>;
}

/** A lookup as it is stored. */
export interface StoredLookup {
  readonly id: number;
  readonly name: string;
  readonly lookupTable: number;
  readonly valid: boolean;
  /** While it is built: shards all of whose rows are in it. */
  readonly filled: ReadonlySet<ShardId>;
}

export interface LookupOf {
  /** OID of the shell. */
  readonly table: number;
  readonly columns: readonly string[];
}

export async function findLookup({ coordinator, signal }: Change, { table, columns }: LookupOf): Promise<StoredLookup | undefined> {
  const { rows } = await coordinator.query({
    text: `SELECT lookup_id, name, lookup_relation::oid, state, array_to_json(filled_shards) FROM shardwright.unique_lookup WHERE relation = $1::oid AND columns = $2::text[]`, values: [table, columns],
  }, { signal });
  const [id, name, lookupTable, state, filled] = rows[0] ?? [];
  if (id === undefined) return undefined;
  return { id: Number(id), name: name ?? '', lookupTable: Number(lookupTable), valid: state === 'valid', filled: new Set((JSON.parse(filled ?? '[]') as number[]).map(shardId)) };
}

/** Whether a table has a lookup of this name. */
export async function hasLookupNamed({ coordinator, signal }: Change, { table, name }: { readonly table: number; readonly name: string }): Promise<boolean> {
  const { rows } = await coordinator.query({ text: 'SELECT FROM shardwright.unique_lookup WHERE relation = $1::oid AND name = $2', values: [table, name] }, { signal });
  return rows.length > 0;
}

/** The name of a lookup that is of a table of which this one is a partition. */
export async function lookupAbove({ coordinator, signal }: Change, table: number): Promise<string | undefined> {
  const { rows } = await coordinator.query({ text: 'SELECT l.name FROM pg_partition_ancestors($1::oid) a JOIN shardwright.unique_lookup l ON l.relation = a.relid WHERE a.relid <> $1::oid LIMIT 1', values: [table] }, { signal });
  return rows[0]?.[0] ?? undefined;
}

/** An id that no lookup has, nor ever had. */
export async function newLookupId({ coordinator, signal }: Change): Promise<number> {
  const { rows } = await coordinator.query({ text: `SELECT nextval(pg_get_serial_sequence('shardwright.unique_lookup', 'lookup_id'))` }, { signal });
  return Number(at(rows, 0)[0]);
}

export async function insertLookup({ coordinator, signal }: Change, { id, table, columns, name, lookupTable }: LookupOf & Pick<StoredLookup, 'id' | 'name' | 'lookupTable'>): Promise<void> {
  await coordinator.query({
    text: `INSERT INTO shardwright.unique_lookup (lookup_id, relation, columns, name, lookup_relation) OVERRIDING SYSTEM VALUE VALUES ($1, $2::oid, $3, $4, $5::oid)`,
    values: [id, table, columns, name, lookupTable],
  }, { signal });
}

export async function noteFilled({ coordinator, signal }: Change, id: number, shard: ShardId): Promise<void> {
  await coordinator.query({ text: 'UPDATE shardwright.unique_lookup SET filled_shards = filled_shards || $2::bigint WHERE lookup_id = $1', values: [id, shard] }, { signal });
}

export async function validateLookup({ coordinator, signal }: Change, id: number): Promise<void> {
  await coordinator.query({ text: `UPDATE shardwright.unique_lookup SET state = 'valid', filled_shards = '{}' WHERE lookup_id = $1`, values: [id] }, { signal });
}

export async function deleteLookup({ coordinator, signal }: Change, id: number): Promise<void> {
  await coordinator.query({ text: 'DELETE FROM shardwright.unique_lookup WHERE lookup_id = $1', values: [id] }, { signal });
}
