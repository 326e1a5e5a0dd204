import { assert, at, present } from '../base/assert.ts';
import type { ColocationGroup } from '../catalog/catalog-snapshot.ts';
import type { NodeId, ShardId } from '../catalog/ids.ts';
import { shardName } from '../catalog/shard-name.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { deleteEmptyGroups, replaceShards } from '../store/catalog-changes.ts';
import type { CatalogChange } from './change-catalog.ts';
import { checkBehaviour, checkDependencies } from './check-behaviour.ts';
import type { DistributionColumn } from './check-distribution-column.ts';
import { checkForeignKeys } from './check-foreign-keys.ts';
import { unsupportedTable } from './check-table.ts';
import { columnList } from './column-list.ts';
import { inheritedNames } from './inherited-names.ts';
import { distributeRows, type DistributionTarget, placedRows } from './move-rows.ts';
import { ensureSchema, runOnNodes } from './on-nodes.ts';
import { type Placement, readPlacements } from './placements.ts';
import { publishedOn } from './publications.ts';
import { referencedShards } from './referenced-shards.ts';
import { renderShard, type ShardStatements } from './render-shard.ts';
import { guardOf } from './shard-guard.ts';
import { cursorRows } from './shard-rows.ts';
import { wholeTable } from './shell.ts';
import type { RelatedTable, TableDefinition } from './table-definition.ts';

/** A table that is distributed or a reference table, and how it shall be. */
export interface Converted {
  readonly definition: TableDefinition;
  readonly as: NewKind;
}

type NewKind =
  | { readonly kind: 'reference' }
  /** As a single-shard table where there is no column. */
  | { readonly kind: 'distributed'; readonly distribution: DistributionColumn | undefined };

interface Conversion extends Converted {
  readonly shardIds: readonly ShardId[];
  /** Where its shards have been until now. */
  readonly old: readonly Placement[];
}

/**
 * Makes new shards for tables, moves their rows there from the old ones, and drops those. `trees` has each table with its partitions, parents first; `group` is undefined for reference tables.
 *
 * 1. The old shards are locked: nobody writes to what was read.
 * 2. New shards are made, beside the old ones, under new ids.
 * 3. Rows are read through cursors, so that a node can be read and written in one transaction.
 * 4. The old shards go; whoever still knows them finds nothing (42P01), and reads the catalog again.
 * 5. Keys, indexes, then foreign keys are made.
 */
export async function convertTables(change: CatalogChange, trees: readonly (readonly Converted[])[], group: ColocationGroup | undefined): Promise<void> {
  const all: Conversion[] = [];
  for (const converted of trees.flat()) {
    const old = await readPlacements(change, converted.definition);
    const position = columnIn(converted.as)?.column.position;
    all.push({ ...converted, old, shardIds: await replaceShards(change, { oid: converted.definition.oid, distributionPosition: position, group }) });
  }
  const known = new Map(all.map(({ definition, shardIds, as }): [number, RelatedTable['distribution']] => [definition.oid, distributionOf(shardIds, as, group)]));
  const now = all.map((conversion) => ({ ...conversion, definition: withDistributions(conversion.definition, known) }));
  for (const conversion of now) await checkConversion(change, conversion, { group, known });
  await runOnNodes(change, perOldShard(now, (table, id) => lock(table, oldSql(table, id))));
  const shards = statementsOf(change, now, group);
  await runOnNodes(change, collected(shards, ({ beforeRows }) => beforeRows, ({ attach }) => attach));
  for (const [root] of trees) await moveRows(change, present(now.find(({ definition }) => definition.oid === root?.definition.oid)), group);
  await runOnNodes(change, dropped(now));
  await runOnNodes(change, collected(shards.toReversed(), ({ afterRows }) => afterRows));
  await runOnNodes(change, collected(shards.toReversed(), ({ foreignKeys }) => foreignKeys));
  await deleteEmptyGroups(change);
}

function columnIn(as: NewKind): DistributionColumn | undefined {
  return as.kind === 'distributed' ? as.distribution : undefined;
}

function distributionOf(shardIds: readonly ShardId[], as: NewKind, group: ColocationGroup | undefined): RelatedTable['distribution'] {
  const distribution = columnIn(as);
  return { kind: as.kind, columnPosition: distribution?.column.position ?? null, columnName: distribution?.column.name ?? null, colocationId: group?.id ?? null, shardIds, shellIsCopy: false };
}

/** The definition as it will be, other tables that are converted with it included. */
function withDistributions(table: TableDefinition, known: ReadonlyMap<number, RelatedTable['distribution']>): TableDefinition {
  const related = (other: RelatedTable): RelatedTable => ({ ...other, distribution: known.get(other.oid) ?? other.distribution });
  return {
    ...table,
    distribution: known.get(table.oid) ?? table.distribution,
    constraints: (table.constraints ?? []).map((constraint) => ({ ...constraint, foreign: constraint.foreign === null ? null : { ...constraint.foreign, table: related(constraint.foreign.table) } })),
    partitionOf: table.partitionOf === null ? null : { ...table.partitionOf, table: related(table.partitionOf.table) },
    indexes: (table.indexes ?? []).map((index) => ({ ...index, parts: index.parts?.map((part) => ({ ...part, table: related(part.table) })) ?? null })),
  };
}

interface Checked {
  readonly group: ColocationGroup | undefined;
  readonly known: ReadonlyMap<number, unknown>;
}

async function checkConversion(change: CatalogChange, { definition, as }: Conversion, { group, known }: Checked): Promise<void> {
  const referrer = definition.referencedBy?.find(({ table }) => table.distribution !== null && !known.has(table.oid));
  if (referrer !== undefined) {
    throw unsupportedTable(definition, {
      message: `foreign key "${referrer.constraint}" of table "${referrer.table.name}" refers to it`,
      hint: 'Drop the foreign key first, or alter all co-located tables together (cascadeToColocated).',
    }, 'alter');
  }
  checkForeignKeys(definition, as.kind === 'reference' ? as : { kind: 'distributed', column: as.distribution?.column, colocationId: group?.id });
  checkBehaviour(definition, as.kind === 'reference' ? 'reference' : (group?.hash ?? 'postgres'));
  await checkDependencies(change, definition);
}

function oldSql(table: TableDefinition, id: ShardId): string {
  return quoteQualified(table.schema, shardName(table.name, id));
}

/** All rows are to be read, whatever policies say of the owner. */
function lock(table: TableDefinition, sql: string): string[] {
  return [`LOCK TABLE ${sql} IN ACCESS EXCLUSIVE MODE`, ...(table.rowSecurityForced ? [`ALTER TABLE ${sql} NO FORCE ROW LEVEL SECURITY`] : [])];
}

function perOldShard(all: readonly Conversion[], statements: (table: TableDefinition, id: ShardId) => readonly string[]): Map<NodeId, string[]> {
  const perNode = new Map<NodeId, string[]>();
  for (const { definition, old } of all) for (const { node, shard } of old) perNode.set(node, [...(perNode.get(node) ?? []), ...statements(definition, shard)]);
  return perNode;
}

/** One statement for each node, since they may refer to each other. */
function dropped(all: readonly Conversion[]): Map<NodeId, string[]> {
  const names = perOldShard(all, (table, id) => [oldSql(table, id)]);
  return new Map([...names].map(([node, list]) => [node, [`DROP TABLE ${list.join(', ')}`]]));
}

interface NewShard {
  readonly node: NodeId;
  readonly table: TableDefinition;
  readonly statements: ShardStatements;
}

/** Table by table. */
function statementsOf(change: CatalogChange, all: readonly Conversion[], group: ColocationGroup | undefined): NewShard[] {
  return all.flatMap(({ definition: table, as, shardIds }) => {
    if (as.kind === 'reference' || group === undefined) {
      const wish = { id: at(shardIds, 0), hash: undefined, references: referencedShards(table, 0) };
      return change.nodes.map(({ id }) => ({ node: id, table, statements: renderShard(publishedOn(table, id, change.nodes), wish) }));
    }
    return group.shardGroups.map(({ node }, ordinal) => {
      const above = new Map(all.map(({ definition, shardIds: ids }) => [definition.oid, at(ids, ordinal)]));
      const inherited = inheritedNames(table, all.map(({ definition }) => definition), above);
      const wish = { id: at(shardIds, ordinal), hash: guardOf(table, as.distribution, { group, ordinal }), references: referencedShards(table, ordinal), inherited };
      return { node, table, statements: renderShard(table, wish) };
    });
  });
}

/** Each node's statements: all of the first kind, then all of the next. */
function collected(shards: readonly NewShard[], ...kinds: readonly ((statements: ShardStatements) => readonly string[])[]): Map<NodeId, string[]> {
  const perNode = new Map<NodeId, string[]>();
  const add = (node: NodeId, list: readonly string[]): unknown => perNode.set(node, [...(perNode.get(node) ?? []), ...list]);
  for (const { node, table } of shards) if (!perNode.has(node)) add(node, [ensureSchema(table)]);
  for (const kind of kinds) for (const { node, statements } of shards) add(node, kind(statements));
  return perNode;
}

async function moveRows(change: CatalogChange, { definition: table, as, shardIds, old }: Conversion, group: ColocationGroup | undefined): Promise<void> {
  const sources = new Set(old.map(({ shard }) => shard)).size === 1 ? old.slice(0, 1) : old;
  for (const { node, shard } of sources) {
    const connection = await change.transaction.join(node, 'write', change);
    if (as.kind === 'distributed' && group !== undefined) {
      const target: DistributionTarget = { table, distribution: as.distribution, group, shardIds };
      await distributeRows(change, target, { rows: cursorRows(connection, placedRows(target, oldSql(table, shard)), change) });
    } else await copyToAll(change, { table, id: at(shardIds, 0) }, cursorRows(connection, `SELECT ${columnList(table)} FROM ${wholeTable(oldSql(table, shard), table)}`, change));
  }
}

async function copyToAll(change: CatalogChange, { table, id }: { readonly table: TableDefinition; readonly id: ShardId }, rows: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of rows) {
    const taken = await Promise.all(change.nodes.map(async (node) => {
      const connection = await change.transaction.join(node.id, 'write', change);
      const sink = await connection.copyIn(`COPY ${oldSql(table, id)} (${columnList(table)}) FROM STDIN`, { signal: change.signal });
      await sink.write(chunk);
      return sink.end();
    }));
    assert(taken.every((count) => count === taken[0]), `nodes took different numbers of rows: ${taken.join(', ')}`);
  }
}
