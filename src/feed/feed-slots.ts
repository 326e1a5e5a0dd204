import type { NodeId } from '../catalog/ids.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import { nodeId, shardId } from '../catalog/ids.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { CallOptions, NodeConnections } from '../cluster/node-connection.ts';
import type { CreatedSlot, ReplicationConnection } from '../cluster/replication-connection.ts';
import { runWithShortLocks } from '../cluster/with-connection.ts';
import { dropSlot } from '../replication/drop-slot.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import { closeFeedNode, forgetFeedNode, type StoredFeed } from '../store/feeds.ts';
import type { FeedServices } from './feed-context.ts';
import { feedNames } from './feed-names.ts';

/** A shard of a feed's table, and where it is. */
export interface PlacedShard {
  /** Undefined for a reference table's, which is everywhere. */
  readonly node: NodeId | undefined;
  readonly table: number;
  /** Quoted and qualified. */
  readonly sql: string;
}

export async function readPlacedShards(coordinator: Pick<NodeConnections, 'query'>, tables: readonly number[], options?: CallOptions): Promise<PlacedShard[]> {
  const text = `
    SELECT g.node_id, s.relation::oid, n.nspname, c.relname, s.shard_id FROM shardwright.shard s
    JOIN pg_catalog.pg_class c ON c.oid = s.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN shardwright.shard_group g USING (shard_group_id)
    WHERE s.relation::oid = ANY ($1::oid[]) ORDER BY s.shard_id`;
  const { rows } = await coordinator.query({ text, values: [`{${tables.join(',')}}`] }, options);
  return rows.map(([node, table, schema, name, shard]) => ({
    node: node === null || node === undefined ? undefined : nodeId(Number(node)), table: Number(table), sql: quoteQualified(schema ?? '', shardName(name ?? '', shardId(Number(shard)))),
  }));
}

/** Those that the feed reads on a node. */
export function shardsReadOn(node: NodeId, shards: readonly PlacedShard[], { referenceNode }: Pick<StoredFeed, 'referenceNode'>): PlacedShard[] {
  return shards.filter((shard) => (shard.node ?? referenceNode) === node);
}

interface FeedPart {
  readonly feed: string;
  readonly node: NodeId;
}

/** Anew, should there be one: what is left of an attempt before. */
export async function makePublication({ pools, clusterId }: FeedServices, { feed, node }: FeedPart, shards: readonly PlacedShard[], signal: AbortSignal): Promise<void> {
  const name = quoteIdentifier(feedNames(clusterId, feed).publication);
  const tables = shards.length === 0 ? '' : ` FOR TABLE ${shards.map(({ sql }) => `ONLY ${sql}`).join(', ')}`;
  await runWithShortLocks(pools.get(node), [`DROP PUBLICATION IF EXISTS ${name}`, `CREATE PUBLICATION ${name}${tables}`], { signal });
}

/** The slot begins when every transaction of its server that has written is over. Its publication must be there before. The connection holds the slot's snapshot, and is the caller's to end. */
export async function makeSlot({ pools, clusterId }: FeedServices, { feed, node }: FeedPart, signal: AbortSignal): Promise<CreatedSlot & { readonly holding: ReplicationConnection }> {
  const name = feedNames(clusterId, feed).slot(node);
  await dropSlot(pools.get(node), name, signal);
  const holding = await pools.get(node).replicate({ signal });
  try {
    return { ...(await holding.createSlot(name, { signal, failover: true })), holding };
  } catch (error) {
    await holding.end();
    throw error;
  }
}

/** Nothing of the feed is left on the node afterwards, and nobody believes so. */
export async function dropFromNode({ pools, clusterId }: FeedServices, { feed, node }: FeedPart, signal?: AbortSignal): Promise<void> {
  const { slot, publication } = feedNames(clusterId, feed);
  // Who still reads the slot must not take it for lost.
  await closeFeedNode(pools.get(coordinatorNodeId), feed, node);
  await dropSlot(pools.get(node), slot(node), signal);
  await runWithShortLocks(pools.get(node), [`DROP PUBLICATION IF EXISTS ${quoteIdentifier(publication)}`], { signal: signal ?? new AbortController().signal, patienceMs: dropPatienceMs });
  await forgetFeedNode(pools.get(coordinatorNodeId), feed, node);
}

const dropPatienceMs = 10_000;
