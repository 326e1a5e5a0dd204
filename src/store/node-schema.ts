/**
 * What every node and the coordinator database hold for distributed transactions. May be run again and again.
 *
 * `decision` has the outcome of two-phase commits whose last agent is this database. A row is written once and never changed:
 * its unique key is what makes "commit" and "abort" exclude each other. `decided_at` is this server's clock, used only to tell
 * when a row may be forgotten. Everybody may insert, since a session commits in whatever role it has set.
 */
export const nodeSchemaSql = `
CREATE SCHEMA IF NOT EXISTS shardwright;
CREATE TABLE IF NOT EXISTS shardwright.decision (
  transaction_id text PRIMARY KEY,
  outcome text NOT NULL CHECK (outcome IN ('commit', 'abort')),
  decided_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT USAGE ON SCHEMA shardwright TO PUBLIC;
GRANT INSERT ON shardwright.decision TO PUBLIC;
`;
