import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { ClusterError } from '../../src/index.ts';
import { type ClusterAndPlain, startCluster } from './start-cluster.ts';

let pair: ClusterAndPlain;
beforeAll(async () => {
  pair = await startCluster();
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);
beforeEach(() => pair.cluster.query('UPDATE orders SET total = 100'));

async function totalOf(tenant: number): Promise<unknown> {
  const { rows } = await pair.cluster.query({ text: 'SELECT sum(total)::int FROM orders WHERE tenant_id = $1', values: [tenant], rowMode: 'array' });
  return rows[0]?.[0];
}

test('commits over several nodes, and gives what the work gives', async () => {
  const given = await pair.cluster.transaction(async (tx) => {
    await tx.query('UPDATE orders SET total = total - 10 WHERE tenant_id = 1');
    await tx.query('UPDATE orders SET total = total + 10 WHERE tenant_id = 2');
    return 'moved';
  });
  expect(given).toBe('moved');
  expect([await totalOf(1), await totalOf(2)]).toEqual([450, 550]);
});

test('rolls back what the work throws, once', async () => {
  let runs = 0;
  const failing = pair.cluster.transaction(async (tx) => {
    runs += 1;
    await tx.query('UPDATE orders SET total = 0 WHERE tenant_id = 1');
    throw new TypeError('mine');
  });
  await expect(failing).rejects.toThrow(new TypeError('mine'));
  expect(runs).toBe(1);
  await expect(pair.cluster.transaction((tx) => tx.query('SELECT 1 / 0'))).rejects.toMatchObject({ code: '22012' });
  expect(await totalOf(1)).toBe(500);
  expect(pair.cluster.idleCount).toBe(pair.cluster.totalCount);
});

test('an error that the work passes over is told', async () => {
  const passing = pair.cluster.transaction(async (tx) => {
    await tx.query('UPDATE orders SET total = 0 WHERE tenant_id = 1');
    await tx.query('SELECT 1 / 0').catch(() => undefined);
  });
  await expect(passing).rejects.toMatchObject({ id: 'transactionAborted', code: '25P02' });
  expect(await totalOf(1)).toBe(500);
});

test('increments that meet in serializable transactions are all there', async () => {
  let runs = 0;
  await Promise.all(Array.from({ length: 8 }, () => pair.cluster.transaction(async (tx) => {
    runs += 1;
    const { rows } = await tx.query<{ total: string }>('SELECT total FROM orders WHERE tenant_id = 5 AND id = 1');
    await tx.query('UPDATE orders SET total = $1 WHERE tenant_id = 5 AND id = 1', [Number(at(rows, 0).total) + 1]);
  }, { isolation: 'serializable', retries: 50 })));
  expect(runs).toBeGreaterThan(8);
  expect((await pair.cluster.query('SELECT total::int FROM orders WHERE tenant_id = 5 AND id = 1')).rows).toEqual([{ total: 108 }]);
});

test('a deadlock ends, and both are done in the end', async () => {
  const change = (ids: readonly number[]): Promise<void> => pair.cluster.transaction(async (tx) => {
    for (const id of ids) await tx.query('UPDATE orders SET total = total + 1 WHERE tenant_id = 7 AND id = $1', [id]);
  });
  await Promise.all(Array.from({ length: 6 }, (_, i) => change(i % 2 === 0 ? [1, 2, 3] : [3, 2, 1])));
  expect((await pair.cluster.query('SELECT DISTINCT total::int AS total FROM orders WHERE tenant_id = 7 AND id < 4')).rows).toEqual([{ total: 106 }]);
});

describe('tries', () => {
  test.each([['40001', {}, 6], ['40P01', { retries: 2 }, 3], ['40001', { retries: 0 }, 1], ['08007', {}, 1], ['08006', {}, 1], ['23505', {}, 1]])('%s %o: %i', async (code, options, expected) => {
    let runs = 0;
    const failing = pair.cluster.transaction(() => {
      runs += 1;
      return Promise.reject(Object.assign(new Error('as asked'), { code }));
    }, options);
    await expect(failing).rejects.toMatchObject({ code });
    expect(runs).toBe(expected);
  });

  test('end when the caller aborts', async () => {
    const controller = new AbortController();
    const tried = pair.cluster.transaction(() => {
      controller.abort();
      return Promise.reject(Object.assign(new Error('again'), { code: '40001' }));
    }, { signal: controller.signal });
    await expect(tried).rejects.toMatchObject({ id: 'canceled' });
    await expect(pair.cluster.transaction(() => Promise.resolve(), { signal: controller.signal })).rejects.toMatchObject({ id: 'canceled' });
  });
});

test('modes', async () => {
  const shown = await pair.cluster.transaction(async (tx) => (await tx.query({ text: 'SHOW transaction_isolation', rowMode: 'array' })).rows, { isolation: 'repeatable read', readOnly: true });
  expect(shown).toEqual([['repeatable read']]);
  await expect(pair.cluster.transaction((tx) => tx.query('UPDATE orders SET total = 0 WHERE tenant_id = 1'), { readOnly: true })).rejects.toMatchObject({ code: '25006' });
  await expect(pair.cluster.transaction(() => Promise.resolve(), { isolation: 'chaos' as never })).rejects.toThrow('unknown isolation level: chaos');
  await expect(pair.cluster.transaction(() => Promise.resolve(), { retries: -1 })).rejects.toThrow(ClusterError);
});

test('what a dead process has prepared is listed, and finished in the background', async () => {
  const { nodes } = pair.databases;
  const { rows } = await pair.cluster.query<{ id: string }>('SELECT id FROM shardwright.cluster');
  const name = at(rows, 0).id.replaceAll('-', '').slice(0, 8);
  const clients = await Promise.all(nodes.map(async ({ connectionString }) => new Client({ connectionString }).connect()));
  const prepare = async (node: number, transaction: string): Promise<void> => {
    const client = at(clients, node - 1);
    await client.query(`BEGIN; CREATE TABLE ${transaction}_${node} ()`);
    await client.query(`PREPARE TRANSACTION 'shardwright:${name}:1:${transaction}:${node}'`);
  };
  for (const node of [2, 3]) await prepare(node, 'decided');
  await prepare(2, 'undecided');
  await at(clients, 0).query(`INSERT INTO shardwright.decision (transaction_id, outcome) VALUES ('decided', 'commit')`);
  const listed = await pair.cluster.transactions();
  expect(listed.map(({ transactionId, node, outcome }) => `${transactionId} on ${node}: ${outcome}`).toSorted()).toEqual(['decided on 2: commit', 'decided on 3: commit', 'undecided on 2: undefined']);
  expect(listed.every(({ ageMs, gid }) => ageMs >= 0 && gid.startsWith(`shardwright:${name}:1:`))).toBe(true);
  // Two processes that look often.
  const watching = [pair.another({ recoveryIntervalMs: 100 }), pair.another({ recoveryIntervalMs: 100 })];
  await Promise.all(watching.map((cluster) => cluster.query('SELECT 1')));
  while ((await pair.cluster.transactions()).length > 0);
  const made = await Promise.all(clients.map(async (client) => (await client.query<{ relname: string }>(`SELECT relname FROM pg_class WHERE relname ~ 'decided_'`)).rows.map(({ relname }) => relname)));
  expect(made).toEqual([[], ['decided_2'], ['decided_3']]);
  await Promise.all(clients.map((client) => client.end()));
  await Promise.all(watching.map((cluster) => cluster.end()));
}, 40_000);

test('a connection lost in COMMIT: the error names the transaction, and each process can ask what became of it', async () => {
  await pair.cluster.query(`
    CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON notes INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dies()`);
  const error = await pair.cluster.transaction((tx) => tx.query("INSERT INTO notes VALUES (50, 'lost')")).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ id: 'outcomeUnknown', code: '08007', transactionId: expect.stringMatching(/^[0-9a-f]{8}\.0\.\d+\.\d+\.[0-9a-f]{32}$/) });
  const id = error instanceof ClusterError ? (error.transactionId ?? '') : '';
  expect(await pair.another().outcomeOf(id)).toBe('aborted');
  await expect(pair.cluster.outcomeOf('mine')).rejects.toMatchObject({ id: 'invalidParameter', message: 'not the id of a transaction: mine' });
  await pair.cluster.query('DROP TRIGGER dies ON notes; DROP FUNCTION dies()');
});
