import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import { withConnection } from '../cluster/with-connection.ts';
import { quoteIdentifier, quoteLiteral } from '../sql/identifiers.ts';
import { feedsOfTables, registerFeedNode, type StoredFeed, storeFeedStart } from '../store/feeds.ts';
import { cutMessage, cutPrefix } from './cut.ts';
import type { FeedServices } from './feed-context.ts';
import { feedsKey, lock, tryShareUntilCommit, unlock } from './feed-locks.ts';
import { feedNames } from './feed-names.ts';
import { makePublication, makeSlot } from './feed-slots.ts';

/** What a cut-over is about. */
export interface CutWish {
  /** OIDs of the shells. */
  readonly tables: readonly number[];
  readonly from: readonly NodeId[];
  readonly to: readonly NodeId[];
}

/**
 * Before the transaction of a cut-over: makes slots where a feed of these tables has none yet, on nodes that were added after it. Waits for other transactions of those nodes, as slots do.
 */
export async function readyFeeds(services: FeedServices, wish: CutWish, signal: AbortSignal): Promise<void> {
  const coordinator = services.pools.get(coordinatorNodeId);
  if (missing(await feedsOfTables(coordinator, wish.tables, { signal }), wish).length === 0) return;
  await withConnection(coordinator, signal, async (connection) => {
    await lock(connection, feedsKey(services.clusterId), { signal });
    try {
      for (const { feed, node } of missing(await feedsOfTables(connection, wish.tables, { signal }), wish)) {
        await registerFeedNode(connection, feed.id, node);
        await makePublication(services, { feed: feed.id, node }, [], signal);
        const { consistentPoint, holding } = await makeSlot(services, { feed: feed.id, node }, signal);
        await holding.end();
        await storeFeedStart(connection, feed.id, { node, start: consistentPoint });
      }
    } finally {
      await unlock(connection, feedsKey(services.clusterId));
    }
  });
}

function missing(feeds: readonly StoredFeed[], { from, to }: CutWish): { readonly feed: StoredFeed; readonly node: NodeId }[] {
  const nodes = [...new Set([...from, ...to])];
  return feeds.flatMap((feed) => nodes.filter((node) => feed.nodes.find((one) => one.node === node)?.start === undefined).map((node) => ({ feed, node })));
}

/** What a cut-over does for feeds on each of its nodes. */
export interface CutFeeds {
  /** Whether there is anything to do. */
  readonly any: boolean;
  /** On a node that rows go away from or come to: `shards`, quoted and qualified by the OID of the table, are those that have come to their place there. */
  statements(node: NodeId, shards: readonly { readonly table: number; readonly sql: string }[]): string[];
}

/** Called when feeds are not ready for a cut-over; it is to be tried again, `readyFeeds` first. */
export const feedsNotReady = new ClusterError('moveInProgress', 'a change feed of the tables is being made');

/** In the transaction of a cut-over, on its connection to the coordinator database: no feed is made or dropped from here until it commits. Throws `feedsNotReady`. */
export async function joinFeeds({ clusterId }: Pick<FeedServices, 'clusterId'>, coordinator: NodeConnection, wish: CutWish & { readonly job: string }, options: CallOptions): Promise<CutFeeds> {
  if (!(await tryShareUntilCommit(coordinator, feedsKey(clusterId), options))) throw feedsNotReady;
  const feeds = await feedsOfTables(coordinator, wish.tables, options);
  if (missing(feeds, wish).length > 0) throw feedsNotReady;
  const { job, from, to } = wish;
  const message = quoteLiteral(cutMessage({ job, feeds: feeds.map(({ id }) => id), from, to }));
  return {
    any: feeds.length > 0,
    statements: (node, shards) => (feeds.length === 0 ? [] : [
      ...feeds.flatMap(({ id, tables }) => {
        const added = shards.filter(({ table }) => tables.includes(table));
        const publication = quoteIdentifier(feedNames(clusterId, id).publication);
        return to.includes(node) && added.length > 0 ? [`ALTER PUBLICATION ${publication} ADD TABLE ${added.map(({ sql }) => `ONLY ${sql}`).join(', ')}`] : [];
      }),
      `SELECT pg_catalog.pg_logical_emit_message(true, ${quoteLiteral(cutPrefix)}, ${message})`,
    ]),
  };
}
