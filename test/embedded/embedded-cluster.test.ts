import { existsSync, mkdtempSync, chmodSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { startEmbeddedCluster, volatileSettings } from '../../src/embedded.ts';

const settings = volatileSettings;

test('a coordinator and nodes, added and ready to use', async () => {
  const embedded = await startEmbeddedCluster({ nodes: 2, settings });
  expect(embedded.nodes).toHaveLength(2);
  expect((await embedded.cluster.nodes()).length).toBe(2);
  await embedded.cluster.query('CREATE TABLE t (a bigint PRIMARY KEY)');
  await embedded.cluster.createDistributedTable('t', 'a');
  await embedded.cluster.query('INSERT INTO t VALUES ($1)', [42]);
  expect((await embedded.cluster.query('SELECT a::int FROM t WHERE a = 42')).rows).toEqual([{ a: 42 }]);
  await embedded.stop();
  await embedded.stop();
  await expect(new Client(embedded.connectionString).connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('a data directory comes back with its nodes and data', async () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'test-embedded-'));
  chmodSync(dataDirectory, 0o755);
  onTestFinished(() => rmSync(dataDirectory, { recursive: true, force: true }));
  const first = await startEmbeddedCluster({ nodes: 2, dataDirectory, settings });
  await first.cluster.query('CREATE TABLE t (a bigint PRIMARY KEY)');
  await first.cluster.createDistributedTable('t', 'a');
  await first.cluster.query('INSERT INTO t VALUES ($1)', [42]);
  await first.stop();
  await using second = await startEmbeddedCluster({ nodes: 1, dataDirectory, settings });
  expect(second.nodes).toEqual(first.nodes);
  expect((await second.cluster.query('SELECT a::int FROM t WHERE a = 42')).rows).toEqual([{ a: 42 }]);
});

test('replicas with a data directory are refused before anything is made', async () => {
  const dataDirectory = join(tmpdir(), `test-embedded-none-${process.pid}`);
  await expect(startEmbeddedCluster({ nodes: 1, replicas: 1, dataDirectory, settings })).rejects.toMatchObject({ id: 'invalidParameter', hint: 'Leave out dataDirectory, or replicas.' });
  expect(existsSync(dataDirectory)).toBe(false);
});

test('when a node cannot be added, nothing keeps running', async () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'test-embedded-'));
  chmodSync(dataDirectory, 0o755);
  onTestFinished(() => rmSync(dataDirectory, { recursive: true, force: true }));
  const start = startEmbeddedCluster({ nodes: 1, dataDirectory, settings: { ...settings, max_prepared_transactions: '0' } });
  await expect(start).rejects.toMatchObject({ id: 'unsupportedNode' });
  expect(existsSync(join(dataDirectory, 'node1', 'PG_VERSION'))).toBe(true);
  expect(existsSync(join(dataDirectory, 'node1', 'postmaster.pid'))).toBe(false);
});
