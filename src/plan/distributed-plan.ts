import type { NodeId, ShardGroupId } from '../catalog/ids.ts';

/** One statement for one node. */
export interface Task {
  readonly node: NodeId;
  /** Undefined for the coordinator database, for reference tables, and for a statement fused over several groups. */
  readonly shardGroup: ShardGroupId | undefined;
  readonly sql: string;
  readonly values: readonly unknown[];
  readonly effect: 'read' | 'write';
}
