import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, run, startCluster } from './start-cluster.ts';

const roles = `DO $$ BEGIN CREATE ROLE shardwright_owner; CREATE ROLE shardwright_tenant; CREATE ROLE shardwright_auditor; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`;

const tables = `
CREATE TABLE docs (tenant_id bigint, id int, owner text NOT NULL DEFAULT current_user, body text, hidden boolean NOT NULL DEFAULT false, PRIMARY KEY (tenant_id, id));
CREATE TABLE lines (tenant_id bigint, doc_id int, n int, PRIMARY KEY (tenant_id, doc_id, n));
CREATE TABLE labels (code text PRIMARY KEY, secret boolean NOT NULL);
INSERT INTO docs SELECT t, i, 'x', 'doc ' || i, i % 3 = 0 FROM generate_series(1, 6) t, generate_series(1, 6) i;
INSERT INTO lines SELECT t, i, 1 FROM generate_series(1, 6) t, generate_series(1, 6) i;
INSERT INTO labels VALUES ('a', false), ('b', true);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
ALTER TABLE lines ENABLE ROW LEVEL SECURITY;
ALTER TABLE lines FORCE ROW LEVEL SECURITY;
ALTER TABLE labels ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON docs TO shardwright_tenant USING (tenant_id = current_setting('app.tenant_id')::bigint);
CREATE POLICY shown ON docs AS RESTRICTIVE FOR SELECT TO shardwright_tenant USING (NOT hidden OR (SELECT current_setting('app.all', true)) = 'on');
CREATE POLICY all_of_them ON docs FOR SELECT TO shardwright_auditor USING (true);
CREATE POLICY mine ON lines USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::bigint) WITH CHECK (n < 100);
CREATE POLICY public ON labels USING (NOT secret OR current_user = 'shardwright_auditor');
GRANT ALL ON docs, lines, labels TO shardwright_tenant, shardwright_owner;
GRANT SELECT ON docs, labels TO shardwright_auditor;
GRANT SELECT (n), UPDATE (n) ON lines TO shardwright_auditor;
ALTER TABLE docs OWNER TO shardwright_owner; ALTER TABLE lines OWNER TO shardwright_owner;
CREATE TABLE hints (tenant_id bigint, id int, n int);
INSERT INTO hints SELECT t, i, 0 FROM generate_series(1, 6) t, generate_series(1, 2) i;
ALTER TABLE hints ENABLE ROW LEVEL SECURITY;
CREATE POLICY anyone ON hints USING (true);
CREATE POLICY read_mine ON hints AS RESTRICTIVE FOR SELECT TO shardwright_tenant USING (tenant_id::text = current_setting('app.tenant_id', true));
CREATE POLICY delete_one ON hints AS RESTRICTIVE FOR DELETE USING (tenant_id IN (current_setting('app.tenant_id')::int, 2) OR tenant_id = 2);
GRANT ALL ON hints TO shardwright_tenant, shardwright_auditor;
ALTER TABLE hints OWNER TO shardwright_owner;
CREATE VIEW own_view AS SELECT * FROM docs; CREATE VIEW my_view WITH (security_invoker) AS SELECT * FROM docs;
GRANT SELECT ON own_view, my_view TO PUBLIC`;

/** How many sessions wait for a lock in a database. */
async function waitingIn({ connectionString }: { readonly connectionString: string }): Promise<number> {
  const client = new Client({ connectionString });
  await client.connect();
  const { rowCount } = await client.query(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`);
  await client.end();
  return rowCount ?? 0;
}

describe.each([15, 18] as const)('row security on version %i', (major) => {
  let pair: ClusterAndPlain;
  let cluster: Cluster;

  beforeAll(async () => {
    pair = await startCluster({ major, nodes: 2 });
    cluster = pair.cluster;
    for (const { connectionString } of [pair.databases.coordinator, ...pair.databases.nodes]) await run(connectionString, roles);
    await cluster.query(tables);
    await pair.plain.query(tables);
    await cluster.createDistributedTable('docs', 'tenant_id', { shardCount: 8 });
    await cluster.createDistributedTable('lines', 'tenant_id', { colocateWith: 'docs' });
    await cluster.createDistributedTable('hints', 'tenant_id', { colocateWith: 'docs' });
    await cluster.createReferenceTable('labels');
  });
  afterAll(() => pair[Symbol.asyncDispose](), 15_000);

  /** The same steps in a session of each; rows without order, or the error's code and message. */
  async function same(steps: readonly string[]): Promise<unknown[]> {
    const answers = await Promise.all([cluster.connect(), pair.plain.connect()].map(async (connecting) => {
      const client = await connecting;
      const answer: unknown[] = [];
      for (const step of steps) {
        answer.push(await client.query({ text: step, rowMode: 'array' }).then(
          ({ rows, rowCount, command }) => [command, rowCount, rows.map((row) => JSON.stringify(row)).sort()],
          (error: { code: string; message: string }) => [error.code, error.message],
        ));
      }
      await client.query('ROLLBACK; RESET SESSION AUTHORIZATION; RESET ALL').catch(() => undefined);
      client.release();
      return answer;
    }));
    for (const [i, step] of steps.entries()) expect({ step, answer: answers[0]?.[i] }).toEqual({ step, answer: answers[1]?.[i] });
    return answers[0] ?? [];
  }

  test('nothing differs between tables and shards', async () => {
    expect((await cluster.checkSchema()).text).toMatch(/no differences/);
  });

  test('a tenant sees and writes its own rows, however it says who it is', async () => {
    const [, , counted] = await same([
      'SET ROLE shardwright_tenant', `SELECT set_config('app.tenant_id', '3', false)`, 'SELECT count(*) FROM docs', 'SELECT * FROM docs WHERE tenant_id = 3', 'SELECT * FROM docs WHERE tenant_id = 4',
      'SELECT d.id, l.n FROM docs d JOIN lines l ON l.tenant_id = d.tenant_id AND l.doc_id = d.id', `SET app.all = 'on'`, 'SELECT id, hidden FROM docs', `SET app.tenant_id = '5'`, 'SELECT tenant_id, count(*) FROM docs GROUP BY 1',
      `UPDATE docs SET body = 'new' RETURNING tenant_id, id`, 'INSERT INTO docs VALUES (5, 70), (5, 71) RETURNING owner', 'INSERT INTO docs VALUES (6, 70)', 'INSERT INTO docs VALUES (5, 72), (6, 72)',
      'INSERT INTO docs SELECT tenant_id, id + 100 FROM docs', 'DELETE FROM docs WHERE id >= 70 RETURNING tenant_id', 'RESET app.tenant_id', 'SELECT count(*) FROM docs', 'RESET ROLE', 'SELECT tenant_id, body FROM docs',
      'SELECT * FROM labels', 'SET ROLE shardwright_tenant', 'SELECT * FROM labels', `UPDATE labels SET code = code || '!'`, `INSERT INTO labels VALUES ('c', true)`, 'SELECT * FROM labels JOIN lines ON true',
    ]);
    expect(counted).toEqual(['SELECT', 1, ['["4"]']]);
  });

  test('in blocks, with SET LOCAL and savepoints', async () => {
    await same([
      'BEGIN', 'SET LOCAL ROLE shardwright_tenant', `SET LOCAL app.tenant_id = '2'`, 'SELECT count(*) FROM docs', 'SAVEPOINT s', `SELECT set_config('app.tenant_id', '1', true)`, 'SELECT tenant_id, id FROM docs',
      'ROLLBACK TO s', 'SELECT tenant_id, id FROM docs', 'INSERT INTO lines VALUES (2, 1, 50)', 'INSERT INTO lines VALUES (2, 1, 100)', 'ROLLBACK',
      'SELECT current_user = session_user', 'SELECT count(*) FROM docs', 'BEGIN', 'SET LOCAL ROLE shardwright_tenant', 'SELECT count(*) FROM docs', 'COMMIT', `SET app.tenant_id = '4'`, 'BEGIN', 'SET ROLE shardwright_tenant',
      'SELECT tenant_id, count(*) FROM docs GROUP BY 1', 'COMMIT', 'SELECT tenant_id, count(*) FROM docs GROUP BY 1',
    ]);
  });

  test('owner, FORCE, privileges on columns, and row_security = off', async () => {
    await same([
      'SET ROLE shardwright_owner', 'SELECT count(*) FROM docs', 'SELECT count(*) FROM lines', `SET app.tenant_id = '1'`, 'SELECT count(*) FROM lines', 'UPDATE lines SET n = 100', 'SET row_security = off', 'SELECT count(*) FROM lines', 'SELECT count(*) FROM docs',
      'SET row_security = on', 'SET ROLE shardwright_auditor', 'SELECT count(*) FROM docs', 'SELECT * FROM labels', `UPDATE docs SET body = ''`, 'DELETE FROM docs WHERE tenant_id = 1', 'SELECT n FROM lines', 'SELECT doc_id FROM lines', 'SELECT count(*) FROM lines WHERE tenant_id = 1',
      'UPDATE lines SET n = 7', 'TRUNCATE docs',
    ]);
  });

  test('views read with the rights of the role where they say so, and are refused where they do not', async () => {
    await same(['SET ROLE shardwright_tenant', `SET app.tenant_id = '1'`, 'SELECT id FROM my_view', 'SELECT tenant_id, count(*) FROM my_view GROUP BY 1']);
    await expect(cluster.query('SELECT count(*) FROM own_view')).rejects.toMatchObject({ id: 'unsupportedQuery', detail: expect.stringContaining('row level security') as string });
    await expect(cluster.query('CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM docs')).rejects.toMatchObject({ id: 'unsupportedQuery', detail: expect.stringContaining('row level security') as string });
  });

  test('rows do not move while policies look at them', async () => {
    await expect(cluster.query('UPDATE docs SET tenant_id = 99 WHERE id = 1')).rejects.toMatchObject({ id: 'unsupportedWrite', detail: expect.stringContaining('row level security') as string });
  });

  test('all rows come and go, whatever policies say of the owner', async () => {
    await cluster.query('CREATE TABLE codes (k int PRIMARY KEY); INSERT INTO codes VALUES (1), (2); ALTER TABLE codes ENABLE ROW LEVEL SECURITY; ALTER TABLE codes FORCE ROW LEVEL SECURITY; CREATE POLICY none ON codes USING (k > 1)');
    await cluster.createReferenceTable('codes');
    await cluster.undistributeTable('codes');
    expect((await cluster.query('SELECT k FROM codes ORDER BY k')).rows).toEqual([{ k: 1 }, { k: 2 }]);
    expect((await cluster.query(`SELECT relforcerowsecurity FROM pg_class WHERE relname = 'codes'`)).rows).toEqual([{ relforcerowsecurity: true }]);
  });

  /** What prunes a statement that goes to one shard, or the number of shard groups that it goes to, behind each of the steps. */
  async function prunedBy(steps: readonly string[], query: string): Promise<string | undefined> {
    const client = await cluster.connect();
    try {
      for (const step of steps) await client.query(step);
      const { rows } = await client.query({ text: `EXPLAIN ${query}`, rowMode: 'array' });
      const text = (rows as readonly (readonly string[])[]).map(([line]) => line ?? '').join('\n');
      return /Pruned by: (.*)|Shard groups: (.*)|Tasks: (.*)/.exec(text)?.slice(1).find((one) => one !== undefined);
    } finally {
      client.release(true);
    }
  }

  const asTenant = ['SET ROLE shardwright_tenant', `SET app.tenant_id = '3'`];
  const count = 'SELECT count(*) FROM docs';
  test.each([
    ['a policy that compares with a setting', asTenant, count, 'policy mine of docs, setting app.tenant_id'],
    ['policies of two tables', asTenant, 'SELECT d.id, l.n FROM docs d JOIN lines l ON l.doc_id = d.id', 'policy mine of docs, setting app.tenant_id, policy mine of lines'],
    ['an update', asTenant, `UPDATE docs SET body = 'new'`, 'policy mine of docs, setting app.tenant_id'],
    ['in a block', ['BEGIN', 'SET LOCAL ROLE shardwright_tenant', `SELECT set_config('app.tenant_id', '3', true)`], 'DELETE FROM docs', 'policy mine of docs, setting app.tenant_id'],
    ['a savepoint that is undone', ['BEGIN', ...asTenant, 'SAVEPOINT s', 'RESET ROLE', 'ROLLBACK TO s'], count, 'policy mine of docs, setting app.tenant_id'],
    ['another session user', ['SET SESSION AUTHORIZATION shardwright_tenant', `SET app.tenant_id = '3'`], count, 'policy mine of docs, setting app.tenant_id'],
    ['NULL', ['SET ROLE shardwright_tenant', `SET app.tenant_id = ''`], 'SELECT count(*) FROM lines', 'policy mine of lines, setting app.tenant_id'],
    ['the owner, with FORCE', ['SET ROLE shardwright_owner', `SET app.tenant_id = '3'`], 'SELECT count(*) FROM lines', 'policy mine of lines, setting app.tenant_id'],
    ['the owner, without', ['SET ROLE shardwright_owner', `SET app.tenant_id = '2'`], 'DELETE FROM hints', '8 on'],
    ['a role that sees all', ['SET ROLE shardwright_auditor', `SET app.tenant_id = '3'`], count, '8 of 8'],
    ['a superuser', [`SET app.tenant_id = '3'`], 'SELECT count(*) FROM lines', '8 of 8'],
    ['a setting that is not set', ['SET ROLE shardwright_tenant', 'SET app.other = 1'], 'SELECT count(*) FROM lines', '8 of 8'],
    ['a setting of a block that has ended', ['SET ROLE shardwright_tenant', 'BEGIN', `SET LOCAL app.tenant_id = '3'`, 'COMMIT'], 'SELECT count(*) FROM lines', '8 of 8'],
    ['a restrictive policy', asTenant, 'SELECT count(*) FROM hints', 'policy read_mine of hints, setting app.tenant_id'],
    ['one for reading only does not prune an update', asTenant, 'UPDATE hints SET n = 1', '8 on'],
    ['nor does one for other roles', ['SET ROLE shardwright_auditor', `SET app.tenant_id = '3'`], 'SELECT count(*) FROM hints', '8 of 8'],
    ['one for deleting', ['SET ROLE shardwright_auditor', `SET app.tenant_id = '2'`], 'DELETE FROM hints', 'policy delete_one of hints, setting app.tenant_id'],
  ])('prunes, or does not: %s', async (_, steps, query, expected) => {
    const got = await prunedBy(steps, query);
    expect(expected === '8 on' ? got?.match(/\d+(?= on)/g)?.reduce((sum, n) => sum + Number(n), 0) : got).toEqual(expected === '8 on' ? 8 : expected);
  });

  test('what policies prune is what they hide', async () => {
    const reads = ['SELECT count(*) FROM docs', 'SELECT tenant_id, count(*) FROM lines GROUP BY 1', 'SELECT tenant_id, id FROM hints'];
    const writes = ['UPDATE hints SET n = 5', 'UPDATE hints SET n = n + 1 WHERE id = 1', 'DELETE FROM hints', 'UPDATE docs SET body = body RETURNING id'];
    const roles = ['shardwright_tenant', 'shardwright_owner', 'shardwright_auditor'].map((role) => [
      `SET ROLE ${role}`, ...reads, `SET app.tenant_id = '5'`, ...reads, ...writes.flatMap((write) => ['BEGIN', write, 'ROLLBACK']), 'BEGIN', `SET LOCAL app.tenant_id = '2'`, ...reads, 'SAVEPOINT s', `SET app.tenant_id = ''`, ...reads, 'ROLLBACK TO s', ...reads, 'COMMIT', ...reads,
    ]);
    for (const steps of roles) await same(steps);
  });

  test('a process that has not heard of a new policy sees what it shows', async () => {
    const other = new Cluster({ connectionString: pair.databases.coordinator.connectionString });
    const [changing, reading] = [await cluster.connect(), await other.connect()];
    try {
      for (const step of asTenant) await reading.query(step);
      expect((await reading.query(count)).rows).toEqual([{ count: '4' }]);
      await changing.query(`BEGIN; CREATE POLICY more ON docs FOR SELECT TO shardwright_tenant USING (true)`);
      const answered = reading.query(count);
      const waits = (): Promise<number[]> => Promise.all(pair.databases.nodes.map(waitingIn));
      await expect.poll(async () => (await waits()).some((sessions) => sessions > 0), { timeout: 20_000 }).toBe(true);
      await changing.query('COMMIT');
      expect((await answered).rows).toEqual([{ count: '24' }]);
    } finally {
      changing.release(true);
      reading.release(true);
      await other.end();
      await cluster.query('DROP POLICY IF EXISTS more ON docs');
    }
  });
});
