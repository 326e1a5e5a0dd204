import type { ReplicationConnection } from '../cluster/replication-connection.ts';
import { readLsn } from '../cluster/lsn.ts';

/** The end of what a server has of an older timeline; what that timeline's own server wrote behind it was lost with the failover. */
export interface TimelineEnd {
  readonly timeline: number;
  /** Undefined when the server does not descend from that timeline. */
  readonly end: bigint | undefined;
}

/** Where the server has left the timeline `known` for those that led to its own, which is returned too; undefined while it is still on it. */
export async function timelineSince(connection: Pick<ReplicationConnection, 'timeline' | 'timelineHistory'>, known: number): Promise<TimelineEnd | undefined> {
  const timeline = await connection.timeline();
  if (timeline === known) return undefined;
  return { timeline, end: timeline < known ? undefined : endOfTimeline(await connection.timelineHistory(timeline), known) };
}

/**
 * From a timeline's history file: a line for each timeline before it, with its number, where it was left, and why. A timeline can be left and come back to, by a restore to an earlier moment: the least of its ends counts.
 */
export function endOfTimeline(history: string, timeline: number): bigint | undefined {
  const ends = history.split('\n').flatMap((line) => {
    const [, number, lsn] = /^\s*(\d+)\s+([\dA-F]+\/[\dA-F]+)/i.exec(line) ?? [];
    return lsn !== undefined && Number(number) >= timeline ? [{ number: Number(number), lsn: readLsn(lsn) }] : [];
  });
  return ends.some(({ number }) => number === timeline) ? ends.map(({ lsn }) => lsn).reduce((least, lsn) => (lsn < least ? lsn : least)) : undefined;
}
