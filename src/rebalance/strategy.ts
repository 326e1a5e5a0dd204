import { ClusterError } from '../base/errors.ts';
import type { ClusterNode } from '../catalog/catalog-snapshot.ts';

/** What is made even: how many shard groups a node has, how many bytes they take with indexes and large values, or what is asked of them. */
export type RebalanceStrategyName = 'by_shard_count' | 'by_disk_size' | 'by_load';

export interface StrategyShard {
  readonly shardId: number;
  /** Quoted where need be; qualified, but for schema `public`. */
  readonly table: string;
  /** With indexes and large values. */
  readonly bytes: number;
}

/** A shard group as a strategy sees it. */
export interface StrategyGroup {
  readonly shardGroupId: number;
  /** The id of the node that it is on. */
  readonly nodeId: number;
  /** In order of their tables' distribution. */
  readonly shards: readonly StrategyShard[];
  /** Of all of them. */
  readonly bytes: number;
  /** Statements of all processes for the shard group, and rows that they read or wrote, lately: figures halve within an hour. */
  readonly statements: number;
  readonly rows: number;
}

/** A strategy of one's own; what is left out is as with `by_disk_size`. Called when the moves are planned, and never again. */
export interface CustomStrategy {
  /** What the shard group costs the node that it is on: bytes by default. Finite, not negative. */
  readonly cost?: ((group: StrategyGroup) => number) | undefined;
  /** How much of all costs the node is to have, in proportion to the others: 1 by default, 0 for none. Finite, not negative. */
  readonly capacity?: ((node: ClusterNode) => number) | undefined;
  /** Whether the shard group may be on the node: anywhere by default. One that is where it may not be is moved, if there is a node for it. */
  readonly allowed?: ((group: StrategyGroup, node: ClusterNode) => boolean) | undefined;
}

export type RebalanceStrategy = RebalanceStrategyName | CustomStrategy;

/** A statement is worth so many rows: it has to be sent, planned and answered, however few rows it is about. */
const rowsPerStatement = 100;

const costs: Readonly<Record<RebalanceStrategyName, (group: StrategyGroup) => number>> = {
  by_shard_count: () => 1,
  by_disk_size: ({ bytes }) => bytes,
  by_load: ({ statements, rows }) => statements + rows / rowsPerStatement,
};

export const strategyNames: readonly RebalanceStrategyName[] = ['by_shard_count', 'by_disk_size', 'by_load'];

/** `invalidParameter` for a name that is none. */
export function readStrategy(name: string): RebalanceStrategyName {
  const found = strategyNames.find((known) => known === name);
  if (found !== undefined) return found;
  throw new ClusterError('invalidParameter', `there is no rebalance strategy "${name}"`, { hint: `There are ${strategyNames.join(', ')}.` });
}

/** A strategy with nothing left open; its numbers are checked. */
export function completeStrategy(strategy: RebalanceStrategy): Required<{ readonly [Part in keyof CustomStrategy]: NonNullable<CustomStrategy[Part]> }> {
  const { cost = costs.by_disk_size, capacity = () => 1, allowed = () => true } = typeof strategy === 'string' ? { cost: costs[readStrategy(strategy)] } : strategy;
  return {
    cost: (group) => checked(cost(group), `cost of shard group ${group.shardGroupId}`),
    capacity: (node) => checked(capacity(node), `capacity of node ${node.id}`),
    allowed,
  };
}

function checked(value: number, what: string): number {
  if (Number.isFinite(value) && value >= 0) return value;
  throw new ClusterError('invalidParameter', `the ${what} must be a number that is not negative`, { detail: `The strategy gave ${value}.` });
}
