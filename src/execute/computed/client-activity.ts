import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { StatementScope } from '../statement-scope.ts';

/** What a client of the wire server does. Times are this process's clock, in milliseconds since 1970. */
export interface ClientActivity {
  readonly pid: number;
  readonly role: string;
  readonly applicationName: string;
  readonly address: string;
  readonly port: number | undefined;
  readonly startedMs: number;
  readonly state: 'active' | 'idle' | 'idle in transaction' | 'idle in transaction (aborted)';
  readonly stateSinceMs: number;
  /** The statement that runs, or the last one. */
  readonly query: string;
  readonly queryMs: number | undefined;
  /** Of the transaction that is open. */
  readonly transactionMs: number | undefined;
}

/** As a JSON array of rows. What roles do that the session's role may not act as is left out, as `pg_stat_activity` does. */
export async function clientActivityRows(scope: StatementScope, clients: readonly ClientActivity[]): Promise<string> {
  const seen = await visibleRoles(scope);
  return JSON.stringify(clients.map((client) => {
    const { pid, role, applicationName } = client;
    return seen.has(role) ? { pid, usename: role, application_name: applicationName, ...visible(client) } : { pid, usename: role, query: '<insufficient privilege>' };
  }));
}

function visible({ address, port, startedMs, state, stateSinceMs, query, queryMs, transactionMs }: ClientActivity): object {
  return {
    client_addr: address === '' ? null : address.replace(/^::ffff:(?=\d+\.)/, ''), client_port: port, backend_start: time(startedMs), xact_start: time(transactionMs), query_start: time(queryMs), state_change: time(stateSinceMs), state, query,
  };
}

function time(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}

async function visibleRoles(scope: StatementScope): Promise<ReadonlySet<string>> {
  const text = `SELECT rolname FROM pg_catalog.pg_roles WHERE pg_catalog.pg_has_role(oid, 'USAGE') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')`;
  const { rows } = await scope.run(coordinatorNodeId, { text }, 'read');
  return new Set(rows.map(([name]) => name ?? ''));
}
