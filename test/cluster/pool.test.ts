import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openTestNode, until } from './connections.ts';
import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import { nodeId } from '../../src/catalog/ids.ts';
import { createNodePools } from '../../src/cluster/node-pools.ts';

test('no more than exclusiveMax at once, first come first served', async () => {
  await using node = await openTestNode({ exclusiveMax: 3 });
  const order: number[] = [];
  const processes = new Set<number>();
  let held = 0;
  await Promise.all(
    Array.from({ length: 30 }, async (_, index) => {
      const connection = await node.connections.acquire();
      order.push(index);
      processes.add(connection.processId);
      held += 1;
      expect(held).toBeLessThanOrEqual(3);
      await connection.query({ text: 'SELECT 1' });
      held -= 1;
      connection.release();
    }),
  );
  expect(order).toEqual(Array.from({ length: 30 }, (_, index) => index));
  expect(processes.size).toBeLessThanOrEqual(3);
  expect(node.connections.counts.waiting).toBe(0);
  expect(node.connections.counts.open).toBeLessThanOrEqual(3);
});

test('a full queue refuses, a long wait times out, an abort leaves the queue', async () => {
  await using node = await openTestNode({ exclusiveMax: 1, queueMax: 2, acquireTimeoutMs: 50 });
  await node.acquire();
  const controller = new AbortController();
  const waiting = [node.connections.acquire({ signal: controller.signal }), node.connections.acquire()];
  const settled = Promise.allSettled(waiting);
  expect(node.connections.counts.waiting).toBe(2);
  await expect(node.connections.acquire()).rejects.toMatchObject({ id: 'poolTimeout', message: expect.stringContaining(node.name) });
  controller.abort();
  expect(node.connections.counts.waiting).toBe(1);
  expect(await settled).toMatchObject([{ reason: { id: 'canceled' } }, { reason: { id: 'poolTimeout', code: '53300' } }]);
  expect(node.connections.counts.waiting).toBe(0);
});

test.each([
  ['in a transaction', 'BEGIN; SELECT 1', {}],
  ['in a failed transaction', 'BEGIN', {}],
  ['with an error', 'SELECT 1', { error: new Error('broken') }],
])('a connection released %s is not used again', async (what, text, outcome) => {
  await using node = await openTestNode({ exclusiveMax: 1 });
  const connection = await node.acquire();
  await connection.query({ text, simple: true });
  if (what.includes('failed')) await connection.query({ text: 'SELECT 1 / 0' }).catch(() => undefined);
  connection.release(outcome);
  const next = await node.acquire();
  expect(next.processId).not.toBe(connection.processId);
  expect(next.transactionStatus).toBe('idle');
});

test('a connection released while a statement runs ends that statement', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const sleeping = expect(connection.query({ text: 'SELECT pg_sleep(1000)' })).rejects.toThrow(/canceling statement|was lost/);
  await until(() => node.sees("EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database())"));
  connection.release();
  await sleeping;
  await until(() => node.sees("NOT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database())"));
});

test('a dirty connection is cleaned, its prepared statements too', async () => {
  await using node = await openTestNode({ exclusiveMax: 1 });
  const connection = await node.acquire();
  await connection.query({ text: "SET work_mem = '5MB'; CREATE TEMPORARY TABLE t ()", simple: true });
  await connection.query({ text: 'SELECT $1::int', values: [1], name: 'one' });
  connection.markDirty();
  connection.release();
  const next = await node.acquire();
  expect(next.processId).toBe(connection.processId);
  const { rows } = await next.query({ text: "SELECT current_setting('work_mem') <> '5MB', to_regclass('pg_temp.t'), current_setting('datestyle')" });
  expect(rows).toEqual([['t', null, 'ISO, MDY']]);
  // Inside a transaction block a statement that the server has forgotten cannot be prepared anew.
  await next.query({ text: 'BEGIN' });
  expect((await next.query({ text: 'SELECT $1::int', values: [2], name: 'one' })).rows).toEqual([['2']]);
});

test('a released connection cannot be used', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  connection.release();
  connection.release();
  await expect(connection.query({ text: 'SELECT 1' })).rejects.toThrow(/released/);
  expect(node.connections.counts.idle).toBe(1);
});

test('unused connections are closed after a while', async () => {
  await using node = await openTestNode({ idleTimeoutMs: 20 });
  await Promise.all([node.connections.query({ text: 'SELECT 1' }), node.connections.query({ text: 'SELECT 1', mayWait: true })]);
  await until(() => node.connections.counts.open === 0);
  expect((await node.connections.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
});

test('the end waits for what runs and is held, and refuses what comes later', async () => {
  await using node = await openTestNode({ exclusiveMax: 1 });
  const connection = await node.acquire();
  const waiting = expect(node.connections.acquire()).rejects.toMatchObject({ id: 'clusterClosed' });
  const running = node.connections.query({ text: 'SELECT 1 FROM pg_sleep(0.05)' });
  const ended = node.connections.end();
  await expect(node.connections.query({ text: 'SELECT 1' })).rejects.toMatchObject({ id: 'clusterClosed' });
  await expect(node.connections.acquire()).rejects.toMatchObject({ id: 'clusterClosed' });
  expect((await running).rows).toEqual([['1']]);
  expect((await connection.query({ text: 'SELECT 2' })).rows).toEqual([['2']]);
  connection.release();
  await Promise.all([ended, waiting, node.connections.end()]);
  expect(node.connections.counts).toEqual({ open: 0, idle: 0, waiting: 0 });
});

test('idle connections do not keep a process alive', async () => {
  await using node = await openTestNode();
  const module = fileURLToPath(new URL('../../src/cluster/open-node-connections.ts', import.meta.url));
  const script = `
    import { openNodeConnections } from ${JSON.stringify(module)};
    const connections = openNodeConnections({ id: 1, name: 'n' }, { client: { connectionString: ${JSON.stringify(node.connectionString)} } });
    await connections.query({ text: 'SELECT 1' });
    await connections.query({ text: 'SELECT 1', mayWait: true });
    console.log(JSON.stringify(connections.counts));`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => (output += String(chunk)));
  const [code] = await once(child, 'exit');
  expect([code, JSON.parse(output)]).toEqual([0, { open: 2, idle: 2, waiting: 0 }]);
});

test('pools of nodes: opened when needed, closed when gone', async () => {
  await using node = await openTestNode();
  const config = { client: { connectionString: node.connectionString } };
  const [one, two] = [nodeId(1), nodeId(2)];
  const pools = createNodePools([
    { id: coordinatorNodeId, name: 'c', config },
    { id: one, name: 'one', config },
  ]);
  expect(pools.nodeIds).toEqual([coordinatorNodeId, one]);
  const first = pools.get(one);
  expect((await first.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
  expect(() => pools.get(two)).toThrow(/node 2 does not exist/);
  pools.setNodes([
    { id: coordinatorNodeId, name: 'c', config },
    { id: one, name: 'moved', config },
    { id: two, name: 'two', config },
  ]);
  expect(pools.get(one)).not.toBe(first);
  await expect(first.query({ text: 'SELECT 1' })).rejects.toMatchObject({ id: 'clusterClosed' });
  expect((await pools.get(two).query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
  await pools.end();
  expect(first.counts.open).toBe(0);
  expect(() => pools.get(one)).toThrow(/ended/);
});
