import { present } from '../base/assert.ts';
import type { ColocationGroup, HashFamily } from '../catalog/catalog-snapshot.ts';
import type { NodeId, ShardId } from '../catalog/ids.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { insertDistributedTable } from '../store/catalog-changes.ts';
import { changeTable, type CatalogChange } from './change-catalog.ts';
import { checkBehaviour } from './check-behaviour.ts';
import { checkDistributionColumn, type DistributionColumn } from './check-distribution-column.ts';
import { checkForeignKeys } from './check-foreign-keys.ts';
import { checkReferrers } from './check-referrers.ts';
import { checkTable } from './check-table.ts';
import { createGroup, findGroup } from './choose-group.ts';
import type { DdlContext } from './ddl-context.ts';
import { distributeRows, type DistributionTarget } from './move-rows.ts';
import { ensureSchema, runOnNodes } from './on-nodes.ts';
import { referencedShards } from './referenced-shards.ts';
import { renderShard, type ShardStatements } from './render-shard.ts';
import { emptyShell, fenceShell, hasRows, withoutTriggers } from './shell.ts';
import type { TableDefinition } from './table-definition.ts';

export interface CreateDistributedTableOptions extends CallOptions {
  /**
   * `default`: with all tables of the same column type, shard count and hash that did not ask otherwise. `none`: with no table. Else the
   * name of a distributed table.
   */
  readonly colocateWith?: string | undefined;
  /** 32, or that of the table to colocate with. */
  readonly shardCount?: number | undefined;
  readonly hash?: HashFamily | undefined;
}

/**
 * Distributes a table over the nodes by one of its columns, with its rows, keys, indexes, constraints and comments, in one distributed
 * transaction: on failure nothing is changed anywhere. Nobody can read or write the table meanwhile.
 *
 * Errors: `undefinedTable`, `undefinedColumn`, `alreadyDistributed`, `unsupportedTable` (the message says why, the hint what to do),
 * `invalidParameter`, `notDistributed` (of `colocateWith`), `distributionValueMissing`, `noNodes`, and those of the nodes.
 */
export function createDistributedTable(
  context: DdlContext,
  table: string,
  column: string,
  options: CreateDistributedTableOptions = {},
): Promise<void> {
  const { colocateWith = 'default', signal } = options;
  const otherTable = colocateWith === 'default' || colocateWith === 'none' ? undefined : colocateWith;
  return changeTable(context, {
    table,
    otherTable,
    signal,
    body: async (change, definition, otherOid) => {
      checkTable(definition);
      const distribution = checkDistributionColumn(definition, column);
      const choice = {
        distributionType: distribution.type.name,
        colocateWith: otherOid ?? (colocateWith === 'none' ? 'none' : 'default'),
        shardCount: options.shardCount,
        hash: options.hash,
      } as const;
      const existing = await findGroup(change, choice);
      checkForeignKeys(definition, { kind: 'distributed', column: distribution.column, colocationId: existing?.id });
      await checkReferrers(change, definition);
      checkBehaviour(definition, existing?.hash ?? options.hash ?? 'postgres');
      const group = existing ?? (await createGroup(change, choice));
      await distribute(change, { definition, distribution, group });
    },
  });
}

interface Distributing {
  readonly definition: TableDefinition;
  readonly distribution: DistributionColumn;
  readonly group: ColocationGroup;
}

async function distribute(change: CatalogChange, { definition, distribution, group }: Distributing): Promise<void> {
  const { oid } = definition;
  const shardIds = await insertDistributedTable(change, { oid, distributionPosition: distribution.column.position, group });
  const target: DistributionTarget = { table: definition, distribution, group, shardIds };
  const shards = shardIds.map((id, ordinal) => renderShard(definition, wishOf(target, id, ordinal)));
  const filled = await hasRows(change, definition);
  await runOnNodes(change, perNode(target, shards, (shard) => (filled ? shard.beforeRows : [...shard.beforeRows, ...shard.afterRows])));
  if (filled) {
    await distributeRows(change, target);
    await withoutTriggers(change, definition, () => emptyShell(change, definition));
    await runOnNodes(change, perNode(target, shards, (shard) => shard.afterRows));
  }
  await fenceShell(change, definition);
}

function wishOf({ table, distribution, group }: DistributionTarget, id: ShardId, ordinal: number): Parameters<typeof renderShard>[1] {
  const range = present(group.shardGroups[ordinal]);
  const sql = distribution.type.hashSql(quoteIdentifier(distribution.column.name));
  return { id, hash: group.hash === 'postgres' ? { sql, range } : undefined, references: referencedShards(table, ordinal) };
}

function perNode(
  { table, group }: DistributionTarget,
  shards: readonly ShardStatements[],
  select: (shard: ShardStatements) => readonly string[],
): Map<NodeId, string[]> {
  const statements = new Map<NodeId, string[]>();
  for (const [i, { node }] of group.shardGroups.entries()) {
    const list = statements.get(node) ?? [ensureSchema(table.schema)];
    list.push(...select(present(shards[i])));
    statements.set(node, list);
  }
  return statements;
}
