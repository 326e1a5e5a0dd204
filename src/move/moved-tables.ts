import { createHash } from 'node:crypto';
import { at, present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { distributionType } from '../catalog/hash/distribution-type.ts';
import { type NodeId, nodeId, type ShardGroupId, type ShardId, shardId } from '../catalog/ids.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import { definitionSettings } from '../ddl/definition-settings.ts';
import { readDefinition } from '../ddl/read-definition.ts';
import { referencedShards } from '../ddl/referenced-shards.ts';
import type { ShardWish } from '../ddl/render-shard.ts';
import type { TableDefinition } from '../ddl/table-definition.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';

/** One table's shard in the shard group. */
export interface MovedTable {
  readonly definition: TableDefinition;
  readonly shard: ShardId;
  /** The shard's own name. */
  readonly name: string;
  /** Quoted and qualified, where statements look for it. */
  readonly sql: string;
  readonly wish: ShardWish;
}

/** A shard group as the catalog has it. */
export interface MovedGroup {
  readonly id: ShardGroupId;
  readonly node: NodeId;
  /** Older tables first, so that a foreign key refers to one before. */
  readonly tables: readonly MovedTable[];
  /** Of all definitions: when it has changed, what was made of them is out of date. */
  readonly fingerprint: string;
}

/** Reads it in a transaction of its own. `moveRefused` when there is no such group. */
export async function readMovedGroup(pools: NodePools, id: ShardGroupId, options?: CallOptions): Promise<MovedGroup> {
  const coordinator = await pools.get(coordinatorNodeId).acquire(options);
  let failure: { readonly error: unknown } | undefined;
  try {
    await coordinator.query({ text: `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${definitionSettings}`, simple: true }, options);
    const group = await readGroupIn(coordinator, id, options);
    await coordinator.query({ text: 'COMMIT' }, options);
    return group;
  } catch (error) {
    failure = { error };
    throw error;
  } finally {
    coordinator.release(failure);
  }
}

const groupQuery = `
SELECT t.relation::oid, h.shard_id, g.ordinal, g.hash_min, g.hash_max, g.node_id, c.hash_family, c.distribution_type, a.attname
FROM shardwright.shard_group g JOIN shardwright.colocation_group c USING (colocation_id) JOIN shardwright.shard h USING (shard_group_id)
JOIN shardwright.distributed_table t USING (relation)
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.relation AND a.attnum = t.distribution_attnum
WHERE g.shard_group_id = $1 ORDER BY h.shard_id`;

/** As `readMovedGroup`, in the connection's transaction, which must have `definitionSettings`. */
export async function readGroupIn(coordinator: NodeConnection, id: ShardGroupId, options?: CallOptions): Promise<MovedGroup> {
  const { rows } = await coordinator.query({ text: groupQuery, values: [id] }, options);
  const tables: MovedTable[] = [];
  for (const [oid, shard, ordinal, min, max, , family, type, column] of rows) {
    const definition = await readDefinition(coordinator, Number(oid), options);
    const own = shardId(Number(shard));
    const name = shardName(definition.name, own);
    const sql = present(distributionType(type ?? ''), 'distribution type').hashSql(quoteIdentifier(column ?? ''));
    tables.push({
      definition,
      shard: own,
      name,
      sql: quoteQualified(definition.schema, name),
      wish: {
        id: own,
        hash: family === 'postgres' ? { sql, range: { min: Number(min), max: Number(max) } } : undefined,
        references: referencedShards(definition, Number(ordinal)),
      },
    });
  }
  const [first] = rows;
  if (first === undefined) throw new ClusterError('moveRefused', `shard group ${id} has no tables`, { detail: 'They were dropped, or undistributed.' });
  return { id, node: nodeId(Number(at(first, 5))), tables, fingerprint: fingerprintOf(tables) };
}

function fingerprintOf(tables: readonly MovedTable[]): string {
  const hash = createHash('sha256');
  for (const { definition, shard } of tables) hash.update(JSON.stringify([shard, definition]));
  return hash.digest('hex');
}
