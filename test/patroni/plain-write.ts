import { Client } from 'pg';
import { pollUntil } from './poll-until.ts';
import type { Member } from './member.ts';

const everyMs = 20;
const stuckMs = 30_000;

/**
 * Resolves to when a plain connection to whichever of the servers takes writes has had one acknowledged: no sooner than its synchronous replica has it, or Patroni goes on without one. What the library takes beyond is its own.
 */
export async function plainWriteMs(members: readonly Member[]): Promise<number> {
  let writtenMs = 0;
  await pollUntil(`a plain write to one of ${members.map(({ name }) => name).join(', ')}`, async () => {
    writtenMs = (await Promise.all(members.map(tryToWrite))).find((ms) => ms !== undefined) ?? 0;
    return writtenMs > 0;
  }, { everyMs });
  return writtenMs;
}

async function tryToWrite({ port }: Member): Promise<number | undefined> {
  const client = new Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres', connectionTimeoutMillis: 1_000, query_timeout: stuckMs });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT pg_catalog.txid_current(); CREATE TEMPORARY TABLE written ()');
    return performance.now();
  } catch {
    return undefined;
  } finally {
    await client.end().catch(() => undefined);
  }
}
