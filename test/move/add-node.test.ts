import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { volatileSettings } from '../../src/embedded/default-settings.ts';
import { type PostgresServer, startPostgres } from '../../src/embedded/postgres-server.ts';
import { Cluster, type ClusterNode } from '../../src/index.ts';
import { isUndoable, isOver, moveStates } from '../../src/move/move-state.ts';
import type { NodeAddress } from '../../src/store/catalog-changes.ts';
import type { MoveTask } from './fault-child.ts';
import { openMoves } from './fault-moves.ts';
import { listRemains, placeOf } from './move-cluster.ts';
import { forkScript } from '../support/child-script.ts';

/** A node is added while reference tables are written, by processes that die and are carried on: no statement fails, all copies are what was acknowledged, and nothing is left of what was given up. */
let servers: PostgresServer[];
let cluster: Cluster;
let another: Cluster;
let coordinator: string;
let spare: ChildProcess;
let databases = 0;

beforeAll(async () => {
  spare = forkChild();
  servers = await Promise.all(Array.from({ length: 4 }, () => startPostgres({ settings: volatileSettings })));
  coordinator = at(servers, 0).connectionString;
  [cluster, another] = [new Cluster({ connectionString: coordinator, recoveryIntervalMs: 0 }), new Cluster({ connectionString: coordinator, recoveryIntervalMs: 0 })];
  for (const { host, port, database } of servers.slice(1, 3)) await cluster.addNode({ host, port, database });
  await cluster.query(`
    CREATE ROLE clerk; CREATE TYPE shade AS ENUM ('light', 'dark'); CREATE FUNCTION known(shade) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
    CREATE DOMAIN hue AS shade CHECK (known(VALUE)); CREATE SCHEMA shop;
    CREATE TABLE shop.plans (code text PRIMARY KEY, total int NOT NULL DEFAULT 0, hue hue, note text); GRANT SELECT ON shop.plans TO clerk;
    ALTER DEFAULT PRIVILEGES FOR ROLE clerk REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT USAGE ON TYPES TO clerk;
    CREATE TABLE offers (code text REFERENCES shop.plans ON DELETE CASCADE, line int); CREATE INDEX ON offers (line);
    CREATE TABLE orders (tenant bigint, id bigint, plan text REFERENCES shop.plans, PRIMARY KEY (tenant, id))`);
  await cluster.createReferenceTable('shop.plans');
  await cluster.createReferenceTable('offers');
  await cluster.createDistributedTable('orders', 'tenant', { shardCount: 4 });
  await cluster.query(`INSERT INTO shop.plans SELECT 'old' || g, g, 'dark', repeat('x', 100) FROM generate_series(1, 2000) g`);
  await cluster.query(`INSERT INTO offers SELECT 'old' || g, g FROM generate_series(1, 2000) g`);
}, 120_000);

afterAll(async () => {
  spare.kill('SIGKILL');
  await Promise.all([cluster.end(), another.end()]);
  await Promise.all(servers.map((server) => server.stop('immediate')));
}, 60_000);

async function ask(server: PostgresServer, database: string, text: string): Promise<unknown[][]> {
  const url = new URL(server.connectionString);
  url.pathname = `/${database}`;
  const client = await new Client(url.href).connect();
  try {
    return ([await client.query({ text, rowMode: 'array' })].flat().at(-1)?.rows ?? []) as unknown[][];
  } finally {
    await client.end();
  }
}

const joining = (): PostgresServer => at(servers, 3);

/** Where nothing has ever been. */
async function newDatabase(): Promise<NodeAddress> {
  databases += 1;
  const database = `joining_${databases}`;
  await ask(joining(), joining().database, `CREATE DATABASE ${database}`);
  return { host: joining().host, port: joining().port, database };
}

const remains = (address?: NodeAddress): Promise<string[]> => listRemains((node, text) => {
  const server = at(servers, node);
  return ask(server, node === 3 && address !== undefined ? address.database : server.database, text);
}, address === undefined ? [1, 2] : [1, 2, 3]);

/** What users, the library among them, have made in a database. */
const madeThere = (address: NodeAddress): Promise<unknown[][]> => ask(joining(), address.database, `
  SELECT 'schema', nspname::text FROM pg_namespace WHERE oid >= 16384 UNION ALL SELECT 'type', typname FROM pg_type WHERE oid >= 16384
  UNION ALL SELECT 'function', proname FROM pg_proc WHERE oid >= 16384 UNION ALL SELECT 'role', rolname FROM pg_roles WHERE rolname = 'clerk'
  UNION ALL SELECT 'slot', slot_name FROM pg_replication_slots UNION ALL SELECT 'prepared', gid FROM pg_prepared_xacts`);

interface Load {
  readonly failures: unknown[];
  writes(): number;
  /** What must be there, a line for each row. */
  stop(): Promise<string[]>;
}

let loads = 0;
/** Writers in two processes, as it were, each with rows of its own. */
function startLoad(): Load {
  loads += 1;
  const [from, rows, failures] = [`n${loads}`, new Map<string, number>(), [] as unknown[]];
  let [isOver, writes] = [false, 0];
  const told = async (work: Promise<unknown>): Promise<boolean> => work.then(() => (writes += 1) > 0, (error: unknown) => failures.push(error) < 0);
  const write = async (client: Cluster, number: number): Promise<void> => {
    for (let i = 0; ; i += 1) {
      if (isOver) return;
      const code = `${from}-${number}-${i}`;
      if (!(await told(client.query('INSERT INTO shop.plans VALUES ($1, 1, $2, $3)', [code, 'light', i % 5 === 0 ? 'large '.repeat(2_000) : 'a\tb'])))) continue;
      rows.set(code, 1);
      await told(client.query('INSERT INTO offers VALUES ($1, 1), ($1, 1)', [code]));
      await told(client.query('INSERT INTO orders VALUES ($1, $2, $3)', [i, loads * 1e6 + number * 1e5 + i, `old${(i % 2000) + 1}`]));
      if (i % 2 === 0 && (await told(client.query('UPDATE shop.plans SET total = total + 1 WHERE code = $1', [code])))) rows.set(code, 2);
      if (i % 3 === 0) await told(client.query('UPDATE offers SET line = 2 WHERE code = $1', [code]));
      if (i % 4 === 0 && (await told(client.query('DELETE FROM shop.plans WHERE code = $1', [code])))) rows.delete(code);
      await told(client.query('SELECT count(*) FROM orders o JOIN shop.plans p ON p.code = o.plan WHERE o.tenant = $1', [i]));
    }
  };
  const running = [write(cluster, 1), write(another, 2)];
  return {
    failures,
    writes: () => writes,
    stop: async () => {
      isOver = true;
      await Promise.all(running);
      return [...rows].map(([code, total]) => `${code}: ${total}`).sort();
    },
  };
}

/** Runs the work beside the writers; nothing of what they wrote may fail or be lost. */
async function underLoad(work: () => Promise<void>): Promise<void> {
  const load = startLoad();
  try {
    await work();
    const before = load.writes();
    await expect.poll(() => load.writes(), { timeout: 20_000, interval: 20 }).toBeGreaterThan(before + 10);
  } finally {
    const expected = await load.stop();
    expect(load.failures).toEqual([]);
    const { rows } = await cluster.query<{ line: string }>(`SELECT code || ': ' || total AS line FROM shop.plans WHERE code LIKE $1 || '-%'`, [`n${loads}`]);
    expect(rows.map(({ line }) => line).sort()).toEqual(expected);
    await cluster.query(`DELETE FROM shop.plans WHERE code LIKE 'n%'`);
  }
}

/** The node is there, with all that nodes have, and is taken out again. */
async function expectAdded(node: ClusterNode | undefined, address: NodeAddress): Promise<void> {
  expect(await cluster.nodes()).toContainEqual(node);
  await expect.poll(() => remains(address), { timeout: 10_000, interval: 20 }).toEqual([]);
  expect(await cluster.jobs()).toEqual([]);
  expect((await cluster.verify()).differences).toEqual([]);
  expect((await cluster.checkSchema()).differences).toEqual([]);
  const [counted] = await ask(joining(), address.database, `SELECT count(*)::int FROM ${at((await cluster.shards()).filter((shard) => shard.table === 'offers'), 0).name} WHERE code LIKE 'old%'`);
  expect(counted).toEqual([2000]);
  await cluster.removeNode(address);
}

async function kill(address: NodeAddress, step: string, referenceTables: 'online' | 'block_writes' = 'online'): Promise<void> {
  const child = spare;
  spare = forkChild();
  child.send({ coordinator, wish: { address, referenceTables }, step } satisfies MoveTask);
  expect(await once(child, 'message')).toEqual(['reached', undefined]);
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const states = moveStates.filter((state) => !isOver(state) && state !== 'undo' && state !== 'retain');
const steps = [...states.map((state) => `${state}:done`), 'one_prepared', 'prepared', 'decided', 'one_committed'];

test.each(steps)('killed at %s: the same call again carries it on', async (step) => {
  const address = await newDatabase();
  let node: ClusterNode | undefined;
  await underLoad(async () => {
    await kill(address, step);
    expect(await cluster.jobs()).toMatchObject([{ kind: 'add_node', sources: [], targets: [], from: 1, address: `${address.host}:${address.port}/${address.database}` }]);
    const [job] = await cluster.jobs();
    node = await another.addNode(address).catch(async (error: unknown) => {
      // Past the cut-over it is in the catalog, and what is left is the cleaning.
      expect(error).toMatchObject({ id: 'nodeExists' });
      await another.resumeJob(job?.jobId ?? '');
      return at((await cluster.nodes()).filter(({ id }) => id === job?.to), 0);
    });
    expect(node).toEqual({ ...address, id: job?.to });
  });
  await expectAdded(node, address);
});

test.each(['preflight:done', 'prepared', 'decided'])('without copies made beforehand, killed at %s', async (step) => {
  const address = await newDatabase();
  await kill(address, step, 'block_writes');
  const [job] = await cluster.jobs();
  if (step !== 'decided') expect(job).toMatchObject({ kind: 'add_node', from: undefined, shardGroupId: undefined });
  // All of it is one transaction: where that is decided nothing is left but to commit.
  await (job === undefined ? cluster.recover() : cluster.resumeJob(job.jobId));
  await expectAdded(at((await cluster.nodes()).filter(({ database }) => database === address.database), 0), address);
});

test.each(['create:done', 'index:done', 'prepared'])('killed at %s and cancelled: nothing is left', async (step) => {
  const address = await newDatabase();
  await ask(joining(), joining().database, 'DROP ROLE IF EXISTS clerk').catch(() => undefined);
  const before = await madeThere(address);
  await underLoad(async () => {
    await kill(address, step);
    expect(await madeThere(address)).not.toEqual(before);
    await cluster.cancelJob(at(await cluster.jobs(), 0).jobId);
    await expect.poll(() => remains(address), { timeout: 10_000, interval: 20 }).toEqual([]);
    expect(await madeThere(address)).toEqual(before);
    expect(await cluster.nodes()).toHaveLength(2);
  });
});

test.each([...states.map((state) => `${state}:begun`), 'before_decision'])('an error at %s: undone, or done', async (step) => {
  const address = await newDatabase();
  const before = await madeThere(address);
  let hits = 0;
  const { moves, pools } = await openMoves(coordinator, 'adding');
  try {
    const outcome = await moves.addNode({ address }, { onStep: (reached) => {
      if (reached === step && (hits += 1) === 1) throw new Error('injected');
    } }).catch((error: unknown) => error);
    const state = states.find((one) => step === `${one}:begun`);
    if (state === undefined || isUndoable(state)) {
      expect(outcome).toMatchObject({ message: 'injected' });
      expect(await remains(address)).toEqual([]);
      expect(await madeThere(address)).toEqual(before);
    } else await expectAdded(outcome as ClusterNode, address);
  } finally {
    await pools.end();
  }
});

test('definitions that change meanwhile undo it, and two that are added at once come one after the other', async () => {
  const [one, two] = [await newDatabase(), await newDatabase()];
  const { moves, pools } = await openMoves(coordinator, 'adding');
  try {
    const change = async (step: string): Promise<void> => {
      if (step === 'catch_up:done') await cluster.query(`ALTER TYPE shade ADD VALUE IF NOT EXISTS 'other'`);
    };
    await expect(moves.addNode({ address: one }, { onStep: change })).rejects.toMatchObject({ id: 'moveUndone', message: expect.stringContaining('types, functions') as string });
  } finally {
    await pools.end();
  }
  const added = await Promise.all([another.addNode(two), ...[cluster, another].map((by) => by.addNode(one).catch((error: unknown) => error))]);
  expect(added[0]).toMatchObject(two);
  // Of two calls for one node the second finds it being added, or added.
  for (const outcome of added.slice(1)) expect(outcome).toMatchObject(outcome instanceof Error ? { id: 'nodeExists' } : one);
  expect((await cluster.verify('shop.plans')).differences).toEqual([]);
  await cluster.removeNode(two);
  await cluster.removeNode(one);
});

test('the coordinator database is no node once it publishes a table: a publication that is made meanwhile undoes it', async () => {
  const { host, port, database } = at(servers, 0);
  const { moves, pools } = await openMoves(coordinator, 'adding');
  try {
    const publish = async (step: string): Promise<void> => {
      if (step === 'preflight:done') await cluster.query('CREATE PUBLICATION told FOR TABLE orders');
    };
    await expect(moves.addNode({ address: { host, port, database } }, { onStep: publish })).rejects.toMatchObject({ id: 'unsupportedTable', message: 'publication "told" cannot have distributed table "orders"' });
  } finally {
    await pools.end();
    await cluster.query('DROP PUBLICATION told');
  }
  expect(await cluster.nodes()).toHaveLength(2);
  // It does not say any more that it is a node.
  await cluster.query('CREATE PUBLICATION told FOR TABLE orders; DROP PUBLICATION told');
});

test('a move goes on while a node is added, though its foreign keys refer to reference tables, which get other names', async () => {
  const address = await newDatabase();
  const { shardGroup: group, from, to } = await placeOf(cluster, 'orders');
  const { moves, pools } = await openMoves(coordinator, 'mover');
  let node: ClusterNode | undefined;
  try {
    await moves.move({ group, from, to }, { onStep: async (step) => {
      if (step === 'catch_up:done') node = await cluster.addNode(address);
    } });
  } finally {
    await pools.end();
  }
  expect((await cluster.shards()).find(({ shardGroupId }) => shardGroupId === group)?.nodeId).toBe(to);
  await expectAdded(node, address);
});

test('an unlogged reference table keeps the copies from being followed: refused, and added while it waits', async () => {
  const address = await newDatabase();
  await cluster.query('CREATE UNLOGGED TABLE scratch (k int)');
  await cluster.createReferenceTable('scratch');
  await expect(cluster.addNode(address)).rejects.toMatchObject({ id: 'moveRefused', detail: expect.stringContaining('"scratch" is not logged') as string, hint: expect.stringContaining('block_writes') as string });
  expect(await cluster.nodes()).toHaveLength(2);
  await cluster.removeNode((await cluster.addNode(address, { referenceTables: 'block_writes' })).id);
  await cluster.query('DROP TABLE scratch');
});

function forkChild(): ChildProcess {
  return forkScript(new URL('fault-child.ts', import.meta.url));
}
