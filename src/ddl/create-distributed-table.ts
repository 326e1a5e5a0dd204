import { at } from '../base/assert.ts';
import type { ColocationGroup, HashFamily } from '../catalog/catalog-snapshot.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { groupOfSchema } from '../store/distributed-schemas.ts';
import { changeTable, type CatalogChange } from './change-catalog.ts';
import { checkDistributionColumn, type DistributionColumn } from './check-distribution-column.ts';
import { checkBehaviour, checkDependencies } from './check-behaviour.ts';
import { checkForeignKeys } from './check-foreign-keys.ts';
import { checkPublications } from './check-publications.ts';
import { checkReferrers } from './check-referrers.ts';
import { checkTable, unsupportedTable } from './check-table.ts';
import { createGroup, findGroup, type GroupChoice } from './choose-group.ts';
import type { DdlContext } from './ddl-context.ts';
import { distributeTrees, type Tree } from './distribute-trees.ts';
import { sendObjectsOf } from './objects/send-objects.ts';
import { readAncestors, readDefinition, readTree } from './read-definition.ts';
import { checkSchemas } from './schemas/check-schemas.ts';
import type { TableDefinition } from './table-definition.ts';

export interface CreateDistributedTableOptions extends CallOptions {
  /**
   * `default`: with all tables of the same column type, shard count and hash that did not ask otherwise. `none`: with no table. Else the
   * name of a distributed table.
   */
  readonly colocateWith?: string | undefined;
  /** How many shards the table must have: it joins no group that has been split or merged to another number since. By default as many as `defaultShardCount`, or as the table to colocate with has. */
  readonly shardCount?: number | undefined;
  /** Where no `shardCount` is given: with how many shards tables are made. It joins a group made with so many, also one that was split since. 32. */
  readonly defaultShardCount?: number | undefined;
  readonly hash?: HashFamily | undefined;
}

/**
 * Distributes a table over the nodes by one of its columns, or as a single-shard table where `column` is null, with its partitions if it has any, with its rows, keys, indexes, constraints and comments, in one distributed
 * transaction: on failure nothing is changed anywhere. Nobody can read or write the table meanwhile.
 *
 * Errors: `undefinedTable`, `undefinedColumn`, `alreadyDistributed`, `unsupportedTable` (the message says why, the hint what to do),
 * `invalidParameter`, `notDistributed` (of `colocateWith`), `distributionValueMissing`, `noNodes`, and those of the nodes.
 */
export function createDistributedTable(
  context: DdlContext,
  table: string,
  column: string | null,
  options: CreateDistributedTableOptions = {},
): Promise<void> {
  const { colocateWith = 'default', signal } = options;
  const otherTable = colocateWith === 'default' || colocateWith === 'none' ? undefined : colocateWith;
  return changeTable(context, {
    table,
    otherTable,
    signal,
    onlyIt: true,
    body: (change, definition, otherOid) => distributeTable(change, definition, { ...options, column: column ?? undefined, colocateWith: otherOid ?? (colocateWith === 'none' ? 'none' : 'default') }),
  });
}

/** A partition of a distributed table that has none of its own shards yet, in a transaction that has made it. */
export async function distributePartition(change: CatalogChange, oid: number): Promise<void> {
  const definition = await readDefinition(change.coordinator, oid, change);
  await distributeTable(change, definition, { column: definition.partitionOf?.table.distribution?.columnName ?? undefined, colocateWith: 'default' });
}

/** A table that the library has made for itself, in the same transaction. */
export async function distributeMade(change: CatalogChange, oid: number, { column, shardCount }: { readonly column: string; readonly shardCount: number }): Promise<void> {
  await distributeTable(change, await readDefinition(change.coordinator, oid, change), { column, shardCount, colocateWith: 'default' });
}

/** How a table is to be distributed. */
export interface Distributing extends Pick<CreateDistributedTableOptions, 'shardCount' | 'defaultShardCount' | 'hash'> {
  /** Undefined: a single-shard table. */
  readonly column: string | undefined;
  /** The OID of a table. */
  readonly colocateWith: 'default' | 'none' | number;
}

async function distributeTable(change: CatalogChange, definition: TableDefinition, how: Distributing): Promise<void> {
  const { members, choice, existing } = await prepareDistribution(change, definition, how);
  const group = existing ?? (await createGroup(change, choice));
  await distributeTrees(change, [members], { group, above: await readAncestors(change.coordinator, definition, change) });
}

/** A table that can be distributed. */
export interface PreparedDistribution {
  /** With its partitions, parents first. */
  readonly members: Tree;
  readonly choice: GroupChoice;
  /** The colocation group that it joins; undefined when it needs a new one. */
  readonly existing: ColocationGroup | undefined;
}

/** Looks whether a table can be distributed so, and gives the nodes the types, functions and the like that it needs. */
export async function prepareDistribution(change: CatalogChange, definition: TableDefinition, { column, colocateWith, shardCount, defaultShardCount, hash }: Distributing): Promise<PreparedDistribution> {
  const tree = await readTree(change.coordinator, definition, change);
  const members = tree.map((member) => ({ definition: member, distribution: checkMember(member, column) }));
  const { distribution: own } = at(members, 0);
  checkParent(definition, own);
  const choice = { distributionType: own?.type.name, colocateWith: definition.partitionOf?.table.oid ?? colocateWith, shardCount, defaultShardCount, hash };
  const existing = (column === undefined && colocateWith === 'default' ? await groupOfSchema(change, definition.schema) : undefined) ?? (await findGroup(change, choice));
  await checkSchemas(change, tree, existing);
  await checkPublications(change.coordinator, tree, change);
  // A partition needs what its parent has brought.
  if (definition.partitionOf === null || definition.publications !== null) await sendObjectsOf(change, tree.map(({ oid }) => oid));
  for (const { definition: member, distribution } of members) {
    checkForeignKeys(member, { kind: 'distributed', column: distribution?.column, colocationId: existing?.id });
    await checkReferrers(change, member);
    checkBehaviour(member, existing?.hash ?? hash ?? 'postgres');
    await checkDependencies(change, member);
  }
  return { members, choice, existing };
}

/** A partition has the column of its parent. */
function checkMember(table: TableDefinition, column: string | undefined): DistributionColumn | undefined {
  checkTable(table);
  return column === undefined ? undefined : checkDistributionColumn(table, column);
}

/** A partition goes where its parent is. */
function checkParent(table: TableDefinition, distribution: DistributionColumn | undefined): void {
  const parent = table.partitionOf?.table;
  if (parent === undefined) return;
  if (parent.distribution === null) throw unsupportedTable(table, { message: `it is a partition of "${parent.name}"`, hint: `Distribute "${parent.name}", with all its partitions.` });
  const { columnName } = parent.distribution;
  if (columnName === (distribution?.column.name ?? null)) return;
  const how = columnName === null ? 'a single-shard table' : `distributed by column "${columnName}"`;
  throw unsupportedTable(table, { message: `its parent "${parent.name}" is ${how}`, hint: columnName === null ? 'Leave the column out.' : 'Use that column.' });
}
