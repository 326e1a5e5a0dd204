import { ClusterError } from '../base/errors.ts';
import type { NodeId, ShardId } from '../catalog/ids.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { insertReferenceTable } from '../store/catalog-changes.ts';
import { changeTable, type CatalogChange } from './change-catalog.ts';
import { checkBehaviour, checkDependencies } from './check-behaviour.ts';
import { checkForeignKeys } from './check-foreign-keys.ts';
import { checkPublications } from './check-publications.ts';
import { checkReferrers } from './check-referrers.ts';
import { checkTable, unsupportedTable } from './check-table.ts';
import type { DdlContext } from './ddl-context.ts';
import { broadcastRows } from './broadcast-rows.ts';
import { sendObjectsOf } from './objects/send-objects.ts';
import { ensureSchema, runOnNodes } from './on-nodes.ts';
import { publishedOn } from './publications.ts';
import { referencedShards } from './referenced-shards.ts';
import { renderShard, type ShardStatements } from './render-shard.ts';
import { checkNotOfSchema } from './schemas/check-schemas.ts';
import { keepRows } from './shell-copies.ts';
import { emptyShell, fenceShell, hasRows, withoutTriggers } from './shell.ts';
import type { TableDefinition } from './table-definition.ts';

/**
 * Puts a full copy of a table, with its rows and all that belongs to it, on every node, in one distributed transaction. Errors as of
 * `createDistributedTable`.
 */
export function createReferenceTable(context: DdlContext, table: string, options: CallOptions = {}): Promise<void> {
  return changeTable(context, {
    table,
    signal: options.signal,
    onlyIt: true,
    body: async (change, definition) => {
      checkTable(definition);
      await checkNotOfSchema(change, definition, 'distribute');
      if (definition.partitionKey !== null || definition.partition) throw unsupportedTable(definition, { message: 'it is partitioned', hint: 'Only distributed tables can be: a reference table is small.' });
      checkBehaviour(definition, 'reference');
      checkForeignKeys(definition, { kind: 'reference' });
      await checkReferrers(change, definition, new Set((definition.referencedBy ?? []).flatMap(({ table: { oid, distribution } }) => (distribution === null ? [oid] : []))));
      await checkPublications(change.coordinator, [definition], change);
      await sendObjectsOf(change, [definition.oid]);
      await checkDependencies(change, definition);
      if (change.nodes.length === 0) {
        throw new ClusterError('noNodes', 'the cluster has no node that could hold shards', { hint: 'Add one with addNode or citus_add_node.' });
      }
      await spread(change, definition, await insertReferenceTable(change, definition.oid));
    },
  });
}

async function spread(change: CatalogChange, definition: TableDefinition, id: ShardId): Promise<void> {
  const asReference: TableDefinition = { ...definition, distribution: { kind: 'reference', columnPosition: null, columnName: null, colocationId: null, shardIds: [id], shellIsCopy: false } };
  const shardOn = (node: NodeId): ShardStatements => renderShard(publishedOn(asReference, node, change.nodes), { id, hash: undefined, references: referencedShards(definition, 0) });
  const after = ({ afterRows, foreignKeys }: ShardStatements): readonly string[] => [...afterRows, ...foreignKeys];
  const everywhere = (statements: (shard: ShardStatements) => readonly string[]): Promise<void> =>
    runOnNodes(change, new Map(change.nodes.map((node) => [node.id, [ensureSchema(definition), ...statements(shardOn(node.id))]])));
  const filled = await hasRows(change, definition);
  const keeps = refersHere(definition);
  await everywhere((shard) => (filled ? shard.beforeRows : [...shard.beforeRows, ...after(shard)]));
  if (filled) {
    await withoutTriggers(change, [definition], async () => {
      await broadcastRows(change, { table: definition, id, source: { connection: change.coordinator, relation: 'shell' }, nodes: change.nodes });
      if (!keeps) await emptyShell(change, definition);
    });
    await everywhere(after);
  }
  if (keeps) await keepRows(change, definition);
  else await fenceShell(change, definition);
}

/** Whether local tables refer to it: then its rows stay where they are, as one more copy. */
function refersHere({ referencedBy }: TableDefinition): boolean {
  return (referencedBy ?? []).some(({ table }) => table.distribution === null);
}
