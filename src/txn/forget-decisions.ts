import type { CallOptions, NodeConnections } from '../cluster/node-connection.ts';

const rowsMax = 10_000;

/** Transactions that have a decision row on the node, the oldest first, at most 10 000. */
export async function listDecisions(connections: NodeConnections, options: CallOptions): Promise<string[]> {
  const { rows } = await connections.query({ text: listSql, simple: true }, options);
  return rows.flatMap(([id]) => (typeof id === 'string' ? [id] : []));
}

export interface Forgettable {
  /** Transactions known to have nothing prepared anywhere, checked after their rows were read. */
  readonly transactionIds: readonly string[];
  readonly keepMs: number;
}

/**
 * Deletes decision rows that nobody can need; returns how many. Besides the age asked for:
 * - a *commit* row may go, since its transaction prepared everything before it was written, and all of that is finished;
 * - an *abort* row must stay while its owner might still try to write *commit*. The owner does that in a transaction that it began
 *   on this node before it prepared anything, hence before the row: so the row goes when none from before the row is left.
 */
export async function forgetDecisions(connections: NodeConnections, { transactionIds, keepMs }: Forgettable, options: CallOptions): Promise<number> {
  if (transactionIds.length === 0) return 0;
  const { rowCount } = await connections.query({ text: forgetSql, values: [transactionIds, keepMs] }, options);
  return rowCount ?? 0;
}

const listSql = `SELECT transaction_id FROM shardwright.decision ORDER BY decided_at LIMIT ${rowsMax}`;

/** Both times are of one server's clock. A session that we may not look into counts as old. */
const forgetSql = `
DELETE FROM shardwright.decision AS decision
WHERE transaction_id = ANY ($1::text[])
  AND decided_at < pg_catalog.clock_timestamp() - $2::float8 * interval '1 millisecond'
  AND (outcome = 'commit' OR NOT EXISTS (
    SELECT FROM pg_catalog.pg_stat_activity AS session
    WHERE session.datname = pg_catalog.current_database()
      AND (session.xact_start <= decision.decided_at OR session.query = '<insufficient privilege>')))`;
