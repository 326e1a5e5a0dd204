import { ClusterError } from '../base/errors.ts';
import type { ShardId } from '../catalog/ids.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { insertReferenceTable } from '../store/catalog-changes.ts';
import { changeTable, type CatalogChange } from './change-catalog.ts';
import { checkBehaviour } from './check-behaviour.ts';
import { checkForeignKeys } from './check-foreign-keys.ts';
import { checkReferrers } from './check-referrers.ts';
import { checkTable } from './check-table.ts';
import type { DdlContext } from './ddl-context.ts';
import { broadcastRows } from './broadcast-rows.ts';
import { ensureSchema, runOnNodes } from './on-nodes.ts';
import { referencedShards } from './referenced-shards.ts';
import { renderShard } from './render-shard.ts';
import { emptyShell, fenceShell, hasRows } from './shell.ts';
import type { TableDefinition } from './table-definition.ts';

/**
 * Puts a full copy of a table, with its rows and all that belongs to it, on every node, in one distributed transaction. Errors as of
 * `createDistributedTable`.
 */
export function createReferenceTable(context: DdlContext, table: string, options: CallOptions = {}): Promise<void> {
  return changeTable(context, {
    table,
    signal: options.signal,
    body: async (change, definition) => {
      checkTable(definition);
      checkBehaviour(definition, 'reference');
      checkForeignKeys(definition, { kind: 'reference' });
      await checkReferrers(change, definition);
      if (change.nodes.length === 0) {
        throw new ClusterError('noNodes', 'the cluster has no node that could hold shards', { hint: 'Add one with addNode or citus_add_node.' });
      }
      await spread(change, definition, await insertReferenceTable(change, definition.oid));
    },
  });
}

async function spread(change: CatalogChange, definition: TableDefinition, id: ShardId): Promise<void> {
  const shard = renderShard(definition, { id, hash: undefined, references: referencedShards(definition, 0) });
  const everywhere = (statements: readonly string[]): Promise<void> =>
    runOnNodes(change, new Map(change.nodes.map((node) => [node.id, [ensureSchema(definition.schema), ...statements]])));
  const filled = await hasRows(change, definition);
  await everywhere(filled ? shard.beforeRows : [...shard.beforeRows, ...shard.afterRows]);
  if (filled) {
    await broadcastRows(change, { table: definition, id, source: { connection: change.coordinator, relation: 'shell' }, nodes: change.nodes });
    await emptyShell(change, definition);
    await everywhere(shard.afterRows);
  }
  await fenceShell(change, definition);
}
