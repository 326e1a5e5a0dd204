import { assert, at, present } from '../base/assert.ts';
import type { ColocationGroup, HashFamily } from '../catalog/catalog-snapshot.ts';
import { type NodeId, shardId, type ShardId } from '../catalog/ids.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { insertDistributedTable } from '../store/catalog-changes.ts';
import { changeTable, type CatalogChange } from './change-catalog.ts';
import { checkDistributionColumn, type DistributionColumn } from './check-distribution-column.ts';
import { checkBehaviour, checkDependencies } from './check-behaviour.ts';
import { checkForeignKeys } from './check-foreign-keys.ts';
import { checkReferrers } from './check-referrers.ts';
import { checkTable, unsupportedTable } from './check-table.ts';
import { createGroup, findGroup } from './choose-group.ts';
import type { DdlContext } from './ddl-context.ts';
import { distributeRows, type DistributionTarget } from './move-rows.ts';
import { sendObjectsOf } from './objects/send-objects.ts';
import { ensureSchema, runOnNodes } from './on-nodes.ts';
import { referencedShards } from './referenced-shards.ts';
import { inheritedNames } from './inherited-names.ts';
import { readAncestors, readDefinition, readTree } from './read-definition.ts';
import { renderShard } from './render-shard.ts';
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
 * Distributes a table over the nodes by one of its columns, with its partitions if it has any, with its rows, keys, indexes, constraints and comments, in one distributed
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
    body: (change, definition, otherOid) => distributeTable(change, definition, { ...options, column, colocateWith: otherOid ?? (colocateWith === 'none' ? 'none' : 'default') }),
  });
}

/** A partition of a distributed table that has none of its own shards yet, in a transaction that has made it. */
export async function distributePartition(change: CatalogChange, oid: number): Promise<void> {
  const definition = await readDefinition(change.coordinator, oid, change);
  await distributeTable(change, definition, { column: definition.partitionOf?.table.distribution?.columnName ?? '', colocateWith: 'default' });
}

interface Distributing extends Pick<CreateDistributedTableOptions, 'shardCount' | 'hash'> {
  readonly column: string;
  /** The OID of a table. */
  readonly colocateWith: 'default' | 'none' | number;
}

async function distributeTable(change: CatalogChange, definition: TableDefinition, { column, colocateWith, shardCount, hash }: Distributing): Promise<void> {
  const tree = await readTree(change.coordinator, definition, change);
  const members = tree.map((member) => ({ definition: member, distribution: checkMember(member, column) }));
  const { distribution: own } = at(members, 0);
  checkParent(definition, own);
  const choice = { distributionType: own.type.name, colocateWith: definition.partitionOf?.table.oid ?? colocateWith, shardCount, hash };
  const existing = await findGroup(change, choice);
  // A partition needs what its parent has brought.
  if (definition.partitionOf === null) for (const { definition: member } of members) await sendObjectsOf(change, member.oid);
  for (const { definition: member, distribution } of members) {
    checkForeignKeys(member, { kind: 'distributed', column: distribution.column, colocationId: existing?.id });
    await checkReferrers(change, member);
    checkBehaviour(member, existing?.hash ?? hash ?? 'postgres');
    await checkDependencies(change, member);
  }
  const group = existing ?? (await createGroup(change, choice));
  await distribute(change, members, { group, above: await readAncestors(change.coordinator, definition, change) });
}

/** A partition has the column of its parent. */
function checkMember(table: TableDefinition, column: string): DistributionColumn {
  checkTable(table);
  return checkDistributionColumn(table, column);
}

/** A partition goes where its parent is. */
function checkParent(table: TableDefinition, { column }: DistributionColumn): void {
  const parent = table.partitionOf?.table;
  if (parent === undefined) return;
  if (parent.distribution === null) throw unsupportedTable(table, { message: `it is a partition of "${parent.name}"`, hint: `Distribute "${parent.name}", with all its partitions.` });
  const { columnName } = parent.distribution;
  if (columnName === column.name) return;
  throw unsupportedTable(table, { message: `its parent "${parent.name}" is distributed by column "${columnName ?? ''}"`, hint: 'Use that column.' });
}

interface Member {
  readonly definition: TableDefinition;
  readonly distribution: DistributionColumn;
}

interface Destination {
  readonly group: ColocationGroup;
  /** What the first of them is a partition of, and so on. */
  readonly above: readonly TableDefinition[];
}

/** A table, with its partitions if it has any, parents first. Rows go into the first one's shards. */
async function distribute(change: CatalogChange, members: readonly Member[], { group, above }: Destination): Promise<void> {
  const targets: DistributionTarget[] = [];
  for (const { definition, distribution } of members) {
    const shardIds = await insertDistributedTable(change, { oid: definition.oid, distributionPosition: distribution.column.position, group });
    targets.push({ table: definition, distribution, group, shardIds });
  }
  const known = [...above.map((table) => ({ table, shardIds: present(table.distribution ?? undefined).shardIds.map((id) => shardId(id)) })), ...targets];
  const [first] = targets;
  assert(first !== undefined, 'nothing to distribute');
  const shards = targets.map((target) => target.shardIds.map((id, ordinal) => renderShard(target.table, wishOf(target, { id, ordinal, known }))));
  const { table } = first;
  const filled = await hasRows(change, table);
  const before = group.shardGroups.map((_, ordinal) => [...shards.flatMap((all) => at(all, ordinal).beforeRows), ...shards.slice(1).flatMap((all) => at(all, ordinal).attach)]);
  // What a partition has already, its parent's index or constraint takes for its own. The first one's parent has all of its own by now.
  const after = group.shardGroups.map((_, ordinal) => [
    ...shards.toReversed().flatMap((all) => at(all, ordinal).afterRows), ...shards.toReversed().flatMap((all) => at(all, ordinal).foreignKeys), ...at(at(shards, 0), ordinal).attach,
  ]);
  await runOnNodes(change, perNode(group, targets, (ordinal) => (filled ? at(before, ordinal) : [...at(before, ordinal), ...at(after, ordinal)])));
  if (filled) {
    await withoutTriggers(change, targets.map((target) => target.table), async () => {
      await distributeRows(change, first);
      await emptyShell(change, table);
    });
    await runOnNodes(change, perNode(group, targets, (ordinal) => at(after, ordinal)));
  }
  for (const target of targets) await fenceShell(change, target.table);
}

interface WishedShard {
  readonly id: ShardId;
  readonly ordinal: number;
  /** The tables that are distributed together, and those above them. */
  readonly known: readonly Pick<DistributionTarget, 'table' | 'shardIds'>[];
}

function wishOf({ table, distribution, group }: DistributionTarget, { id, ordinal, known }: WishedShard): Parameters<typeof renderShard>[1] {
  const range = at(group.shardGroups, ordinal);
  const sql = distribution.type.hashSql(quoteIdentifier(distribution.column.name));
  const references = referencedShards(table, ordinal);
  for (const { table: other, shardIds } of known) references.set(other.oid, at(shardIds, ordinal));
  const isGuarded = group.hash === 'postgres' && table.partitionKey === null;
  return { id, hash: isGuarded ? { sql, range } : undefined, references, inherited: inheritedNames(table, known.map((one) => one.table), references) };
}

function perNode(group: ColocationGroup, targets: readonly DistributionTarget[], select: (ordinal: number) => readonly string[]): Map<NodeId, string[]> {
  const statements = new Map<NodeId, string[]>();
  for (const [ordinal, { node }] of group.shardGroups.entries()) {
    const list = statements.get(node) ?? [...new Set(targets.map(({ table }) => ensureSchema(table)))];
    list.push(...select(ordinal));
    statements.set(node, list);
  }
  return statements;
}
