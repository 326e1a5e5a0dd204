import { ClusterError } from '../base/errors.ts';
import { lsnText } from '../cluster/lsn.ts';
import type { StoredFeed } from '../store/feeds.ts';

export const lostHint = 'dropFeed() the feed, and begin it again with a snapshot.';

export function lostFeed({ name, error }: Pick<StoredFeed, 'name' | 'error'>): ClusterError {
  return new ClusterError('feedLost', `change feed "${name}" cannot go on`, { detail: error === undefined ? undefined : `${error.charAt(0).toUpperCase()}${error.slice(1)}.`, hint: lostHint });
}

/** `given`: up to where the receiver has the old server's log; `end`: up to where the new one has it. */
export function lostInFailover(node: string, { timeline, end, given }: { readonly timeline: number; readonly end: bigint | undefined; readonly given: bigint }): ClusterError {
  return new ClusterError('feedLost', `a failover of node ${node} has lost changes that its change feed had given already`, {
    detail: end === undefined
      ? `The server is on timeline ${timeline}, which does not descend from the one that the feed has read.`
      : `They were read up to ${lsnText(given)}, and the new server, on timeline ${timeline}, has the old one's log up to ${lsnText(end)}.`,
    hint: `${lostHint} With synchronized_standby_slots, from PostgreSQL 17 on, a feed gives nothing that a standby does not have.`,
  });
}
