import { Client } from 'pg';
import type { Member } from './member.ts';
import { pollUntil } from './poll-until.ts';

const everyMs = 20;

/** Resolves when one of the servers says that it takes writes, asked directly. */
export function takesWrites(members: readonly Member[]): Promise<void> {
  return pollUntil(`one of ${members.map(({ name }) => name).join(', ')} takes writes`, async () => (await Promise.all(members.map(isPrimary))).includes(true), { everyMs });
}

async function isPrimary({ port }: Member): Promise<boolean> {
  const client = new Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres', connectionTimeoutMillis: 1_000, query_timeout: 1_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ standby: boolean }>('SELECT pg_catalog.pg_is_in_recovery() AS standby');
    return rows[0]?.standby === false;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
