import { at } from '../base/assert.ts';
import { readLsn } from './lsn.ts';
import type { NodeConnections } from './node-connection.ts';

/** What a server says of itself. */
export interface ProbeAnswer {
  readonly inRecovery: boolean;
  /** Alike for a primary and its replicas, and for nobody else. */
  readonly systemIdentifier: string;
  /** Alike for all names of one running server: when it began, to the microsecond, and on which port. */
  readonly instance: string;
  /** Grows with each promotion. Of a replica: that which it receives, as far as our role may know that (pg_read_all_stats); else the last that its control file has, which may be older. */
  readonly timeline: number;
  /** The end of a primary's log; up to where a replica has applied it. */
  readonly lsn: bigint;
  /** Milliseconds since the last transaction that a replica has applied was committed, by the servers' clocks; undefined for a primary. */
  readonly sinceLastMs: number | undefined;
}

/** A primary's timeline is that of the file it writes to: the control file tells of a promotion only after the next checkpoint. */
const probeSql = `
SELECT r.yes, s.system_identifier,
  CASE WHEN r.yes THEN coalesce((SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver), greatest(c.timeline_id, (SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery())))
    ELSE ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::integer END,
  CASE WHEN r.yes THEN coalesce(pg_catalog.pg_last_wal_replay_lsn(), '0/0') ELSE pg_catalog.pg_current_wal_lsn() END,
  CASE WHEN r.yes THEN extract(epoch FROM clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) * 1000 END,
  extract(epoch FROM pg_catalog.pg_postmaster_start_time()) || '/' || pg_catalog.current_setting('port')
FROM (SELECT pg_catalog.pg_is_in_recovery() AS yes OFFSET 0) r, pg_catalog.pg_control_system() s, pg_catalog.pg_control_checkpoint() c`;

/** Asks a server what it is: one round trip. Throws what the connection throws. */
export async function probe(connections: Pick<NodeConnections, 'query'>): Promise<ProbeAnswer> {
  const { rows } = await connections.query({ text: probeSql });
  const [inRecovery, systemIdentifier, timeline, lsn, sinceLastMs, instance] = at(rows, 0);
  return {
    inRecovery: inRecovery === 't',
    systemIdentifier: systemIdentifier ?? '',
    instance: instance ?? '',
    timeline: Number(timeline),
    lsn: readLsn(lsn ?? ''),
    sinceLastMs: sinceLastMs === null || sinceLastMs === undefined ? undefined : Number(sinceLastMs),
  };
}
