import { Client } from 'pg';
import { expect, test } from 'vitest';
import { present } from '../../src/base/assert.ts';
import { bumpVersion, catalogChannel } from '../../src/store/catalog-changes.ts';
import { listenForCatalog, type ListenClient } from '../../src/store/catalog-listener.ts';
import { createCatalogStore, type CatalogStore } from '../../src/store/catalog-store.ts';
import { openCoordinator, type Coordinator } from './coordinator.ts';

interface Watched extends AsyncDisposable {
  readonly store: CatalogStore;
  /** How often the catalog was read. */
  readonly readings: () => number;
  /** Resolves at the next version that `wanted` accepts. */
  version(wanted: number): Promise<void>;
  /** Resolves when the listener has connected as often. */
  connected(times: number): Promise<void>;
}

function watch(coordinator: Coordinator): Watched {
  let readings = 0;
  let connects = 0;
  const waiting = new Set<() => void>();
  const wake = (): void => waiting.forEach((check) => check());
  const until = (isSo: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (!isSo()) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
    });
  const { connections, database } = coordinator;
  const store = createCatalogStore({
    coordinator: {
      acquire: (options) => connections.acquire(options),
      query: (query, options) => {
        if (query.text.includes('catalog_document')) readings += 1;
        return connections.query(query, options);
      },
    },
    listen: (channel, changed) =>
      listenForCatalog({
        channel,
        newClient: () => listenClient(database.connectionString),
        changed: () => {
          connects += 1;
          changed();
          wake();
        },
        delay: () => Promise.resolve(),
      }),
  });
  store.onChange(wake);
  return {
    store,
    readings: () => readings,
    version: (wanted) => until(() => (store.current()?.version ?? 0) >= wanted),
    connected: (times) => until(() => connects >= times),
    [Symbol.asyncDispose]: () => store.end(),
  };
}

function listenClient(connectionString: string): ListenClient {
  const client = new Client({ connectionString, application_name: 'listener' });
  return {
    connect: () => client.connect(),
    query: (text) => client.query(text),
    end: () => client.end(),
    on: (event, listener) => client.on(event as 'end', listener),
    // Every test ends it.
    unref: () => undefined,
  };
}

const bump = `UPDATE shardwright.cluster SET catalog_version = catalog_version + 1`;

test('read once, however many ask at once', async () => {
  await using coordinator = await openCoordinator();
  await using watched = watch(coordinator);
  expect(watched.store.current()).toBeUndefined();
  const all = await Promise.all([watched.store.load(), watched.store.load(), watched.store.load()]);
  expect(new Set(all).size).toBe(1);
  expect(watched.store.current()).toBe(all[0]);
  // The first finds nothing installed, the second reads.
  expect(watched.readings()).toBe(2);
  await watched.store.load();
  expect(watched.readings()).toBe(2);
});

test('a change of another process arrives', async () => {
  await using coordinator = await openCoordinator();
  await using watched = watch(coordinator);
  await watched.store.load();
  await watched.connected(1);
  const connection = await coordinator.connections.acquire();
  await connection.query({ text: 'BEGIN' });
  expect(await bumpVersion({ coordinator: connection })).toBe(2);
  expect(watched.store.current()?.version).toBe(1);
  await connection.query({ text: 'COMMIT' });
  connection.release();
  await watched.version(2);
});

test('a change that nobody heard of is found after reconnecting', async () => {
  await using coordinator = await openCoordinator();
  await using watched = watch(coordinator);
  await watched.store.load();
  await watched.connected(1);
  await coordinator.sql(bump);
  await coordinator.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'listener' AND datname = current_database()`);
  await watched.version(2);
});

test('a refresh sees what was committed before it was asked for, also while another reading runs', async () => {
  await using coordinator = await openCoordinator();
  await using watched = watch(coordinator);
  await watched.store.load();
  for (let version = 2; version < 12; version += 1) {
    const earlier = watched.store.refresh();
    await coordinator.sql(bump);
    const [refreshed] = await Promise.all([watched.store.refresh(), earlier]);
    expect(refreshed.version).toBe(version);
    expect(present(watched.store.current()).version).toBe(version);
  }
});

test('a refresh of what may be old reads only what has changed', async () => {
  await using coordinator = await openCoordinator();
  await using watched = watch(coordinator);
  const first = await watched.store.load();
  const { readings } = watched;
  const before = readings();
  expect(await watched.store.refreshIfOld()).toBe(first);
  expect(readings()).toBe(before);
  await coordinator.sql(bump);
  expect((await watched.store.refreshIfOld()).version).toBe(first.version + 1);
});

test('an aborted call stops waiting; an ended store refuses', async () => {
  await using coordinator = await openCoordinator();
  const watched = watch(coordinator);
  const abort = new AbortController();
  const call = watched.store.load({ signal: abort.signal });
  abort.abort();
  await expect(call).rejects.toMatchObject({ id: 'canceled' });
  await watched.store.load();
  await watched.store.end();
  await expect(watched.store.load()).rejects.toMatchObject({ id: 'clusterClosed' });
  await expect(watched.store.refresh()).rejects.toMatchObject({ id: 'clusterClosed' });
});

test('the channel is a plain identifier of the cluster', () => {
  expect(catalogChannel('0b6c-1')).toBe('shardwright_catalog_0b6c1');
});
