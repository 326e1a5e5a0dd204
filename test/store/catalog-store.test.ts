import { Client } from 'pg';
import { expect, test } from 'vitest';
import { present } from '../../src/base/assert.ts';
import type { CatalogSnapshot } from '../../src/catalog/catalog-snapshot.ts';
import { bumpVersion, catalogChannel } from '../../src/store/catalog-changes.ts';
import { listenForCatalog, type ListenClient } from '../../src/store/catalog-listener.ts';
import { createCatalogStore, type CatalogStore } from '../../src/store/catalog-store.ts';
import { placementsOnly } from '../../src/store/placements-only.ts';
import { metadataSql, openCoordinator, type Coordinator } from './coordinator.ts';

interface Watched extends AsyncDisposable {
  readonly store: CatalogStore;
  /** How often the catalog was read. */
  readonly readings: () => number;
  /** How often anything was asked. */
  readonly queries: () => number;
  /** The answer of the next look waits until the function that comes back is called. */
  readonly holdNextLook: () => () => void;
  /** Resolves at the next version that `wanted` accepts. */
  version(wanted: number): Promise<void>;
  /** Resolves when the listener has connected as often. */
  connected(times: number): Promise<void>;
}

/** `hears`: notifications. */
function watch(coordinator: Coordinator, { hears = true }: { readonly hears?: boolean } = {}): Watched {
  let readings = 0;
  let queries = 0;
  let held: Promise<void> | undefined;
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
      query: async (query, options) => {
        queries += 1;
        if (query.text.includes('catalog_document')) readings += 1;
        const answer = await connections.query(query, options);
        if (!query.text.includes('catalog_document')) await held;
        return answer;
      },
    },
    listen: (channel, changed) =>
      hears ? listenForCatalog({
        channel,
        newClient: () => listenClient(database.connectionString),
        changed: () => {
          connects += 1;
          changed();
          wake();
        },
        delay: () => Promise.resolve(),
      }) : { end: () => Promise.resolve() },
  });
  store.onChange(wake);
  return {
    store,
    readings: () => readings,
    queries: () => queries,
    holdNextLook: () => {
      let release = (): void => undefined;
      held = new Promise((resolve) => {
        release = resolve;
      });
      return () => {
        held = undefined;
        release();
      };
    },
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

/** Shard group 1 comes to another node, and a version says what changed. */
async function moveGroup(coordinator: Coordinator, node: number, changed: readonly number[] | 'any' = placementsOnly): Promise<void> {
  await coordinator.sql(`UPDATE shardwright.shard_group SET node_id = ${node}`);
  await bumpVersion({ coordinator: coordinator.connections }, changed === 'any' ? undefined : changed);
}

const nodeOfGroup = (snapshot: CatalogSnapshot | undefined): unknown => [...(snapshot?.colocationGroups.values() ?? [])][0]?.shardGroups[0]?.node;

test('where only shard groups have moved, a look tells all; else everything is read', async () => {
  await using coordinator = await openCoordinator();
  await using watched = watch(coordinator, { hears: false });
  await watched.store.load();
  await coordinator.sql(`CREATE TABLE t (k integer); ${metadataSql({ t: 1 })}; INSERT INTO shardwright.node (host, port, database) VALUES ('h', 2, 'd')`);
  const first = await watched.store.refresh();
  const { readings } = watched;
  const before = readings();
  await moveGroup(coordinator, 2);
  await coordinator.sql(`UPDATE shardwright.node SET host = 'elsewhere' WHERE node_id = 2`);
  await moveGroup(coordinator, 2);
  const moved = await watched.store.refreshIfOld();
  expect([moved.version, nodeOfGroup(moved), moved.nodes[1]?.host]).toEqual([first.version + 2, 2, 'elsewhere']);
  // The rest is what it was, to the letter.
  expect({ ...moved, version: 0, nodes: [], colocationGroups: [] }).toEqual({ ...first, version: 0, nodes: [], colocationGroups: [] });
  expect(readings()).toBe(before);
  for (const [changed, last] of [[[], placementsOnly], [placementsOnly, 'any']] as const) {
    await moveGroup(coordinator, 1, changed);
    await coordinator.sql('ALTER TABLE t ADD c int');
    await moveGroup(coordinator, 2, last);
    const read = readings();
    const fresh = await watched.store.refreshIfOld();
    expect(readings()).toBeGreaterThan(read);
    expect(nodeOfGroup(fresh)).toBe(2);
    await coordinator.sql('ALTER TABLE t DROP c');
  }
});

test('many that wait for a newer version share one look, and ask for nothing when it is there', async () => {
  await using coordinator = await openCoordinator();
  await using watched = watch(coordinator);
  const first = await watched.store.load();
  await watched.connected(1);
  await bumpVersion({ coordinator: coordinator.connections }, placementsOnly);
  await watched.version(first.version + 1);
  const { queries } = watched;
  const before = queries();
  expect((await watched.store.newerThan(first)).version).toBe(first.version + 1);
  expect(queries()).toBe(before);
  const second = present(watched.store.current());
  const all = await Promise.all(Array.from({ length: 20 }, () => watched.store.newerThan(second)));
  expect(new Set(all)).toEqual(new Set([second]));
  expect(queries() - before).toBeLessThanOrEqual(2);
});

test('what is read past a look is not taken back by it', async () => {
  await using coordinator = await openCoordinator();
  await using watched = watch(coordinator, { hears: false });
  await watched.store.load();
  await coordinator.sql(`CREATE TABLE t (k integer); ${metadataSql({ t: 1 })}; INSERT INTO shardwright.node (host, port, database) VALUES ('h', 2, 'd')`);
  await watched.store.refresh();
  await moveGroup(coordinator, 2);
  // Past the library, so that no version tells.
  await coordinator.sql('ALTER TABLE t ADD c int');
  const held = watched.holdNextLook();
  const looking = watched.store.refreshIfOld();
  await watched.store.refresh();
  // Where nothing is newer, all tables are read.
  await watched.store.refresh();
  held();
  expect((await looking).tables.get('6.public.t')?.columns.map(({ name }) => name)).toEqual(['k', 'c']);
  expect(watched.store.current()?.tables.get('6.public.t')?.columns).toHaveLength(2);
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
