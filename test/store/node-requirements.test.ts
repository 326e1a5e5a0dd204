import { expect, test } from 'vitest';
import { checkServer, readServerProperties, type ServerProperties } from '../../src/store/node-requirements.ts';
import { openCoordinator } from './coordinator.ts';

const good: ServerProperties = {
  version: 150_004,
  preparedTransactionsMax: 10,
  walLevel: 'logical',
  inRecovery: false,
  encoding: 'UTF8',
  locale: 'libc c.utf8 c.utf8',
};

test.each([15, 18] as const)('a server of version %i that will do says so itself', async (major) => {
  await using coordinator = await openCoordinator(major);
  const connection = await coordinator.connections.acquire();
  const properties = await readServerProperties(connection);
  connection.release();
  expect(properties).toMatchObject({ walLevel: 'logical', inRecovery: false, encoding: 'UTF8', locale: expect.stringMatching(/^(libc|icu|builtin) \S+/) });
  expect(() => checkServer(properties, properties)).not.toThrow();
});

test.each([
  [{ version: 140_010 }, /runs PostgreSQL 14/, /Upgrade/],
  [{ inRecovery: true }, /standby/, /primary/],
  [{ preparedTransactionsMax: 0 }, /max_prepared_transactions = 0/, /ALTER SYSTEM SET max_prepared_transactions = \d+ .* restart/],
  [{ walLevel: 'replica' }, /wal_level = replica/, /ALTER SYSTEM SET wal_level = logical .* restart/],
  [{ encoding: 'LATIN1' }, /encoding LATIN1/, /ENCODING 'UTF8'/],
  [{ locale: 'libc en_us.utf8 en_us.utf8' }, /sorts text by another locale/, /TEMPLATE template0/],
] as const)('%j is refused with the way out', (flaw, message, hint) => {
  const refusal = { id: 'unsupportedNode', code: '55000', message: expect.stringMatching(message), hint: expect.stringMatching(hint) };
  expect(() => checkServer(good, good)).not.toThrow();
  let thrown: unknown;
  try {
    checkServer({ ...good, ...flaw }, good);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject(refusal);
});
