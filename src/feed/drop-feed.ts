import type { NodeConnection } from '../cluster/node-connection.ts';
import { changeFeedState, deleteFeed, readFeed } from '../store/feeds.ts';
import type { FeedServices } from './feed-context.ts';
import { dropFromNode } from './feed-slots.ts';

/** Removes all that a feed has on nodes, and then the feed. In a session with the lock of all feeds. What can be removed is, also while a node is away; then throws what that one threw, and the feed stays in state `dropping`. */
export async function dropFeed(services: FeedServices, connection: NodeConnection, id: string): Promise<void> {
  await changeFeedState(connection, id, { from: ['creating', 'snapshot', 'streaming', 'lost'], to: 'dropping' });
  await dropParts(services, connection, id);
  await deleteFeed(connection, id);
}

/** The same for a feed that cannot go on; it stays, and says why. */
export async function loseFeed(services: FeedServices, connection: NodeConnection, id: string, reason: string): Promise<void> {
  const isLost = await changeFeedState(connection, id, { from: ['snapshot', 'streaming'], to: 'lost', error: reason });
  if (isLost) await dropParts(services, connection, id);
}

async function dropParts(services: FeedServices, connection: NodeConnection, id: string): Promise<void> {
  const feed = await readFeed(connection, id);
  let failure: { readonly error: unknown } | undefined;
  for (const { node } of feed?.nodes ?? []) {
    try {
      await dropFromNode(services, { feed: id, node });
    } catch (error) {
      failure ??= { error };
    }
  }
  if (failure !== undefined) throw failure.error;
}
