import type { PostgresServer } from '../../src/embedded.ts';
import { withServer } from '../../src/embedded/with-server.ts';
import { until } from '../cluster/connections.ts';

/** Of a standby. */
export interface Receiver {
  /** It reads what was sent to it before, or ends at once. */
  goOn(how: 'to the end' | 'ended'): void;
  isGone(): Promise<boolean>;
}

/** The standby reads nothing more of what it is sent, until told to go on. */
export async function receivingStopped(replica: PostgresServer): Promise<Receiver> {
  let pid = 0;
  await until(async () => (pid = Number(await ask(replica, 'SELECT pid FROM pg_stat_wal_receiver'))) > 0);
  process.kill(pid, 'SIGSTOP');
  return {
    goOn: (how) => {
      if (how === 'ended') process.kill(pid, 'SIGTERM');
      process.kill(pid, 'SIGCONT');
    },
    isGone: async () => (await ask(replica, `SELECT count(*) FROM pg_stat_wal_receiver WHERE pid = ${pid}`)) === '0',
  };
}

export async function waits(server: PostgresServer, event: 'Lock' | 'SyncRep'): Promise<boolean> {
  return (await ask(server, `SELECT count(*) FROM pg_stat_activity WHERE '${event}' IN (wait_event_type, wait_event)`)) !== '0';
}

export async function isGone(server: PostgresServer): Promise<boolean> {
  return ask(server, 'SELECT 1').then(() => false, () => true);
}

export async function ask(server: PostgresServer, text: string): Promise<string | null | undefined> {
  return withServer(server, async (connection) => (await connection.query({ text })).rows[0]?.[0]);
}
