import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, startCluster } from './start-cluster.ts';

let pair: ClusterAndPlain;
let cluster: Cluster;
beforeAll(async () => {
  pair = await startCluster({ nodes: 2 });
  cluster = pair.cluster;
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

test('a local table gets foreign keys as a migration adds them, and takes rows that refer to others once it is distributed', async () => {
  await cluster.query('CREATE TABLE visits (tenant_id bigint, id int, country code, seen int, PRIMARY KEY (tenant_id, id))');
  await cluster.query('ALTER TABLE visits ADD CONSTRAINT of_country FOREIGN KEY (country) REFERENCES countries, ADD FOREIGN KEY (tenant_id, seen) REFERENCES orders, ADD COLUMN other code REFERENCES countries ON DELETE CASCADE');
  await cluster.query('INSERT INTO visits VALUES (1, 1)');
  const refused = (hint: RegExp): object => ({ code: '23503', table: 'visits', hint: expect.stringMatching(hint) as string });
  await cluster.query(`INSERT INTO visits VALUES (0, 2, 'de')`);
  await expect(cluster.query('UPDATE visits SET seen = 1')).rejects.toMatchObject(refused(/^Table "orders" is distributed, .*distribute it as well\.$/));
  const session = await cluster.connect();
  await session.query('BEGIN; SAVEPOINT s');
  await expect(session.query(`INSERT INTO visits VALUES (1, 2, NULL, 1, 'fr')`)).rejects.toMatchObject(refused(/^Table "orders"/));
  await session.query('ROLLBACK');
  session.release();
  await cluster.createDistributedTable('visits', 'tenant_id', { colocateWith: 'orders' });
  await cluster.query(`INSERT INTO visits VALUES (1, 2, 'de', 1, 'fr')`);
  const missing = await cluster.query(`INSERT INTO visits VALUES (1, 3, 'xx')`).catch((error: unknown) => error);
  expect(missing).toMatchObject({ code: '23503', constraint: 'of_country', detail: 'Key (country)=(xx) is not present in table "countries".' });
  expect(missing).not.toHaveProperty('hint', expect.any(String));
  await cluster.query(`DELETE FROM countries WHERE code = 'fr'`);
  expect((await cluster.query('SELECT id FROM visits WHERE tenant_id = 1 ORDER BY id')).rows).toEqual([{ id: 1 }]);
});

test.each([
  ['ALTER TABLE notes ADD FOREIGN KEY (id) REFERENCES countries (code), INHERIT orders', /not carried to the shards of "/],
  ['CREATE RULE r AS ON INSERT TO orders DO INSTEAD NOTHING', /^a rule cannot be of "orders", or write to it$/], ['CREATE RULE r AS ON INSERT TO notes DO ALSO DELETE FROM countries', /^a rule cannot be of "countries"/],
])('refused with the reason: %s', async (text, message) => {
  await expect(cluster.query(text)).rejects.toMatchObject({ id: 'unsupportedDdl', message: expect.stringMatching(message) as string, hint: expect.any(String) as string });
});

test('what a table is already says what makes another kind of it', async () => {
  await expect(cluster.createReferenceTable('orders')).rejects.toMatchObject({ id: 'alreadyDistributed', hint: expect.stringContaining('alterDistributedTable') as string });
});
