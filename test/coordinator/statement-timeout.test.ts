import { setTimeout as wait } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster } from '../../src/index.ts';
import { type StagedCluster, startStaged } from '../execute/staged/start-staged.ts';

let pair: StagedCluster;
let impatient: Cluster;
const timedOut = { id: 'canceled', number: 'SW022', code: '57014', message: 'canceling statement due to statement timeout' };

beforeAll(async () => {
  pair = await startStaged();
  impatient = pair.another({ statementTimeoutMs: 700, tuning: { batchRows: 20 } });
  // What makes plans and connections takes its time, too.
  await pair.another({ statementTimeoutMs: 0 }).query('SELECT count(*) FROM orders');
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

test.each([
  ['one node', 'SELECT pg_sleep(60) FROM orders WHERE tenant_id = 1'],
  ['all shards', 'SELECT pg_sleep(60) FROM orders'],
  ['stages', 'SELECT id, pg_sleep(60) FROM orders WHERE id IN (SELECT id FROM orders ORDER BY id, tenant_id LIMIT 1000)'],
  ['the coordinator database', 'SELECT pg_sleep(60)'],
  ['a write', `UPDATE orders SET note = pg_sleep(60)::text WHERE tenant_id IN (1, 2, 3, 4)`],
])('of %s: it stops on every server', async (_, sql) => {
  for (let i = 0; i < 2; i += 1) await expect(impatient.query(sql)).rejects.toMatchObject(timedOut);
  await quiet();
});

test('in a transaction block it fails the transaction, and the next one works', async () => {
  const client = await impatient.connect();
  await client.query('BEGIN');
  await client.query(`UPDATE orders SET note = 'x' WHERE tenant_id = 1`);
  await expect(client.query('SELECT pg_sleep(60) FROM orders')).rejects.toMatchObject(timedOut);
  await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
  await client.query('ROLLBACK');
  expect((await client.query(`SELECT FROM orders WHERE note = 'x'`)).rowCount).toBe(0);
  client.release();
  await quiet();
});

test('each statement of a text has the whole time', async () => {
  const results = await impatient.query('SELECT pg_sleep(0.4); SELECT pg_sleep(0.4); SELECT 1 AS one') as unknown as { rows: unknown[] }[];
  expect(results[2]?.rows).toEqual([{ one: 1 }]);
  await expect(impatient.query('SELECT 1; SELECT pg_sleep(60)')).rejects.toMatchObject(timedOut);
});

test('a stream\'s reader may take its time, its servers not', async () => {
  const rows = [];
  for await (const batch of impatient.streamBatches('SELECT id FROM orders', [], { batchRows: 500 })) {
    if (rows.length < 100) await wait(800);
    rows.push(...batch);
  }
  expect(rows).toHaveLength((await pair.plain.query('SELECT FROM orders')).rowCount ?? -1);
  await expect(impatient.stream('SELECT pg_sleep(60) FROM orders').next()).rejects.toMatchObject(timedOut);
  await quiet();
});

test('a cursor: when it is declared, and when it reads on', async () => {
  await using client = await impatient.connect().then((one) => Object.assign(one, { [Symbol.asyncDispose]: async () => one.release(true) }));
  await client.query('BEGIN');
  await expect(client.query('DECLARE c CURSOR FOR SELECT pg_sleep(60) FROM orders')).rejects.toMatchObject(timedOut);
  await client.query('ROLLBACK');
  await client.query('BEGIN');
  await client.query(`DECLARE c CURSOR FOR SELECT CASE WHEN id > 1500 THEN pg_sleep(0.05) END FROM orders ORDER BY id`);
  await expect(client.query('FETCH ALL FROM c')).rejects.toMatchObject(timedOut);
  await client.query('ROLLBACK');
  await quiet();
});

test('COPY', async () => {
  await expect(impatient.copyTo('COPY (SELECT pg_sleep(60) FROM orders) TO STDOUT').toArray()).rejects.toMatchObject(timedOut);
  async function* silent(): AsyncGenerator<string> {
    yield '901\t1\n';
    await new Promise(() => undefined);
  }
  await expect(impatient.copyFrom('COPY orders (tenant_id, id) FROM STDIN', silent())).rejects.toMatchObject(timedOut);
  expect((await pair.cluster.query('SELECT FROM orders WHERE tenant_id = 901')).rowCount).toBe(0);
  await quiet();
});

test('the caller\'s signal still counts, and explain is timed', async () => {
  const controller = new AbortController();
  const call = impatient.query({ text: 'SELECT pg_sleep(60) FROM orders', signal: controller.signal });
  controller.abort();
  await expect(call).rejects.toMatchObject({ id: 'canceled', message: 'canceling statement due to user request' });
  await expect(impatient.explain('SELECT pg_sleep(60) FROM orders', [], { analyze: true })).rejects.toMatchObject(timedOut);
  await quiet();
});

test.each([-1, 1.5, 2 ** 31, Number.NaN])('%s is no timeout', (statementTimeoutMs) => {
  expect(() => new Cluster({ statementTimeoutMs })).toThrow('statementTimeoutMs must be an integer from 0 to 2147483647');
});

async function quiet(): Promise<void> {
  expect(await pair.remains()).toEqual([]);
}

test.each(['create_distributed_table', 'create_reference_table', 'undistribute_table'])('SELECT %s() that waits for a lock', async (name) => {
  const table = `waits_${name}`;
  await pair.cluster.query(`CREATE TABLE ${table} (id bigint PRIMARY KEY)`);
  if (name === 'undistribute_table') await pair.cluster.createReferenceTable(table);
  const holder = new Client({ connectionString: pair.databases.coordinator.connectionString });
  await holder.connect();
  await holder.query(`BEGIN; LOCK TABLE ${table} IN ACCESS SHARE MODE`);
  const call = `SELECT ${name}('${table}'${name === 'create_distributed_table' ? `, 'id'` : ''})`;
  await expect(impatient.query(call)).rejects.toMatchObject(timedOut);
  await expect(pair.another().query({ text: call, signal: AbortSignal.timeout(500) } as never)).rejects.toMatchObject({ code: '57014' });
  await holder.query('COMMIT');
  await holder.end();
  expect((await pair.cluster.tables()).some((one) => one.name === table)).toBe(name === 'undistribute_table');
  await quiet();
});
