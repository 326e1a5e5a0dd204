import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Client } from 'pg';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, startCluster } from './start-cluster.ts';

/**
 * Writers that commit at other moments on each node, as those of two phases do, crosswise between the moments at which a statement comes to two copies: each copy shows as many rows as the
 * others, and not the same.
 */
let pair: ClusterAndPlain;
let cluster: Cluster;
let nodes: Client[];
let copies: string[];
beforeAll(async () => {
  pair = await startCluster();
  cluster = pair.cluster;
  await cluster.query(`
    CREATE TABLE regions (id int PRIMARY KEY, name text); CREATE TABLE counters (k int, n int); CREATE TABLE guarded (id int PRIMARY KEY, name text);
    CREATE TABLE sources (k int PRIMARY KEY, n int)`);
  for (const name of ['regions', 'counters', 'guarded', 'sources']) await cluster.createReferenceTable(name);
  nodes = await Promise.all(pair.databases.nodes.map(connected));
  const found = await Promise.all(nodes.map((node) => node.query(`SELECT relname FROM pg_class WHERE relname ~ '^(regions|counters|guarded|sources)_\\d+$' ORDER BY relname`)));
  copies = found[0]?.rows.map(({ relname }) => String(relname)) ?? [];
});
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.end()));
  await pair[Symbol.asyncDispose]();
}, 15_000);
beforeEach(() => cluster.query(`TRUNCATE regions, counters, guarded, sources; INSERT INTO regions SELECT i, 'r' || i FROM generate_series(1, 5) i`));

async function connected({ connectionString }: { readonly connectionString: string }): Promise<Client> {
  const client = new Client({ connectionString });
  await client.connect();
  return client;
}

function copyOf(table: string): string {
  return copies.find((name) => name.startsWith(`${table}_`)) ?? '';
}

/** A transaction that has written the same to every copy, and commits where and when it is told to. */
class Other implements AsyncDisposable {
  private constructor(private readonly clients: readonly Client[]) {}

  static async begin(text: string): Promise<Other> {
    const clients = await Promise.all(pair.databases.nodes.map(connected));
    await Promise.all(clients.map((client) => client.query(`BEGIN; ${text.replaceAll(/\b(regions|counters|guarded|sources)\b/g, copyOf)}`)));
    return new Other(clients);
  }

  async commit(...places: readonly number[]): Promise<void> {
    await Promise.all(places.map(async (place) => this.clients[place]?.query('COMMIT')));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.clients.map((client) => client.end()));
  }
}

/** Resolves when so many statements wait for locks on the node. */
async function untilWaiting(place: number): Promise<void> {
  const text = `SELECT count(*)::int FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`;
  await expect.poll(async () => (await nodes[place]?.query(text))?.rows[0]?.count, { timeout: 20_000, interval: 5 }).toBe(1);
}

async function expectAlike(): Promise<void> {
  expect((await cluster.verify()).differences).toEqual([]);
}

/** Begins the statement while copy 0 shows row 10 of two new ones, and all others row 11. A lock on row 1, which it writes, too, keeps it on each copy until it has seen what is there. */
async function crosswise(run: () => Promise<unknown>): Promise<PromiseSettledResult<unknown>> {
  await using first = await Other.begin(`INSERT INTO regions VALUES (10, 'other')`);
  await using second = await Other.begin(`INSERT INTO regions VALUES (11, 'other')`);
  await using lock = await Other.begin('SELECT FROM regions WHERE id = 1 FOR UPDATE');
  await first.commit(0);
  const settled = Promise.allSettled([run()]);
  await untilWaiting(0);
  await second.commit(1, 2);
  await lock.commit(0);
  // In a block one comes after the other.
  await untilWaiting(1);
  await lock.commit(1);
  await untilWaiting(2);
  await first.commit(1, 2);
  await second.commit(0);
  await lock.commit(2);
  const [outcome] = await settled;
  return outcome;
}

const compared = [
  `UPDATE regions SET name = 'x' WHERE name = 'other' OR id = 1`,
  `UPDATE regions SET name = name || id WHERE name = 'other' OR id = 1 RETURNING name`,
  `DELETE FROM regions WHERE name = 'other' OR id = 1`,
  `DELETE FROM regions WHERE name = 'other' OR id = 1 RETURNING name`,
];

test.each(compared)('rows that were seen crosswise are told apart, and the statement is run again: %s', async (text) => {
  expect(await crosswise(() => cluster.query(text))).toMatchObject({ status: 'fulfilled', value: { rowCount: 3 } });
  await expectAlike();
});

test.each(compared)('in a block they end it: %s', async (text) => {
  const session = await cluster.connect();
  try {
    await session.query('BEGIN');
    expect(await crosswise(() => session.query(text))).toMatchObject({ status: 'rejected', reason: { code: '40001', id: 'concurrentWrites' } });
  } finally {
    await session.query('ROLLBACK');
    session.release();
  }
  await expectAlike();
});

const locking = [
  ['regions', `UPDATE regions SET id = 100 + id % 10 WHERE name = 'other'`],
  ['counters', `UPDATE counters SET n = 5 WHERE n > 0`],
  ['counters', `MERGE INTO counters c USING (VALUES (10), (11)) v (k) ON c.k = v.k WHEN MATCHED THEN UPDATE SET n = 7 WHEN NOT MATCHED THEN INSERT VALUES (v.k, 1)`],
  ['counters', `MERGE INTO counters c USING sources s ON c.k = s.k WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.k, 1)`],
] as const;

test.each(locking)('whose rows do not tell what they were keeps others away: %s, %s', async (table, text) => {
  await cluster.query('INSERT INTO sources VALUES (10, 1), (11, 2)');
  const row = (id: number): string => (table === 'regions' ? `INSERT INTO regions VALUES (${id}, 'other')` : `INSERT INTO counters VALUES (${id}, ${id})`);
  await using first = await Other.begin(row(10));
  await using second = await Other.begin(row(11));
  await first.commit(0);
  await second.commit(1, 2);
  const running = cluster.query(text);
  await untilWaiting(0);
  await second.commit(0);
  await untilWaiting(1);
  await first.commit(1, 2);
  await running;
  await expectAlike();
});

test.each([
  `MERGE INTO counters c USING sources s ON c.k = s.k WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.k, 1)`,
  `UPDATE counters SET n = 5 FROM sources s WHERE counters.k = s.k`,
  `INSERT INTO counters SELECT s.k, 1 FROM sources s`,
])('what is read beside a table is the same for all copies: %s', async (text) => {
  await cluster.query('INSERT INTO counters VALUES (10, 10), (11, 11)');
  await using first = await Other.begin('INSERT INTO sources VALUES (10, 1)');
  await using second = await Other.begin('INSERT INTO sources VALUES (11, 2)');
  await first.commit(0);
  await second.commit(1, 2);
  expect((await cluster.query(text)).rowCount).toBe(1);
  await first.commit(1, 2);
  await second.commit(0);
  await expectAlike();
});

test.each([
  ['counters', 'UPDATE counters SET n = s.n FROM sources s WHERE counters.k = s.k % 3'],
  ['counters', 'UPDATE counters c SET n = i FROM generate_series(1, 2000) i WHERE c.k = i % 3 RETURNING n'],
  ['counters', `UPDATE counters SET n = current_setting('port')::int WHERE k > 0`],
  ['counters', `UPDATE counters SET n = 7 WHERE (k + current_setting('port')::int) % 2 = 0`],
  ['regions', 'UPDATE regions SET id = 1000 + i FROM generate_series(1, 2000) i WHERE regions.id = i % 3'],
])('no lock tells which of several rows is taken, nor where the server is: %s, %s', async (table, text) => {
  await cluster.query('INSERT INTO counters SELECT i, 0 FROM generate_series(1, 3) i; INSERT INTO sources SELECT i, i FROM generate_series(1, 3000) i');
  // One server knows how few rows there are, and joins the other way round.
  await nodes[1]?.query(`ANALYZE ${copyOf(table)}`);
  const found = await cluster.query(text).then(({ rowCount }) => rowCount, (error: unknown) => error);
  if (typeof found !== 'number') expect(found).toMatchObject({ code: '0A000', id: 'unsupportedWrite', message: 'the copies of the reference table would differ' });
  await expectAlike();
});

test('under row security, where not all may be returned', async () => {
  await cluster.query(`ALTER TABLE guarded ENABLE ROW LEVEL SECURITY`);
  await using first = await Other.begin(`INSERT INTO guarded VALUES (10, 'other')`);
  await using second = await Other.begin(`INSERT INTO guarded VALUES (11, 'other')`);
  await first.commit(0);
  await second.commit(1, 2);
  const running = cluster.query(`UPDATE guarded SET name = 'x'`);
  await untilWaiting(0);
  await second.commit(0);
  await untilWaiting(1);
  await first.commit(1, 2);
  expect((await running).rowCount).toBe(2);
  await expectAlike();
});

test('COPY comes to the first copy before all others, as every writer does', async () => {
  const [first, second] = await Promise.all(pair.databases.nodes.slice(0, 2).map(connected));
  const lock = `BEGIN; LOCK TABLE ${copyOf('counters')} IN SHARE ROW EXCLUSIVE MODE NOWAIT`;
  await first?.query(lock);
  const copying = cluster.copyFrom('COPY counters FROM STDIN', '1\t1\n');
  await untilWaiting(0);
  await second?.query(lock);
  await Promise.all([first?.end(), second?.end()]);
  expect((await copying).rowCount).toBe(1);
  await expectAlike();
});

test('a snapshot of one node that is older than those of others, where only the lock would keep them alike', async () => {
  const merge = 'MERGE INTO counters c USING (VALUES (1)) v (k) ON c.k = v.k WHEN MATCHED THEN UPDATE SET n = c.n + 1 WHEN NOT MATCHED THEN INSERT VALUES (1, 1)';
  const session = await cluster.connect();
  try {
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await session.query('SELECT FROM orders WHERE tenant_id = 1');
    await cluster.query('INSERT INTO counters VALUES (1, 5)');
    await expect(session.query(merge)).rejects.toMatchObject({ code: '40001', id: 'concurrentWrites' });
    await session.query('ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ');
    await session.query(merge);
    await session.query('COMMIT');
  } finally {
    session.release();
  }
  expect((await cluster.query('SELECT k, n FROM counters')).rows).toEqual([{ k: 1, n: 6 }]);
  await expectAlike();
});

test('what a policy reads beside the table is not read first: the rows that it shows are told apart', async () => {
  const role = `guarding_${process.pid}`;
  await cluster.query(`CREATE ROLE ${role}; INSERT INTO guarded VALUES (10, 'other'), (11, 'other'); CREATE POLICY shown ON guarded USING (id IN (SELECT s.k FROM sources s)); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY`);
  const session = await cluster.connect();
  try {
    await cluster.query(`GRANT SELECT, UPDATE (name), DELETE ON guarded TO ${role}; GRANT SELECT ON sources TO ${role}`);
    await session.query(`SET ROLE ${role}`);
    for (const [text, right] of [
      [`UPDATE guarded SET name = 'x' WHERE name = 'other'`, 'SELECT'], [`UPDATE guarded g SET name = 'x' FROM countries c WHERE g.name = 'other' AND c.code = 'de'`, 'SELECT'], [`DELETE FROM guarded WHERE name = 'other'`, 'SELECT'],
      [`UPDATE guarded SET name = 'mine'`, 'UPDATE'], [`MERGE INTO guarded g USING (VALUES (10), (11)) v (k) ON g.id = v.k WHEN MATCHED THEN UPDATE SET name = 'mine'`, 'UPDATE'],
    ] as const) {
      await cluster.query(`TRUNCATE sources; GRANT SELECT ON countries TO ${role}; GRANT ${right} ON guarded TO ${role}`);
      await using first = await Other.begin('INSERT INTO sources VALUES (10, 1)');
      await using second = await Other.begin('INSERT INTO sources VALUES (11, 2)');
      await first.commit(0);
      await second.commit(1, 2);
      await session.query('BEGIN');
      await expect(session.query(text), text).rejects.toThrow(/copies of the reference table would differ|due to concurrent writes/);
      await session.query('ROLLBACK');
      await first.commit(1, 2);
      await second.commit(0);
    }
    expect((await session.query(`UPDATE guarded SET name = 'x' WHERE name = 'other'`)).rowCount).toBe(2);
  } finally {
    await session.query('RESET ROLE');
    session.release();
    await cluster.query(`DROP OWNED BY ${role}; DROP ROLE ${role}; DROP POLICY shown ON guarded`);
  }
  await expectAlike();
});
