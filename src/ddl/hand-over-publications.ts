import { at } from '../base/assert.ts';
import type { NodeId } from '../catalog/ids.ts';
import { shardId } from '../catalog/ids.ts';
import type { CatalogChange } from './change-catalog.ts';
import { runOnNodes } from './on-nodes.ts';
import { publishShard } from './publications.ts';
import { readDefinitions } from './read-definition.ts';
import { ShardNames } from './shard-names.ts';
import { onCoordinator } from './shell.ts';

/** Before the node that publishes reference tables is removed: another does it from here on. Nobody writes to them until the commit, so that each change is published once. */
export async function handOverPublications(change: CatalogChange, { from, to }: { readonly from: NodeId; readonly to: NodeId }): Promise<void> {
  const rows = await onCoordinator(change, 'SELECT relation::oid FROM shardwright.shard WHERE shard_group_id IS NULL ORDER BY shard_id');
  const definitions = await readDefinitions(change.coordinator, rows.map(([oid]) => Number(oid)), change);
  const published = [...definitions.values()].flatMap((table) => {
    const sql = new ShardNames(table, shardId(at(table.distribution?.shardIds ?? [], 0))).sql;
    return (table.publications ?? []).length > 0 ? [{ table, sql }] : [];
  });
  if (published.length === 0) return;
  const lock = `LOCK TABLE ${published.map(({ sql }) => sql).join(', ')} IN SHARE ROW EXCLUSIVE MODE`;
  await runOnNodes(change, new Map([[from, [lock]]]));
  await runOnNodes(change, new Map([[to, [lock, ...published.flatMap(({ table, sql }) => publishShard(sql, table))]]]));
}
