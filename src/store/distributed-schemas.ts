import type { ColocationGroup } from '../catalog/catalog-snapshot.ts';
import { colocationId, type ColocationId, type NodeId, type ShardGroupId } from '../catalog/ids.ts';
import type { RawRow } from '../cluster/node-connection.ts';
import { runOnCatalog } from './admission.ts';
import { type Change, deleteEmptyGroups, groupById } from './catalog-changes.ts';

/** Of what is called so in SQL: quoted where need be, not qualified. */
const oidOf = 'pg_catalog.to_regnamespace(pg_catalog.quote_ident($1))';

export async function insertDistributedSchema(change: Change, schema: string, colocation: ColocationId): Promise<void> {
  await run(change, `INSERT INTO shardwright.distributed_schema (schema, colocation_id) VALUES (${oidOf}, $2)`, [schema, colocation]);
}

/** The colocation group of a distributed schema; undefined of any other. */
export async function groupOfSchema(change: Change, schema: string): Promise<ColocationGroup | undefined> {
  const [row] = await run(change, `SELECT colocation_id FROM shardwright.distributed_schema WHERE schema = ${oidOf}`, [schema]);
  return row === undefined ? undefined : groupById(change, colocationId(Number(row[0])));
}

/** The schema becomes an ordinary one, whose tables have been undistributed before. */
export async function deleteDistributedSchema(change: Change, schema: string): Promise<void> {
  await run(change, `DELETE FROM shardwright.distributed_schema WHERE schema = ${oidOf}`, [schema]);
  await deleteEmptyGroups(change);
}

/** Forgets the schemas that there are no more. Returns whether there were any. */
export async function forgetDroppedSchemas(change: Change): Promise<boolean> {
  const gone = await run(change, 'DELETE FROM shardwright.distributed_schema s WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.oid = s.schema) RETURNING 1');
  if (gone.length > 0) await deleteEmptyGroups(change);
  return gone.length > 0;
}

/** Puts shard groups that hold nothing, those of schemas without tables, elsewhere. */
export async function moveEmptyGroups(change: Change, { from, to }: { readonly from: NodeId; readonly to: NodeId }): Promise<void> {
  await run(change, 'UPDATE shardwright.shard_group g SET node_id = $2 WHERE node_id = $1 AND NOT EXISTS (SELECT FROM shardwright.shard s WHERE s.shard_group_id = g.shard_group_id)', [from, to]);
}

/** The same for one; false when it is not there, or holds something. */
export async function moveEmptyGroup(change: Change, { group, from, to }: { readonly group: ShardGroupId; readonly from: NodeId; readonly to: NodeId }): Promise<boolean> {
  const text = `UPDATE shardwright.shard_group g SET node_id = $3 WHERE shard_group_id = $1 AND node_id = $2
    AND NOT EXISTS (SELECT FROM shardwright.shard s WHERE s.shard_group_id = g.shard_group_id) RETURNING 1`;
  return (await run(change, text, [group, from, to])).length > 0;
}

function run({ coordinator, signal }: Change, text: string, values: readonly unknown[] = []): Promise<RawRow[]> {
  return runOnCatalog(coordinator, { text, values }, { signal });
}
