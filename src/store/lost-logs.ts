import { sqlStateOf } from '../base/errors.ts';
import { lsnText, readLsn } from '../cluster/lsn.ts';
import type { CallOptions, NodeConnections } from '../cluster/node-connection.ts';
import { withSchema } from './install.ts';

/** A transaction over several nodes that was committed, and one of them has not kept. */
export interface LostCommit {
  readonly transactionId: string;
  /** Ids of its other nodes, as far as they have replicas, and of that which has decided. */
  readonly keptOn: readonly number[];
}

/** A failover to a server that lacked the end of the old primary's log. */
export interface LostLog {
  /** Id of the node; 0 for the coordinator database. */
  readonly node: number;
  /** That the new primary has begun. */
  readonly timeline: number;
  /** The new primary has the old one's log up to here. */
  readonly keptUpTo: string;
  /** The old primary's log is known to have been as long as this, at least: the most that any process knew. */
  readonly knownUpTo: string;
  /** Bytes between the two: some may be of what was never acknowledged. */
  readonly bytes: number;
  /** Of all processes that have told theirs. */
  readonly commits: readonly LostCommit[];
  /** When the first process found it. */
  readonly foundAt: Date;
}

/** What one process has found. */
export interface FoundLoss extends Pick<LostLog, 'node' | 'timeline' | 'commits'> {
  readonly keptUpTo: bigint;
  readonly knownUpTo: bigint;
  /** How long ago: clocks differ. */
  readonly ageMs: number;
  /** Ids of transactions that were among its commits, and have come to be on the new primary after all. */
  readonly notLost: readonly string[];
}

/** Older losses are forgotten. */
export const keepLossesMs = 7 * 86_400_000;
/** Failovers: of more, the oldest are forgotten. */
export const lossesMax = 100;

/** May be done again: what several processes know of one failover is put together. */
export async function storeLosses(coordinator: Pick<NodeConnections, 'query' | 'acquire'>, losses: readonly FoundLoss[], options?: CallOptions): Promise<void> {
  const found = losses.map(({ keptUpTo, knownUpTo, ...loss }) => ({ ...loss, keptUpTo: lsnText(keptUpTo), knownUpTo: lsnText(knownUpTo) }));
  await withSchema(coordinator, () => coordinator.query({ text: storeSql, values: [JSON.stringify(found)], mayWait: true }, options), options);
  await coordinator.query({ text: forgetSql, mayWait: true }, options);
}

/** The oldest first; none where the schema does not know of losses yet. */
export async function listLosses(coordinator: Pick<NodeConnections, 'query'>, options?: CallOptions): Promise<LostLog[]> {
  try {
    const { rows } = await coordinator.query({ text: listSql }, options);
    return rows.map(([node, timeline, kept, known, foundMs, commits]) => lostLog({
      node: Number(node), timeline: Number(timeline), keptUpTo: readLsn(kept ?? ''), knownUpTo: readLsn(known ?? ''), foundAt: new Date(Number(foundMs)), commits: JSON.parse(commits ?? '[]') as LostCommit[],
    }));
  } catch (error) {
    if (sqlStateOf(error) === '42P01') return [];
    throw error;
  }
}

/** As it is told. */
export function lostLog({ keptUpTo, knownUpTo, node, timeline, commits, foundAt }: Omit<FoundLoss, 'ageMs' | 'notLost'> & Pick<LostLog, 'foundAt'>): LostLog {
  return { node, timeline, keptUpTo: lsnText(keptUpTo), knownUpTo: lsnText(knownUpTo), bytes: Number(knownUpTo - keptUpTo), commits, foundAt };
}

const storeSql = `
WITH found AS (
  SELECT * FROM pg_catalog.json_to_recordset($1::json)
    AS f (node integer, timeline integer, "keptUpTo" pg_lsn, "knownUpTo" pg_lsn, "ageMs" double precision, commits json, "notLost" json)
), logs AS (
  INSERT INTO shardwright.lost_log AS l (node_id, timeline, kept_up_to, known_up_to, found_at)
  SELECT node, timeline, "keptUpTo", max("knownUpTo"), pg_catalog.now() - max("ageMs") * interval '1 ms' FROM found GROUP BY node, timeline, "keptUpTo" ORDER BY node, timeline, "keptUpTo"
  ON CONFLICT (node_id, timeline, kept_up_to) DO UPDATE SET known_up_to = greatest(l.known_up_to, excluded.known_up_to), found_at = least(l.found_at, excluded.found_at)
), not_lost AS (
  DELETE FROM shardwright.lost_commit c USING found f, pg_catalog.json_array_elements_text(f."notLost") AS n (id)
  WHERE (c.node_id, c.timeline, c.kept_up_to, c.transaction_id) = (f.node, f.timeline, f."keptUpTo", n.id)
)
INSERT INTO shardwright.lost_commit (node_id, timeline, kept_up_to, transaction_id, kept_on)
SELECT node, timeline, "keptUpTo", c."transactionId", c."keptOn" FROM found, pg_catalog.json_to_recordset(commits) AS c ("transactionId" text, "keptOn" integer[])
ORDER BY node, timeline, "keptUpTo", c."transactionId"
ON CONFLICT DO NOTHING`;

const isKept = `found_at > pg_catalog.now() - ${keepLossesMs} * interval '1 ms'`;

const forgetSql = `
DELETE FROM shardwright.lost_log WHERE NOT (${isKept}) OR (node_id, timeline, kept_up_to) NOT IN (
  SELECT node_id, timeline, kept_up_to FROM shardwright.lost_log ORDER BY found_at DESC, node_id, timeline, kept_up_to LIMIT ${lossesMax})`;

const listSql = `
SELECT node_id, timeline, kept_up_to, known_up_to, extract(epoch FROM found_at) * 1000, (
    SELECT pg_catalog.json_agg(pg_catalog.json_build_object('transactionId', transaction_id, 'keptOn', kept_on) ORDER BY transaction_id)
    FROM shardwright.lost_commit c WHERE (c.node_id, c.timeline, c.kept_up_to) = (l.node_id, l.timeline, l.kept_up_to))
FROM shardwright.lost_log l WHERE ${isKept} ORDER BY found_at, node_id, timeline, kept_up_to`;
