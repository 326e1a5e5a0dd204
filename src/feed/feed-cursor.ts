import { ClusterError } from '../base/errors.ts';
import { nodeId, type NodeId } from '../catalog/ids.ts';

/** How far a feed is on one node: all transactions that committed before `lsn`, and of the one that did at `lsn` so many changes. */
export interface FeedPosition {
  readonly lsn: bigint;
  readonly done: number;
  /** On which the node was read; undefined in cursors of versions that did not say so. */
  readonly timeline?: number | undefined;
}

/** Of each node that has something to read. */
export type FeedPositions = ReadonlyMap<NodeId, FeedPosition>;

/** The positions as a text for whoever keeps them: the feed's id, and for each node `.`-separated its id, the position in hexadecimal digits, how many changes where there are any, and behind an `@` the timeline: `7:1.16B374D8@1,2.1F0.3@4`. */
export function cursorText(feed: string, positions: FeedPositions): string {
  return `${feed}:${[...positions].map(([node, position]) => `${node}${positionText(position)}`).join(',')}`;
}

/** A node's part of a cursor, behind its id. */
export function positionText({ lsn, done, timeline }: FeedPosition): string {
  return `.${lsn.toString(16).toUpperCase()}${done === 0 ? '' : `.${done}`}${timeline === undefined ? '' : `@${timeline}`}`;
}

/** `invalidParameter` for what is no cursor, or one of another feed, of one perhaps that had the same name. */
export function readCursor(text: string, feed: string): Map<NodeId, FeedPosition> {
  const [, id, parts] = /^(\d+):((?:\d+\.[\dA-F]+(?:\.\d+)?(?:@\d+)?(?:,(?!$)|$))*)$/.exec(text) ?? [];
  if (id === undefined || parts === undefined) throw new ClusterError('invalidParameter', 'this is no cursor of a change feed', { detail: `It is "${text.slice(0, 200)}".` });
  if (id !== feed) throw new ClusterError('invalidParameter', 'the cursor is of another change feed', { detail: 'A feed that is dropped and made again is another one.', hint: 'Begin without a cursor, with a snapshot.' });
  return new Map(parts.split(',').filter((part) => part !== '').map((part) => {
    const [position = '', timeline] = part.split('@');
    const [node, lsn = '0', done = '0'] = position.split('.');
    return [nodeId(Number(node)), { lsn: BigInt(`0x${lsn}`), done: Number(done), ...(timeline === undefined ? {} : { timeline: Number(timeline) }) }];
  }));
}

/** Negative where `a` is before `b`. */
export function comparePositions(a: FeedPosition, b: FeedPosition): number {
  return a.lsn === b.lsn ? a.done - b.done : a.lsn < b.lsn ? -1 : 1;
}

/** Whether a server that has an older timeline up to `end` only has what lies before the position there. */
export function isKept({ lsn, done }: FeedPosition, end: bigint): boolean {
  return done === 0 ? lsn <= end : lsn < end;
}
