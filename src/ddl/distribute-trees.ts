import { assert, at, present } from '../base/assert.ts';
import type { ColocationGroup } from '../catalog/catalog-snapshot.ts';
import { type NodeId, shardId, type ShardId } from '../catalog/ids.ts';
import { insertDistributedTable } from '../store/catalog-changes.ts';
import type { CatalogChange } from './change-catalog.ts';
import type { DistributionColumn } from './check-distribution-column.ts';
import { inheritedNames } from './inherited-names.ts';
import { distributeRows, type DistributionTarget } from './move-rows.ts';
import { ensureSchema, runOnNodes } from './on-nodes.ts';
import { referencedShards } from './referenced-shards.ts';
import { renderShard, type ShardStatements } from './render-shard.ts';
import { guardOf } from './shard-guard.ts';
import { emptyShells, fenceShell, hasRows, withoutTriggers } from './shell.ts';
import type { TableDefinition } from './table-definition.ts';

export interface Member {
  readonly definition: TableDefinition;
  /** Undefined: a single-shard table. */
  readonly distribution: DistributionColumn | undefined;
}

/** A table, with its partitions if it has any, parents first. */
export type Tree = readonly Member[];

export interface Destination {
  readonly group: ColocationGroup;
  /** What the first table of the only tree is a partition of, and so on. */
  readonly above: readonly TableDefinition[];
}

/** Makes the shards of tables that may refer to each other, and moves their rows there: those of a tree go into the first one's shards. */
export async function distributeTrees(change: CatalogChange, trees: readonly Tree[], { group, above }: Destination): Promise<void> {
  const placed: DistributionTarget[][] = [];
  for (const tree of trees) placed.push(await record(change, tree, group));
  const targets = placed.flat();
  const roots = placed.map((tree) => at(tree, 0));
  const known = [...above.map((table) => ({ table, shardIds: present(table.distribution ?? undefined).shardIds.map((id) => shardId(id)) })), ...targets];
  const shards = targets.map((target) => target.shardIds.map((id, ordinal) => renderShard(target.table, wishOf(target, { id, ordinal, known }))));
  const filled: DistributionTarget[] = [];
  for (const root of roots) if (await hasRows(change, root.table)) filled.push(root);
  const of = (ordinal: number, select: (statements: ShardStatements, target: DistributionTarget) => readonly string[]): string[] => shards.flatMap((all, i) => select(at(all, ordinal), at(targets, i)));
  const before = (ordinal: number): string[] => [...of(ordinal, ({ beforeRows }) => beforeRows), ...of(ordinal, ({ attach }, target) => (roots.includes(target) ? [] : attach))];
  // What a partition has already, its parent's index or constraint takes for its own. The first one's parent has all of its own by now.
  const after = (ordinal: number): string[] => [
    ...shards.toReversed().flatMap((all) => at(all, ordinal).afterRows), ...shards.toReversed().flatMap((all) => at(all, ordinal).foreignKeys), ...of(ordinal, ({ attach }, target) => (roots.includes(target) ? attach : [])),
  ];
  await runOnNodes(change, perNode(group, targets, (ordinal) => (filled.length > 0 ? before(ordinal) : [...before(ordinal), ...after(ordinal)])));
  if (filled.length > 0) {
    await withoutTriggers(change, targets.map(({ table }) => table), async () => {
      for (const root of filled) await distributeRows(change, root);
      await emptyShells(change, roots.map(({ table }) => table));
    });
    await runOnNodes(change, perNode(group, targets, after));
  }
  for (const { table } of targets) await fenceShell(change, table);
}

async function record(change: CatalogChange, tree: Tree, group: ColocationGroup): Promise<DistributionTarget[]> {
  assert(tree.length > 0, 'nothing to distribute');
  const targets: DistributionTarget[] = [];
  for (const { definition, distribution } of tree) {
    const shardIds = await insertDistributedTable(change, { oid: definition.oid, distributionPosition: distribution?.column.position, group });
    targets.push({ table: definition, distribution, group, shardIds });
  }
  return targets;
}

interface WishedShard {
  readonly id: ShardId;
  readonly ordinal: number;
  /** The tables that are distributed together, and those above them. */
  readonly known: readonly Pick<DistributionTarget, 'table' | 'shardIds'>[];
}

function wishOf({ table, distribution, group }: DistributionTarget, { id, ordinal, known }: WishedShard): Parameters<typeof renderShard>[1] {
  const references = referencedShards(table, ordinal);
  for (const { table: other, shardIds } of known) references.set(other.oid, at(shardIds, ordinal));
  return { id, hash: guardOf(table, distribution, { group, ordinal }), references, inherited: inheritedNames(table, known.map((one) => one.table), references) };
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
