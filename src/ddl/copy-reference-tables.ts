import { at, present } from '../base/assert.ts';
import type { ClusterNode } from '../catalog/catalog-snapshot.ts';
import { shardId, type ShardId } from '../catalog/ids.ts';
import { renewReferenceShard } from '../store/catalog-changes.ts';
import { broadcastRows } from './broadcast-rows.ts';
import type { CatalogChange } from './change-catalog.ts';
import { ensureSchema, runOnNodes } from './on-nodes.ts';
import { publishedOn } from './publications.ts';
import { readDefinition } from './read-definition.ts';
import { referencedShards } from './referenced-shards.ts';
import { renameShard } from './rename-shard.ts';
import { renderShard } from './render-shard.ts';
import { ShardNames } from './shard-names.ts';
import { onCoordinator } from './shell.ts';
import type { TableDefinition } from './table-definition.ts';

/**
 * Gives a new node a copy of every reference table.
 *
 * A process that does not know of the node yet would write to the other nodes only. So each reference table's shard gets a new id and
 * a new name:
 * 1. It is renamed on the old nodes, which waits for its writers and keeps others out until the commit.
 * 2. Its rows are copied to the new node.
 * 3. After the commit, a write that was planned before finds no table of the old name, and is planned anew.
 */
export async function copyReferenceTables(change: CatalogChange, node: ClusterNode): Promise<void> {
  const rows = await onCoordinator(change, 'SELECT relation::oid, shard_id FROM shardwright.shard WHERE shard_group_id IS NULL ORDER BY shard_id');
  for (const [oid, id] of rows) await copyTable(change, node, { oid: Number(oid), oldId: shardId(Number(id)) });
  // Once all are there: the order of their ids says nothing of who refers to whom.
  for (const [oid] of rows) await addForeignKeys(change, node, Number(oid));
}

async function addForeignKeys(change: CatalogChange, node: ClusterNode, oid: number): Promise<void> {
  const definition = await readDefinition(change.coordinator, oid, change);
  const id = shardId(at(present(definition.distribution ?? undefined, 'distribution').shardIds, 0));
  const { foreignKeys } = renderShard(definition, { id, hash: undefined, references: referencedShards(definition, 0) });
  await runOnNodes(change, new Map([[node.id, foreignKeys]]));
}

async function copyTable(change: CatalogChange, node: ClusterNode, table: { readonly oid: number; readonly oldId: ShardId }): Promise<void> {
  const id = await renewReferenceShard(change, table.oid);
  const definition = await readDefinition(change.coordinator, table.oid, change);
  const renames = renameShard(definition, { from: table.oldId, to: id, hasHash: false });
  await runOnNodes(change, new Map(change.nodes.map((old) => [old.id, renames])));
  const { beforeRows, afterRows } = renderShard(publishedOn(definition, node.id, change.nodes), { id, hash: undefined, references: referencedShards(definition, 0) });
  if (definition.rowSecurityForced) await forceOn(change, definition, id, 'NO FORCE');
  await runOnNodes(change, new Map([[node.id, [ensureSchema(definition), ...beforeRows]]]));
  const connection = await change.transaction.join(at(change.nodes, 0).id, 'write', change);
  await broadcastRows(change, { table: definition, id, source: { connection, relation: 'shard' }, nodes: [node] });
  await runOnNodes(change, new Map([[node.id, afterRows]]));
  if (definition.rowSecurityForced) await forceOn(change, definition, id, 'FORCE');
}

/** All of the rows are copied, whatever policies say of the owner. */
function forceOn(change: CatalogChange, definition: TableDefinition, id: ShardId, force: 'FORCE' | 'NO FORCE'): Promise<void> {
  const statement = `ALTER TABLE ${new ShardNames(definition, id).sql} ${force} ROW LEVEL SECURITY`;
  return runOnNodes(change, new Map([[at(change.nodes, 0).id, [statement]]]));
}
