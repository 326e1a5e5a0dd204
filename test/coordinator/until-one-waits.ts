import { Client } from 'pg';
import { expect } from 'vitest';
import type { TestDatabase } from '../support/test-databases.ts';

/** Resolves when a statement waits for a lock in one of the databases. */
export async function untilOneWaits(databases: readonly TestDatabase[]): Promise<void> {
  const clients = await Promise.all(databases.map(({ connectionString }) => new Client({ connectionString }).connect()));
  const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`;
  await expect.poll(async () => (await Promise.all(clients.map((client) => client.query(waiting)))).reduce((sum, { rowCount }) => sum + (rowCount ?? 0), 0), { timeout: 20_000, interval: 5 }).toBeGreaterThan(0);
  await Promise.all(clients.map((client) => client.end()));
}
