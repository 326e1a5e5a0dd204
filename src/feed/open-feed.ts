import { ClusterError } from '../base/errors.ts';
import { pauseAbout } from '../base/pause.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import { changeFeedState, findFeed, listFeeds, readFeed, type StoredFeed, storeMaxRetainedBytes } from '../store/feeds.ts';
import { createFeed, type MadeFeed } from './create-feed.ts';
import { dropFeed } from './drop-feed.ts';
import type { FedTable, FeedServices } from './feed-context.ts';
import { comparePositions, readCursor } from './feed-cursor.ts';
import { feedsKey, lock, readerKey, tryLock, unlock } from './feed-locks.ts';
import { lostFeed } from './lost-feed.ts';

export interface OpenWish {
  readonly name: string;
  readonly tables: readonly FedTable[];
  /** A cursor; where the feed's reader confirmed last by default. */
  readonly from: string | undefined;
  readonly snapshot: boolean;
  /** As it is by default; `maxRetainedBytesDefault` for a new feed. */
  readonly maxRetainedBytes: number | undefined;
}

export interface OpenedFeed extends MadeFeed {
  /** Holds the reader's lock, and is the caller's to release. */
  readonly claim: NodeConnection;
  /** Where to go on: a cursor. */
  readonly from: string;
}

/** A server's disk comes before a reader that stays away: 10 GiB. */
export const maxRetainedBytesDefault = 10 * 2 ** 30;

/** A process that was killed holds the lock until its server notices. */
const claimWaitMs = 2_000;
const claimPollMs = 50;

/**
 * Opens a feed for its one reader, or makes it when there is none of that name. Errors: `feedInUse`, `feedLost`, `unknownFeed` when a cursor is given and there is no feed, `invalidParameter` for other tables than
 * the feed has and for cursors that cannot be gone on from, and those of `createFeed`.
 */
export async function openFeed(services: FeedServices, wish: OpenWish, signal: AbortSignal): Promise<OpenedFeed> {
  const coordinator = services.pools.get(coordinatorNodeId);
  // Whoever made the schema may have known no feeds.
  await listFeeds(coordinator, { signal });
  const claim = await coordinator.acquire({ signal });
  try {
    await claimReader(services, claim, wish.name, signal);
    return await openClaimed(services, claim, wish, signal);
  } catch (error) {
    await unlock(claim, readerKey(services.clusterId, wish.name));
    claim.release({ error });
    throw error;
  }
}

async function claimReader({ clusterId }: FeedServices, claim: NodeConnection, name: string, signal: AbortSignal): Promise<void> {
  for (const deadline = performance.now() + claimWaitMs; !(await tryLock(claim, readerKey(clusterId, name), { signal }));) {
    if (performance.now() > deadline) throw new ClusterError('feedInUse', `change feed "${name}" is read already`, { detail: 'A feed has one reader at a time.', hint: 'Make a feed of another name for another reader.' });
    await pauseAbout(claimPollMs, signal);
  }
}

async function openClaimed(services: FeedServices, claim: NodeConnection, wish: OpenWish, signal: AbortSignal): Promise<OpenedFeed> {
  const feed = await findFeed(claim, wish.name, { signal });
  if (feed !== undefined && isThere(feed, wish)) return goOn(claim, feed, wish);
  if (wish.from !== undefined) throw new ClusterError('unknownFeed', `there is no change feed "${wish.name}" to go on with`, { hint: 'Begin without a cursor, with a snapshot.' });
  if (feed !== undefined) await dropRest(services, claim, feed.id);
  const made = await createFeed(services, claim, { ...wish, maxRetainedBytes: wish.maxRetainedBytes ?? maxRetainedBytesDefault }, signal);
  return { ...made, claim, from: made.feed.confirmed ?? '' };
}

/** A snapshot can only be taken when slots are made: one that was not finished, or a feed half made, begins anew. */
function isThere(feed: StoredFeed, { from }: OpenWish): boolean {
  switch (feed.state) {
    case 'streaming':
      return true;
    case 'snapshot':
      return from !== undefined;
    case 'lost':
      throw lostFeed(feed);
    case 'creating':
    case 'dropping':
      return false;
  }
}

async function dropRest(services: FeedServices, claim: NodeConnection, id: string): Promise<void> {
  await lock(claim, feedsKey(services.clusterId));
  try {
    await dropFeed(services, claim, id);
  } finally {
    await unlock(claim, feedsKey(services.clusterId));
  }
}

async function goOn(claim: NodeConnection, feed: StoredFeed, { tables, from, maxRetainedBytes }: OpenWish): Promise<OpenedFeed> {
  const wanted = tables.map(({ oid }) => oid).toSorted((a, b) => a - b);
  if (wanted.join() !== feed.tables.join()) {
    throw new ClusterError('invalidParameter', `change feed "${feed.name}" is of other tables`, { detail: 'Its tables are those that it was made with.', hint: 'Make a feed of another name, or drop this one first.' });
  }
  if (from !== undefined) checkCursor(feed, from);
  if (maxRetainedBytes !== undefined) await storeMaxRetainedBytes(claim, feed.id, maxRetainedBytes);
  // Whoever has a cursor has come through the snapshot.
  if (feed.state === 'snapshot') await changeFeedState(claim, feed.id, { from: ['snapshot'], to: 'streaming' });
  const current = (await readFeed(claim, feed.id)) ?? feed;
  return { feed: current, claim, readers: [], from: from ?? feed.confirmed ?? '' };
}

/** What was confirmed may be gone from the log. */
function checkCursor({ id, confirmed, nodes }: StoredFeed, from: string): void {
  const given = readCursor(from, id);
  const least = readCursor(confirmed ?? `${id}:`, id);
  for (const { node, start } of nodes) {
    const begin = least.get(node) ?? { lsn: start ?? 0n, done: 0 };
    const position = given.get(node) ?? { lsn: start ?? 0n, done: 0 };
    if (comparePositions(position, begin) >= 0) continue;
    throw new ClusterError('invalidParameter', 'the cursor lies before what was confirmed', {
      detail: `On node ${node} the feed was confirmed further, and its changes may be gone from the log.`, hint: 'Confirm only what is stored for good together with its cursor.',
    });
  }
}
