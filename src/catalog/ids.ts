/** Ids are branded so that one kind cannot be passed for another. All are exact integers below 2^53. */
declare const brand: unique symbol;
type Id<Kind extends string> = number & { readonly [brand]: Kind };

export type NodeId = Id<'node'>;
export type ShardId = Id<'shard'>;
export type ShardGroupId = Id<'shard_group'>;
export type ColocationId = Id<'colocation'>;

export const nodeId = (value: number): NodeId => value as NodeId;
export const shardId = (value: number): ShardId => value as ShardId;
export const shardGroupId = (value: number): ShardGroupId => value as ShardGroupId;
export const colocationId = (value: number): ColocationId => value as ColocationId;
