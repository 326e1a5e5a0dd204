import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { Cluster } from '../../../src/index.ts';
import { createTestDatabases } from '../../support/test-databases.ts';
import { columnsOf } from './columns-of.ts';
import { scriptArguments } from '../../support/child-script.ts';

const setup = `CREATE TABLE t (k bigint, a int); INSERT INTO t SELECT i, i FROM generate_series(1, 40) i`;
const change = 'ALTER TABLE t ADD COLUMN b int DEFAULT 7, ALTER a TYPE text USING a::text';

/** Each step of the commit, and whether the change has happened once recovery has been there. */
test.each([
  ['before_prepare', false], ['one_prepared', false], ['prepared', false], ['before_decision', false], ['decided', true], ['one_committed', true],
] as const)('a process killed at %s: the change has happened on all servers or none (%s)', async (step, happened) => {
  await using databases = await createTestDatabases({ nodes: 2 });
  const { connectionString } = databases.coordinator;
  const cluster = new Cluster({ connectionString });
  try {
    for (const { host, port, database } of databases.nodes) await cluster.addNode({ host, port, database });
    await cluster.query(setup);
    await cluster.createDistributedTable('t', 'k', { shardCount: 4 });
    await killedAt(cluster, step, { connectionString, change });
    const expected = happened ? 'k bigint,a text,b integer' : 'k bigint,a integer';
    const columns = await columnsOf({ cluster, databases }, 't');
    expect(columns).toEqual(columns.map(() => expected));
    expect(columns.length).toBe(5);
    const { rows } = await cluster.query('SELECT * FROM t ORDER BY k LIMIT 1');
    expect(rows).toEqual([happened ? { k: '1', a: '1', b: 7 } : { k: '1', a: 1 }]);
  } finally {
    await cluster.end();
  }
});

test.each([['one_prepared', false], ['decided', true]] as const)('a process killed at %s of a new table in a distributed schema: it is there as a whole or not (%s)', async (step, happened) => {
  await using databases = await createTestDatabases({ nodes: 2 });
  const { connectionString } = databases.coordinator;
  const cluster = new Cluster({ connectionString });
  try {
    for (const { host, port, database } of databases.nodes) await cluster.addNode({ host, port, database });
    await cluster.createDistributedSchema('tenant');
    await killedAt(cluster, step, { connectionString, change: 'CREATE TABLE tenant.t (k bigint PRIMARY KEY)' });
    expect((await cluster.schemas()).map(({ tables }) => tables)).toEqual([happened ? ['t'] : []]);
    expect((await cluster.checkSchema()).text).toMatch(happened ? /^1 shard compared, no differences/ : /^no shards compared, no differences/);
    if (!happened) await cluster.query('CREATE TABLE tenant.t (k bigint PRIMARY KEY)');
    await cluster.query('INSERT INTO tenant.t VALUES (1)');
  } finally {
    await cluster.end();
  }
});

const keySteps = [['one_prepared', false], ['decided', true], ['one_committed', true]] as const;

test.each([
  ...keySteps.map(([step, happened]) => ({ step, happened, change: 'CREATE TABLE l (k int REFERENCES r)' })), ...keySteps.map(([step, happened]) => ({ step, happened, change: 'ALTER TABLE kept DROP CONSTRAINT of_s' })),
])('a process killed at $step of $change: the rows are in the coordinator database or not, as the key is ($happened)', async ({ step, happened, change: text }) => {
  await using databases = await createTestDatabases({ nodes: 2 });
  const { connectionString } = databases.coordinator;
  const cluster = new Cluster({ connectionString });
  try {
    for (const { host, port, database } of databases.nodes) await cluster.addNode({ host, port, database });
    await cluster.query('CREATE TABLE r (k int PRIMARY KEY); CREATE TABLE s (k int PRIMARY KEY)');
    for (const table of ['r', 's']) await cluster.createReferenceTable(table);
    await cluster.query('INSERT INTO r SELECT generate_series(1, 50); INSERT INTO s SELECT generate_series(1, 50); CREATE TABLE kept (k int CONSTRAINT of_s REFERENCES s)');
    await killedAt(cluster, step, { connectionString, change: text });
    await cluster.query('INSERT INTO r VALUES (51); INSERT INTO s VALUES (51)');
    const coordinator = new Client({ connectionString });
    await coordinator.connect();
    const { rows } = await coordinator.query('SELECT (SELECT count(*)::int FROM r) AS r, (SELECT count(*)::int FROM s) AS s');
    await coordinator.end();
    expect(rows).toEqual([text.startsWith('CREATE') ? { r: happened ? 51 : 0, s: 51 } : { r: 0, s: happened ? 0 : 51 }]);
    expect((await cluster.verify()).differences).toEqual([]);
    expect((await cluster.checkSchema()).differences).toEqual([]);
  } finally {
    await cluster.end();
  }
});

/** Another process runs the change and dies at that step; recovery finishes or undoes it. */
async function killedAt(cluster: Cluster, step: string, { connectionString, change: text }: { readonly connectionString: string; readonly change: string }): Promise<void> {
  const child = spawn(process.execPath, [...scriptArguments(new URL('definer-process.ts', import.meta.url)), connectionString, text, step], { stdio: ['ignore', 'ignore', 'pipe'] });
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  expect(signal, Buffer.concat(errors).toString()).toBe('SIGKILL');
  await expect.poll(async () => {
    await cluster.recover();
    return (await cluster.transactions()).length;
  }, { timeout: 30_000 }).toBe(0);
}
