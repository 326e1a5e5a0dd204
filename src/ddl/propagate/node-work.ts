import { assert, at } from '../../base/assert.ts';
import type { CatalogSnapshot, CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { tableByOid } from '../../catalog/table-by-oid.ts';
import { type NodeId, shardId, type ShardId } from '../../catalog/ids.ts';
import { placerOf } from '../../plan/prune.ts';
import { publishingNode, unpublished } from '../publications.ts';
import { referencedShards } from '../referenced-shards.ts';
import type { ShardWish } from '../render-shard.ts';
import { guardOf } from '../shard-guard.ts';
import { ShardNames } from '../shard-names.ts';
import type { TableDefinition } from '../table-definition.ts';
import { changeShard, type ShardSteps } from './change-shard.ts';
import { type DefinitionChange, placementsOf } from './definition-change.ts';
import type { LockMode, ShardLock } from './lock-shards.ts';
import type { TableChange } from './table-change.ts';

/** What one node has to do: first all of `before`, then `convert` under the settings of the session, then `after`. */
export interface NodeWork {
  readonly before: string[];
  readonly convert: string[];
  readonly after: string[];
}

/** What has become of the tables that a statement may change. */
export interface Outcome {
  readonly changed: readonly { readonly table: CatalogTable; readonly change: TableChange }[];
  /** Tables that are gone, as they were. */
  readonly dropped: readonly { readonly table: CatalogTable; readonly before: TableDefinition }[];
  /** All tables that a statement may have changed, as they were, by OID; and those above. */
  readonly known: ReadonlyMap<number, TableDefinition>;
}

/** The statements for each node, in an order that holds between tables as well. */
export function nodeWork({ snapshot }: DefinitionChange, { changed, dropped, known }: Outcome): Map<NodeId, NodeWork> {
  const steps = new Map<NodeId, PlacedSteps[]>();
  for (const { table, change } of changed) {
    const tree = [...tablesAbove(change.before, known), ...(change.before.partitionOf === null ? tablesAbove(change.after, known) : [])];
    for (const { node, id, ordinal } of placementsOf(snapshot, table)) {
      const references = new Map([...referencedShards(change.before, ordinal), ...referencedShards(change.after, ordinal), ...shardsOf(tree, ordinal)]);
      const isPublished = table.kind !== 'reference' || node === publishingNode(snapshot.nodes);
      const guard = guardIn(snapshot, { table, definition: change.after, ordinal });
      append(steps, node, { ...changeShard(isPublished ? change : withoutPublications(change), id, { references, tree, guard }), depth: tree.length });
    }
  }
  const drops = new Map<NodeId, string[]>();
  for (const { table, before } of dropped) for (const { node, id } of placementsOf(snapshot, table)) append(drops, node, new ShardNames(before, id).sql);
  return new Map([...new Set([...steps.keys(), ...drops.keys()])].map((node) => {
    const shards = (steps.get(node) ?? []).toSorted((a, b) => a.depth - b.depth);
    const deepestFirst = shards.toSorted((a, b) => b.depth - a.depth);
    const gone = drops.get(node) ?? [];
    return [node, {
      before: [...shards.flatMap(({ untie }) => untie), ...(gone.length === 0 ? [] : [`DROP TABLE ${gone.join(', ')}`]), ...shards.flatMap(({ drop }) => drop)],
      convert: shards.flatMap(({ convert }) => convert),
      after: [...shards.flatMap(({ columns }) => columns), ...deepestFirst.flatMap(({ add }) => add), ...deepestFirst.flatMap(({ join }) => join), ...deepestFirst.flatMap(({ tie }) => tie)],
    }];
  }));
}

interface GuardedShard {
  readonly table: CatalogTable;
  readonly definition: TableDefinition;
  readonly ordinal: number;
}

function guardIn(snapshot: CatalogSnapshot, { table, definition, ordinal }: GuardedShard): ShardWish['hash'] {
  const name = definition.distribution?.columnName ?? undefined;
  if (table.kind !== 'distributed' || name === undefined) return undefined;
  const { group, type } = placerOf(table, snapshot);
  return guardOf(definition, type === undefined ? undefined : { column: { name }, type }, { group, ordinal });
}

function withoutPublications(change: TableChange): TableChange {
  return { ...change, before: unpublished(change.before), after: unpublished(change.after) };
}

interface PlacedSteps extends ShardSteps {
  /** How many tables are above. */
  readonly depth: number;
}

function tablesAbove({ partitionOf }: TableDefinition, known: ReadonlyMap<number, TableDefinition>): TableDefinition[] {
  const above = partitionOf === null ? undefined : known.get(partitionOf.table.oid);
  return above === undefined ? [] : [above, ...tablesAbove(above, known)];
}

function shardsOf(tables: readonly TableDefinition[], ordinal: number): [number, ShardId][] {
  return tables.flatMap(({ oid, distribution }) => (distribution === null ? [] : [[oid, shardId(at(distribution.shardIds, ordinal))]]));
}

/** The locks for each node: those that the shells have, in order of shards, so that all take them in one order. */
export function nodeLocks({ snapshot }: DefinitionChange, definitions: ReadonlyMap<number, TableDefinition>, held: ReadonlyMap<number, LockMode>): Map<NodeId, ShardLock[]> {
  const locks = new Map<NodeId, (ShardLock & { readonly id: ShardId })[]>();
  for (const [oid, definition] of definitions) {
    const mode = held.get(oid);
    if (mode === undefined) continue;
    const table = tableByOid(snapshot, oid);
    assert(table !== undefined, `table ${oid} is not in the catalog`);
    for (const { node, id } of placementsOf(snapshot, table)) append(locks, node, { id, mode, shard: new ShardNames(definition, id).sql });
  }
  for (const list of locks.values()) list.sort((a, b) => a.id - b.id);
  return locks;
}

function append<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
