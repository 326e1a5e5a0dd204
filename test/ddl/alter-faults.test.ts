import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster } from '../../src/index.ts';
import { alterDistributedTable } from '../../src/ddl/alter-distributed-table.ts';
import { createDistributedTable } from '../../src/ddl/create-distributed-table.ts';
import { commitSteps } from '../../src/txn/distributed-transaction.ts';
import { openTestCluster, type TestCluster } from './test-cluster.ts';
import { watched } from './watched-transaction.ts';
import { scriptArguments } from '../support/child-script.ts';

/** A fault at each request and at each step of the commit of alterDistributedTable: afterwards the tables have their old shards or their new ones, with all rows, and nodes have nothing else. */
let cluster: TestCluster;
let whole: Cluster;
let spare: ChildProcessByStdio<Writable, null, null>;
/** How many requests it makes. */
let requests = 0;

const shardCounts = [2, 3] as const;

beforeAll(async () => {
  cluster = await openTestCluster({ nodes: 2 });
  whole = new Cluster({ connectionString: cluster.databases.coordinator.connectionString });
  await cluster.sql(`CREATE TABLE t (k int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 60) i; CREATE INDEX ON t (v);
    CREATE TABLE u (k int, n int, PRIMARY KEY (k, n)); INSERT INTO u SELECT i % 60 + 1, i FROM generate_series(1, 90) i`);
  for (const name of ['t', 'u']) await createDistributedTable(cluster.context, name, 'k', { shardCount: shardCounts[0] });
  await whole.query('ALTER TABLE u ADD FOREIGN KEY (k) REFERENCES t');
  spare = startChild();
});

afterAll(async () => {
  spare.kill('SIGKILL');
  await whole.end();
  await cluster[Symbol.asyncDispose]();
});

function startChild(): typeof spare {
  return spawn(process.execPath, [...scriptArguments(new URL('altering-process.ts', import.meta.url)), cluster.databases.coordinator.connectionString], { stdio: ['pipe', 'ignore', 'inherit'] });
}

async function currentCount(): Promise<number> {
  return (await whole.shards()).filter(({ table }) => table === 't').length;
}

async function otherCount(): Promise<number> {
  return (await currentCount()) === shardCounts[0] ? shardCounts[1] : shardCounts[0];
}

/** Tables with so many shards each, all rows, and nothing beside them. */
async function expectWhole(count: number): Promise<void> {
  const shards = await whole.shards();
  expect(['t', 'u'].map((name) => shards.filter(({ table }) => table === name).length)).toEqual([count, count]);
  const there = (await Promise.all([0, 1].map((node) => cluster.onNode(node, `SELECT relname::text FROM pg_class WHERE relname ~ '^[tu]_\\d+$' AND relkind = 'r'`)))).flat(2);
  expect(there.map(String).toSorted()).toEqual(shards.map(({ name }) => name).toSorted());
  expect((await whole.query('SELECT (SELECT count(*)::int FROM t) AS t, (SELECT sum(n)::int FROM u) AS u, (SELECT count(*)::int FROM t JOIN u USING (k)) AS joined')).rows).toEqual([{ t: 60, u: 4095, joined: 90 }]);
}

test('an error at any request: nothing has changed, until there is no such request', async () => {
  const [before, after] = [await currentCount(), await otherCount()];
  const base = cluster.newContext();
  for (let failing = 1; ; failing += 1) {
    let count = 0;
    const onRequest = (): void => {
      count += 1;
      if (count === failing) throw new Error('injected');
    };
    const context = { ...base, begin: () => watched(base.begin(), onRequest) };
    const outcome = await alterDistributedTable(context, 't', { shardCount: after, cascadeToColocated: true }).catch((error: unknown) => error);
    if (outcome === undefined) {
      requests = count;
      break;
    }
    expect(outcome).toMatchObject({ message: 'injected' });
    if (failing % 8 === 0) await expectWhole(before);
  }
  expect(requests).toBeGreaterThan(20);
  await expectWhole(after);
}, 60_000);

test.each(commitSteps)('an error at %s of its commit', async (step) => {
  const [before, after] = [await currentCount(), await otherCount()];
  const context = cluster.newContext((reached) => {
    if (reached === step) throw new Error('injected');
  });
  const happened = commitSteps.indexOf(step) >= commitSteps.indexOf('decided');
  const altering = alterDistributedTable(context, 't', { shardCount: after, cascadeToColocated: true });
  if (happened) await altering;
  else await expect(altering).rejects.toThrow('injected');
  await settled();
  await expectWhole(happened ? after : before);
});

test('killed at a request, or a step of its commit: recovery finishes or undoes it', async () => {
  const some = [0.1, 0.35, 0.55, 0.75, 0.98].map((part) => String(Math.ceil(requests * part)));
  for (const where of [...some, ...commitSteps]) {
    const [before, after] = [await currentCount(), await otherCount()];
    const child = spare;
    const ended = once(child, 'exit');
    spare = startChild();
    child.stdin.write(`${after} ${where}\n`);
    expect({ where, ended: await ended }).toEqual({ where, ended: [null, 'SIGKILL'] });
    await settled();
    const step = commitSteps.find((one) => one === where);
    await expectWhole(step !== undefined && commitSteps.indexOf(step) >= commitSteps.indexOf('decided') ? after : before);
  }
  expect((await whole.checkSchema()).differences).toEqual([]);
}, 120_000);

async function settled(): Promise<void> {
  await expect.poll(async () => {
    await whole.recover();
    return (await whole.transactions()).length;
  }, { timeout: 30_000 }).toBe(0);
}
