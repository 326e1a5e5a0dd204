import { at } from '../base/assert.ts';
import { readLsn } from './lsn.ts';
import type { NodeQuery, RawResult } from './node-connection.ts';

/** A place in a server's log. Each promotion begins a new timeline, so of two places on different ones the higher timeline's is the later. */
export interface LogPosition {
  readonly timeline: number;
  readonly lsn: bigint;
}

/** The later of two. */
export function laterPosition(a: LogPosition | undefined, b: LogPosition): LogPosition {
  return a === undefined || isBehind(a, b) ? b : a;
}

/**
 * Whether a server that has applied its log up to `applied` may lack what was committed before `wanted`. On a newer timeline than `wanted` it has all of that which the promotion has kept; on an older one it may be following a
 * server that was replaced.
 */
export function isBehind(applied: LogPosition, wanted: LogPosition): boolean {
  return applied.timeline < wanted.timeline || applied.lsn < wanted.lsn;
}

/** The end of a primary's log, behind all that is committed there: for one, or for several in a row. */
export const positionQuery: NodeQuery = {
  text: `SELECT pg_catalog.pg_current_wal_insert_lsn(), ('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::integer`,
};

export function readPosition({ rows }: Pick<RawResult, 'rows'>): LogPosition {
  const [lsn, timeline] = at(rows, 0);
  return { lsn: readLsn(lsn ?? ''), timeline: Number(timeline) };
}
