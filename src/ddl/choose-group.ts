import { at } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { ColocationGroup, HashFamily } from '../catalog/catalog-snapshot.ts';
import { colocationId } from '../catalog/ids.ts';
import { tileHashSpace } from '../catalog/shard-for-hash.ts';
import { findDefaultGroup, groupById, insertGroup } from '../store/catalog-changes.ts';
import type { GroupWish, NewGroup } from '../store/catalog-changes.ts';
import type { CatalogChange } from './change-catalog.ts';
import { readDefinition } from './read-definition.ts';
import type { TableDefinition } from './table-definition.ts';

export interface GroupChoice {
  /** Undefined for a single-shard table. */
  readonly distributionType: string | undefined;
  /** `default`: with tables of the same type, shard count and hash. `none`: in a group of its own. Else the OID of a table. */
  readonly colocateWith: 'default' | 'none' | number;
  /** How many shards the table must have. Undefined: `defaultShardCount`, or as many as the table to colocate with has. */
  readonly shardCount: number | undefined;
  /** With how many a group was made that the table joins, whatever has been split since, or that is made for it: 32. */
  readonly defaultShardCount?: number | undefined;
  readonly hash: HashFamily | undefined;
}

const usualShardCount = 32;
const shardCountMax = 64_000;

/** The existing group that the table joins; undefined when it needs a new one. `notDistributed`, `invalidParameter`. */
export async function findGroup(change: CatalogChange, choice: GroupChoice): Promise<ColocationGroup | undefined> {
  checkShardCount(choice.shardCount);
  checkShardCount(choice.defaultShardCount);
  checkSingleShard(choice);
  if (choice.colocateWith === 'none') return undefined;
  if (choice.colocateWith === 'default') return findDefaultGroup(change, wishOf(choice), { unsplit: choice.shardCount !== undefined });
  const table = await readDefinition(change.coordinator, choice.colocateWith, change);
  const group = await groupOf(change, table);
  checkGroupFits(table, group, choice);
  return group;
}

function checkShardCount(count: number | undefined): void {
  if (count === undefined || (Number.isInteger(count) && count >= 1 && count <= shardCountMax)) return;
  throw new ClusterError('invalidParameter', `shard count must be an integer from 1 to ${shardCountMax}`, { detail: `It is ${count}.` });
}

function checkSingleShard({ distributionType, shardCount = 1, hash }: GroupChoice): void {
  if (distributionType !== undefined || (shardCount === 1 && hash === undefined)) return;
  throw new ClusterError('invalidParameter', 'a table without a distribution column has one shard, and nothing to hash', { hint: 'Leave shardCount and hash out, or name a column.' });
}

function wishOf({ distributionType, defaultShardCount = usualShardCount, shardCount = distributionType === undefined ? 1 : defaultShardCount, hash = 'postgres' }: GroupChoice): GroupWish {
  return { distributionType, shardCount, hash };
}

async function groupOf(change: CatalogChange, table: TableDefinition): Promise<ColocationGroup> {
  const id = table.distribution?.colocationId ?? undefined;
  if (id !== undefined) return groupById(change, colocationId(id));
  throw new ClusterError('notDistributed', `cannot colocate with table "${table.name}", which is not distributed`, {
    schema: table.schema,
    table: table.name,
  });
}

function checkGroupFits(table: TableDefinition, group: ColocationGroup, choice: GroupChoice): void {
  const count = group.shardGroups.length;
  const differences = [
    differenceOfTypes(group, choice),
    choice.shardCount === undefined || choice.shardCount === count ? '' : `It has ${count} shards, not ${choice.shardCount}.`,
    choice.hash === undefined || choice.hash === group.hash ? '' : `It is placed by hash "${group.hash}", not "${choice.hash}".`,
  ].filter((difference) => difference !== '');
  if (differences.length === 0) return;
  throw new ClusterError('invalidParameter', `cannot colocate with table "${table.name}"`, {
    detail: differences.join(' '),
    hint: 'Leave out shardCount and hash, and use columns of exactly the same type.',
  });
}

function differenceOfTypes(group: ColocationGroup, choice: GroupChoice): string {
  if (group.distributionType === choice.distributionType) return '';
  if (group.distributionType === undefined) return 'It has one shard and no distribution column.';
  return choice.distributionType === undefined ? `It has a distribution column, of type ${group.distributionType}.` : `Its distribution column is of type ${group.distributionType}, not ${choice.distributionType}.`;
}

/** A new group, as `planGroup` says. `noNodes`. */
export async function createGroup(change: CatalogChange, choice: GroupChoice): Promise<ColocationGroup> {
  return insertGroup(change, await planGroup(change, choice));
}

/** What a new group will be: its shard groups go round the nodes; that of single-shard tables goes where there are the fewest of them. `noNodes`. */
export async function planGroup(change: CatalogChange, choice: GroupChoice): Promise<NewGroup> {
  const { nodes } = change;
  if (nodes.length === 0) {
    throw new ClusterError('noNodes', 'the cluster has no node that could hold shards', { hint: 'Add one with addNode or citus_add_node.' });
  }
  const wish = wishOf(choice);
  const first = choice.distributionType === undefined ? await nodeOfFewest(change) : 0;
  const slices = tileHashSpace(wish.shardCount).map((range, i) => ({ ...range, node: at(nodes, (first + i) % nodes.length).id }));
  return { ...wish, joinableByDefault: choice.colocateWith === 'default', slices };
}

/** Its place among the nodes. */
async function nodeOfFewest({ coordinator, nodes, signal }: CatalogChange): Promise<number> {
  const text = `SELECT n.node_id FROM shardwright.node n
    LEFT JOIN (shardwright.shard_group g JOIN shardwright.colocation_group c ON c.colocation_id = g.colocation_id AND c.distribution_type IS NULL) ON g.node_id = n.node_id
    GROUP BY n.node_id ORDER BY count(g.shard_group_id), n.node_id LIMIT 1`;
  const { rows } = await coordinator.query({ text }, { signal });
  return nodes.findIndex(({ id }) => id === Number(at(rows, 0)[0]));
}
