import { readFileSync } from 'node:fs';
import { connect as connectTls } from 'node:tls';
import { Client, type ClientConfig } from 'pg';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { present } from '../../src/base/assert.ts';
import { ClusterError } from '../../src/base/errors.ts';
import { serve, type WireServer } from '../../src/wire.ts';
import { transactionTimedOut } from '../../src/wire/fatal.ts';
import { ParameterStatus } from '../../src/wire/parameter-status.ts';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';
import { copyData, message, parse, bind, execute, query, RawClient, requestCancel, startup, sync } from './raw-client.ts';

let pair: ClusterAndPlain;
/** Everybody is who they say. */
let open: WireServer;
/** With passwords, and TLS for those who want it. */
let closed: WireServer;

/** Of nobody but these tests, valid for a hundred years. */
const ownFile = (name: string): Buffer => readFileSync(new URL(`tls/${name}`, import.meta.url));
const tls = { key: ownFile('key.pem'), cert: ownFile('cert.pem') };

beforeAll(async () => {
  pair = await startCluster();
  open = await serve(pair.cluster, { port: 0, authentication: 'trust', messageBytesMax: 20_000_000 });
  closed = await serve(pair.cluster, { port: 0, tls });
  await pair.cluster.query(`CREATE ROLE ${role('shop')} LOGIN PASSWORD 'secret'`);
  await pair.cluster.query(`CREATE ROLE ${role('nobody')} NOLOGIN; CREATE ROLE ${role('past')} LOGIN PASSWORD 'secret' VALID UNTIL '2001-01-01'; CREATE ROLE ${role('few')} LOGIN PASSWORD 'secret' CONNECTION LIMIT 1`);
  await pair.cluster.query(`GRANT SELECT, INSERT ON orders TO ${role('shop')}; ALTER ROLE ${role('shop')} SET work_mem = '5MB'`);
});
afterAll(async () => {
  await Promise.all([open.close(), closed.close()]);
  await pair.cluster.query(`DROP OWNED BY ${role('shop')}`);
  for (const name of ['shop', 'nobody', 'past', 'few']) await pair.cluster.query(`DROP ROLE ${role(name)}`);
  await pair[Symbol.asyncDispose]();
});

/** Roles are those of all databases of a server. */
function role(name: string): string {
  return `wire_${name}_${pair.databases.coordinator.database.slice(5, 17)}`;
}

async function connect(server: WireServer, config: ClientConfig = {}): Promise<Client> {
  const client = new Client({ host: server.host, port: server.port, database: pair.databases.coordinator.database, user: pair.databases.coordinator.user, ...config });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

const raw = (server: WireServer, settings: Readonly<Record<string, string>> = {}): Promise<RawClient> =>
  RawClient.start({ host: server.host, port: server.port, database: pair.databases.coordinator.database, user: pair.databases.coordinator.user }, settings);

async function rawStart(server: WireServer, settings: Readonly<Record<string, string>>): Promise<RawClient> {
  const client = await RawClient.open(server);
  client.send(startup({ user: pair.databases.coordinator.user, database: pair.databases.coordinator.database, ...settings }));
  return client;
}

async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(() => 'no error', (error: Error & { readonly code?: string }) => `${error.code ?? ''} ${error.message}`);
}

/** Nothing is left open on any server. */
async function expectNothingOpen(): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const all = await Promise.all(pair.databases.nodes.map(async ({ connectionString }) => {
      const client = new Client({ connectionString });
      await client.connect();
      const { rows } = await client.query(`SELECT query FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%' UNION ALL SELECT gid FROM pg_prepared_xacts WHERE database = current_database()`);
      await client.end();
      return rows;
    }));
    if (tries > 200 || all.flat().length === 0) {
      expect(all.flat()).toEqual([]);
      return;
    }
  }
}

describe('who may come in', () => {
  test('by password, with TLS or without', async () => {
    for (const ssl of [false, { rejectUnauthorized: false }]) {
      const client = await connect(closed, { user: role('shop'), password: 'secret', ssl });
      expect((await client.query('SELECT current_user AS name')).rows).toEqual([{ name: role('shop') }]);
      await client.end();
    }
  });

  test('not with a wrong password, nor as a role that is none: both look alike', async () => {
    expect(await failure(connect(closed, { user: role('shop'), password: 'wrong' }))).toBe(`28P01 password authentication failed for user "${role('shop')}"`);
    expect(await failure(connect(closed, { user: 'nowhere', password: 'secret' }))).toBe('28P01 password authentication failed for user "nowhere"');
    expect(await failure(connect(closed, { user: role('nobody'), password: 'secret' }))).toContain('28P01');
    expect(await failure(connect(closed, { user: role('past'), password: 'secret' }))).toContain('28P01');
    expect(await failure(connect(open, { user: role('nobody') }))).toBe(`28000 role "${role('nobody')}" is not permitted to log in`);
    expect(await failure(connect(open, { user: 'nowhere' }))).toBe('28000 role "nowhere" does not exist');
    expect(await failure(connect(open, { database: 'other' }))).toBe('3D000 database "other" does not exist');
  });

  test('as often as the role may', async () => {
    const first = await connect(closed, { user: role('few'), password: 'secret' });
    expect(await failure(connect(closed, { user: role('few'), password: 'secret' }))).toBe(`53300 too many connections for role "${role('few')}"`);
    await first.end();
    await (await connectAgain(() => connect(closed, { user: role('few'), password: 'secret' }))).end();
  });

  test('by the name in a certificate that is signed by whom the server trusts', async () => {
    const ca = ownFile('ca.pem');
    await using named = await serve(pair.cluster, { port: 0, authentication: 'certificate', tls: { ...tls, ca }, requireTls: true });
    const own = { cert: ownFile('client.pem'), key: ownFile('client-key.pem'), rejectUnauthorized: false };
    const client = await connect(named, { user: 'postgres', ssl: own });
    expect((await client.query('SELECT current_user AS name')).rows).toEqual([{ name: 'postgres' }]);
    await client.end();
    expect(await failure(connect(named, { user: role('shop'), ssl: own }))).toBe(`28000 certificate authentication failed for user "${role('shop')}"`);
    expect(await failure(connect(named, { user: 'postgres', ssl: { rejectUnauthorized: false } }))).toBe('28000 connection requires a valid client certificate');
    // One that nobody whom the server trusts has signed.
    expect(await failure(connect(named, { user: 'postgres', ssl: { ...tls, rejectUnauthorized: false } }))).toBe('28000 connection requires a valid client certificate');
    expect(await failure(connect(named, { user: 'postgres' }))).toBe('28000 this server accepts connections with TLS only');
    expect(await failure(serve(pair.cluster, { port: 0, authentication: 'certificate', tls }))).toContain('authentication by certificate needs tls with a ca');
  });

  test('with a certificate and a password, where both are asked for', async () => {
    await using both = await serve(pair.cluster, { port: 0, tls: { ...tls, ca: ownFile('ca.pem'), requestCert: true }, requireTls: true });
    const own = { cert: ownFile('client.pem'), key: ownFile('client-key.pem'), rejectUnauthorized: false };
    const client = await connect(both, { user: role('shop'), password: 'secret', ssl: own });
    expect((await client.query('SELECT current_user AS name')).rows).toEqual([{ name: role('shop') }]);
    await client.end();
    expect(await failure(connect(both, { user: role('shop'), password: 'secret', ssl: { rejectUnauthorized: false } }))).not.toBe('no error');
    expect(await failure(connect(both, { user: role('shop'), password: 'wrong', ssl: own }))).toContain('28P01');
  });

  test('over TLS from the first byte, as PostgreSQL\'s clients do it', async () => {
    const config = { user: role('shop'), password: 'secret', ssl: { rejectUnauthorized: false }, sslnegotiation: 'direct' } as ClientConfig;
    const client = await connect(closed, config);
    expect((await client.query(`SELECT current_user AS name, repeat('x', 100000) AS long`)).rows).toEqual([{ name: role('shop'), long: 'x'.repeat(100_000) }]);
    await client.end();
    expect(await failure(connect(open, config))).not.toBe('no error');
    const stranger = connectTls({ host: closed.host, port: closed.port, rejectUnauthorized: false });
    stranger.once('secureConnect', () => stranger.write(startup({ user: 'postgres', database: 'postgres' })));
    const told: Buffer[] = [];
    for await (const chunk of stranger) told.push(chunk as Buffer);
    expect(Buffer.concat(told).toString()).toContain('without ALPN protocol negotiation extension');
  });

  test('trust is for loopback addresses', async () => {
    expect(await failure(serve(pair.cluster, { port: 0, host: '0.0.0.0', authentication: 'trust' }))).toContain('is for loopback addresses only');
  });

  test('as many as there may be, and not for ever without a name', async () => {
    await using small = await serve(pair.cluster, { port: 0, authentication: 'trust', connectionsMax: 1, authenticationTimeoutMs: 2_000 });
    const silent = await RawClient.open(small);
    expect(await failure(connect(small))).toBe('53300 sorry, too many clients already');
    expect(await silent.closed()).toEqual([]);
    await (await connectAgain(() => connect(small))).end();
  });
});

describe('connections that are half open', () => {
  test('cost little, leave others alone, and are closed in time', async () => {
    await using patient = await serve(pair.cluster, { port: 0, authenticationTimeoutMs: 3_000, connectionsMax: 510 });
    const before = process.memoryUsage().rss;
    const { user, database } = pair.databases.coordinator;
    // Silent; in the middle of a startup message; in the middle of the exchange about the password.
    const beginnings = [Buffer.alloc(0), Buffer.from([0, 0, 0]), startup({ user, database })];
    const half = await Promise.all(Array.from({ length: 500 }, async (_, i) => {
      const client = await RawClient.open(patient);
      client.send(beginnings[i % 3] ?? Buffer.alloc(0));
      return client;
    }));
    const client = await connect(closed, { user: role('shop'), password: 'secret' });
    const other = await connect(patient, { user: role('shop'), password: 'secret' });
    for (const one of [client, other]) expect((await one.query('SELECT count(*) FROM orders')).rows).toEqual([{ count: '60' }]);
    expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000);
    await Promise.all(half.map((one) => one.closed()));
    expect((await other.query('SELECT count(*) FROM orders')).rows).toEqual([{ count: '60' }]);
    await Promise.all([client.end(), other.end()]);
  });
});

/** The server may still be at the end of the connection before. */
async function connectAgain(start: () => Promise<Client>): Promise<Client> {
  for (;;) {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === '53300')) throw error;
    }
  }
}

describe('a session acts as its role', () => {
  test('on every server', async () => {
    const client = await connect(closed, { user: role('shop'), password: 'secret' });
    expect((await client.query('SELECT count(*) FROM orders WHERE current_user = $1', [role('shop')])).rows).toEqual([{ count: '60' }]);
    expect(await failure(client.query('DELETE FROM orders'))).toContain('42501');
    expect(await failure(client.query('SELECT * FROM items WHERE tenant_id = 1'))).toBe('42501 permission denied for table items');
    expect((await client.query('SHOW work_mem')).rows).toEqual([{ work_mem: '5MB' }]);
    await client.query('BEGIN; INSERT INTO orders (tenant_id, id) VALUES (1, 900), (2, 900), (3, 900); COMMIT');
    await pair.cluster.query('DELETE FROM orders WHERE id = 900');
    await client.end();
  });
});

describe('settings', () => {
  test('what a client begins with, and what it is told', async () => {
    const client = await connect(open, { application_name: 'my app', options: '-c search_path=pg_catalog -c timezone=Asia/Tokyo' });
    expect((await client.query('SHOW search_path')).rows).toEqual([{ search_path: 'pg_catalog' }]);
    const { rows } = await client.query(`SELECT current_setting('timezone') AS zone, current_setting('application_name') AS name FROM public.orders WHERE tenant_id = 1 LIMIT 1`);
    expect(rows).toEqual([{ zone: 'Asia/Tokyo', name: 'my app' }]);
    const told = new Map<string, string>();
    (client as unknown as { readonly connection: NodeJS.EventEmitter }).connection.on('parameterStatus', (status: { parameterName: string; parameterValue: string }) => told.set(status.parameterName, status.parameterValue));
    await client.query(`SET TimeZone = 'UTC'`);
    expect(told.get('TimeZone')).toBe('UTC');
    await client.query(`BEGIN; SET DateStyle = 'SQL'`);
    await client.query('ROLLBACK');
    expect(told.get('DateStyle')).toBe('ISO, MDY');
    await client.end();
    expect(JSON.stringify(await (await rawStart(open, { client_encoding: 'LATIN1' })).closed())).toContain('client encoding \\"LATIN1\\" is not supported');
    expect(await failure(connect(open, { options: '-c nonsense=1' }))).toContain('unrecognized configuration parameter "nonsense"');
  });

  test('are not asked for where none was set', async () => {
    const refresh = vi.spyOn(ParameterStatus.prototype, 'refresh');
    const client = await connect(open);
    refresh.mockClear();
    for (const text of ['UPDATE orders SET note = note WHERE tenant_id = 1', 'BEGIN', 'UPDATE orders SET note = note WHERE tenant_id = 1', 'COMMIT']) await client.query(text);
    expect(refresh).not.toHaveBeenCalled();
    for (const text of ['SET work_mem = 1024', 'RESET work_mem', `SELECT set_config('work_mem', '2048', false)`, `UPDATE pg_settings SET setting = '1024' WHERE name = 'work_mem'`]) await client.query(text);
    expect(refresh).toHaveBeenCalledTimes(4);
    refresh.mockRestore();
    await client.end();
  });

  test('temporary tables, prepared statements, cursors, notifications are the session\'s', async () => {
    const [a, b] = await Promise.all([connect(open), connect(open)]);
    await a.query('CREATE TEMPORARY TABLE mine AS SELECT 1 AS x');
    expect((await a.query('SELECT * FROM mine')).rows).toEqual([{ x: 1 }]);
    expect(await failure(b.query('SELECT * FROM mine'))).toContain('42P01');
    await a.query('PREPARE p AS SELECT count(*) FROM orders');
    expect((await a.query('EXECUTE p')).rows).toEqual([{ count: '60' }]);
    const heard = new Promise((resolve) => a.on('notification', ({ channel, payload }) => resolve([channel, payload])));
    await a.query('LISTEN news');
    await b.query(`NOTIFY news, 'hello'`);
    expect(await heard).toEqual(['news', 'hello']);
    await Promise.all([a.end(), b.end()]);
  });

  test('protocol 3.2 has longer keys; a newer one is talked down', async () => {
    const client = await RawClient.open(open);
    const { database, user } = pair.databases.coordinator;
    client.send(startup({ user, database }, (3 << 16) | 2));
    await client.until('Z');
    expect(present(client.key).key.length).toBe(32);
    await client.end();
    const newer = await RawClient.open(open);
    newer.send(startup({ user, database, '_pq_.x': '1' }, (3 << 16) | 9));
    expect((await newer.until('Z'))[0]?.[0]).toBe('v');
    await newer.end();
  });
});

describe('cancelling', () => {
  test('ends the statement of that client alone', async () => {
    const client = await raw(open);
    const { processId, key } = present(client.key);
    client.send(query('SELECT pg_sleep(30) FROM orders'));
    await requestCancel(open, { processId, key: Buffer.alloc(4) });
    while (client.said.length === 0) await requestCancel(open, { processId, key });
    expect((await client.until('Z')).find(([type]) => type === 'E')).toMatchObject(['E', { C: '57014', M: 'canceling statement due to user request' }]);
    client.send(query('SELECT 1'));
    expect((await client.until('Z')).map(([type]) => type)).toEqual(['T', 'D', 'C', 'Z']);
    await client.end();
  });
});

describe('a brief query that has to wait after all', () => {
  const brief = 'SELECT note FROM orders WHERE tenant_id = $1 AND id = 1';
  /** It has been brief so often that its rows go through. */
  async function used(): Promise<RawClient> {
    const client = await raw(open);
    client.send(parse(brief, 's'), sync);
    for (let i = 0; i < 8; i += 1) client.send(bind(['1'], { statement: 's' }), execute(), sync);
    await client.until('Z', 9);
    return client;
  }
  const ask = (client: RawClient): void => client.send(bind(['1'], { statement: 's' }), execute(), sync, query('SELECT 1'));

  test('ends at once when it is cancelled, and alone; without its client it harms nobody', async () => {
    // However busy the machine is.
    const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
    const [canceled, patient, gone] = await Promise.all([used(), used(), used()]);
    clock.mockRestore();
    const shard = await pair.cluster.shardOf('orders', 1);
    const node = present((await pair.cluster.nodes()).find(({ id }) => id === shard.nodeId));
    const locker = new Client({ host: node.host, port: node.port, database: node.database, user: pair.databases.coordinator.user });
    await locker.connect();
    try {
      await locker.query(`BEGIN; LOCK TABLE ${shard.name}`);
      ask(canceled);
      while ((await locker.query(`SELECT 1 FROM pg_locks WHERE NOT granted AND relation = '${shard.name}'::regclass`)).rows.length === 0);
      for (const client of [patient, gone]) ask(client);
      gone.socket.destroy();
      await requestCancel(open, present(canceled.key));
      const said = await canceled.until('Z', 2);
      expect(said.map(([type]) => type)).toEqual(['2', 'E', 'Z', 'T', 'D', 'C', 'Z']);
      expect(said[1]).toMatchObject(['E', { C: '57014', M: 'canceling statement due to user request' }]);
      await vi.waitFor(() => expect(open.activity().filter(({ state, query: text }) => state === 'active' && text === brief).length).toBe(1), 30_000);
    } finally {
      await locker.end();
    }
    const answer = await patient.until('Z', 2);
    expect(answer.map(([type]) => type)).toEqual(['2', 'D', 'C', 'Z', 'T', 'D', 'C', 'Z']);
    expect(answer[1]).toEqual(['D', 'note 1']);
    await Promise.all([canceled.end(), patient.end()]);
  });

  test('many behind one another, from a client that never reads: no more is answered than fits', async () => {
    const client = await used();
    client.send(parse(`SELECT repeat('x', 900000), note FROM orders WHERE tenant_id = $1 AND id = 1`, 't'), sync);
    await client.until('Z');
    client.socket.pause();
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 500; i += 1) client.send(bind(['1'], { statement: 't' }), execute(), sync);
    const other = await connect(open);
    for (let i = 0; i < 200; i += 1) await other.query('SELECT count(*) FROM orders WHERE tenant_id = 1');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(80_000_000);
    client.socket.destroy();
    await other.end();
  });
});

describe('clients that misbehave', () => {
  test('one that vanishes in a transaction, a COPY, or a long statement leaves nothing', async () => {
    const writing = await raw(open);
    writing.send(query('BEGIN; UPDATE orders SET note = note'));
    await writing.until('Z');
    writing.socket.destroy();
    const copying = await raw(open);
    copying.send(query('COPY orders (tenant_id, id) FROM STDIN'), copyData('1\t901\n2\t901\n'));
    await copying.until('G');
    copying.socket.destroy();
    const sleeping = await raw(open);
    sleeping.send(query('BEGIN'), query('SELECT pg_sleep(600) FROM orders'));
    await sleeping.until('Z');
    sleeping.socket.destroy();
    const implicit = await raw(open);
    implicit.send(parse('INSERT INTO orders (tenant_id, id) VALUES (1, 902)'), bind(), execute(), parse('SELECT 1'), bind(), execute(), message('H'));
    await implicit.until('C', 2);
    implicit.socket.destroy();
    await expectNothingOpen();
    expect((await pair.cluster.query('SELECT count(*) FROM orders WHERE id > 900')).rows).toEqual([{ count: '0' }]);
  });

  test('one that never reads costs little memory, and others nothing', async () => {
    const client = await raw(open);
    client.socket.pause();
    client.send(query(`SELECT repeat('x', 1000) FROM generate_series(1, 100000), orders`));
    const other = await connect(open);
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 20; i += 1) await other.query('SELECT count(*) FROM orders');
    expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000);
    client.socket.destroy();
    await other.end();
    await expectNothingOpen();
  });

  test('one that sends rubbish is told so, and hung up on', async () => {
    const talk = async (...bytes: Buffer[]): Promise<string> => {
      const client = await raw(open);
      client.send(...bytes);
      const said = await client.closed();
      return JSON.stringify(said);
    };
    expect(await talk(Buffer.from([1, 0, 0, 0, 4]))).toContain('invalid frontend message type 1');
    expect(await talk(Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff]))).toContain('invalid message length');
    const early = await RawClient.open(open);
    early.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    expect(JSON.stringify(await early.closed())).toContain('invalid length of startup packet');
  });

  test('a statement as large as a message may be', async () => {
    const client = await connect(open);
    const text = 'x'.repeat(5_000_000);
    expect((await client.query('SELECT length($1::text) AS n', [text])).rows).toEqual([{ n: 5_000_000 }]);
    expect((await client.query(`SELECT length('${text}') AS n, $1::text AS t`, [text])).rows).toEqual([{ n: 5_000_000, t: text }]);
    await client.end();
  });

  test('one that idles is let go', async () => {
    await using impatient = await serve(pair.cluster, { port: 0, authentication: 'trust', idleTimeoutMs: 50, idleInTransactionTimeoutMs: 50 });
    const idle = await raw(impatient);
    expect(await idle.closed()).toMatchObject([['E', { C: '57P05' }]]);
    const inBlock = await raw(impatient);
    inBlock.send(query('BEGIN; UPDATE orders SET note = note WHERE tenant_id = 1'));
    await inBlock.until('Z');
    expect(await inBlock.closed()).toMatchObject([['E', { C: '25P03' }]]);
    for (const [text, code] of [['SET idle_session_timeout = 50', '57P05'], ['SET idle_in_transaction_session_timeout = 50; BEGIN; UPDATE orders SET note = note WHERE tenant_id = 1', '25P03'],
      ['SET transaction_timeout = 50; BEGIN; UPDATE orders SET note = note WHERE tenant_id = 1', '25P04'], ['SET transaction_timeout = 50; BEGIN; SELECT pg_sleep(600) FROM orders WHERE tenant_id = 1', '25P04'],
      ['SET transaction_timeout = 50; BEGIN; SELECT pg_sleep(600)', '25P04'], ['BEGIN; SET transaction_timeout = 1', '25P04']] as const) {
      const asked = await raw(open);
      asked.send(query(text));
      expect((await asked.closed()).at(-1)).toMatchObject(['E', { S: 'FATAL', C: code }]);
    }
    await expectNothingOpen();
  });

  test('a connection that a server has ended for a transaction\'s time tells of it', () => {
    const ended = Object.assign(new Error('terminating connection due to transaction timeout'), { code: '25P04' });
    const lost = new ClusterError('nodeUnreachable', 'lost', { cause: new ClusterError('connectionLost', 'lost', { cause: ended }) });
    expect(transactionTimedOut(lost)).toMatchObject({ code: '25P04', message: ended.message });
    expect(transactionTimedOut(new ClusterError('connectionLost', 'lost'))).toBeUndefined();
  });

  test('closing the server tells its clients', async () => {
    const brief = await serve(pair.cluster, { port: 0, authentication: 'trust' });
    const client = await raw(brief);
    client.send(query('BEGIN; UPDATE orders SET note = note'));
    await client.until('Z');
    await brief.close();
    expect(await client.closed()).toMatchObject([['E', { S: 'FATAL', C: '57P01' }]]);
    await expectNothingOpen();
  });
});

describe('drivers', () => {
  test('pg: large results, types, errors', async () => {
    const client = await connect(open);
    const { rows } = await client.query(`SELECT i, repeat('é', 100) AS t FROM generate_series(1, 20000) AS i, (SELECT 1 FROM orders WHERE tenant_id = 1 AND id = 1) AS one ORDER BY i`);
    expect(rows.length).toBe(20_000);
    expect(rows[19_999]).toEqual({ i: 20_000, t: 'é'.repeat(100) });
    expect((await client.query(`SELECT at, tags, mood FROM orders WHERE tenant_id = $1 AND id = $2`, [2, 3])).rows).toEqual((await pair.plain.query(`SELECT at, tags, mood FROM orders WHERE tenant_id = 2 AND id = 3`)).rows);
    await client.end();
  });

  test('postgres.js: prepared statements, transactions, cursors, COPY', async () => {
    const sql = postgres({ host: open.host, port: open.port, database: pair.databases.coordinator.database, user: pair.databases.coordinator.user, max: 2, onnotice: () => undefined });
    expect(await sql`SELECT id, note FROM orders WHERE tenant_id = ${3} ORDER BY id LIMIT ${2}`).toEqual([{ id: 1, note: 'note 1' }, { id: 2, note: 'note 2' }]);
    await sql.begin(async (own) => {
      await own`INSERT INTO notes ${own([{ id: 50, body: 'x' }, { id: 51, body: null }])}`;
      await own`UPDATE orders SET total = total + 1 WHERE tenant_id IN (1, 2)`;
    });
    expect((await sql`SELECT count(*)::int AS n FROM notes WHERE id >= 50`)[0]).toEqual({ n: 2 });
    const batches: number[] = [];
    await sql`SELECT id FROM orders ORDER BY tenant_id, id`.cursor(25, (rows) => void batches.push(rows.length));
    expect(batches).toEqual([25, 25, 10]);
    expect(await failure(sql`SELECT 1/0 FROM orders`.execute())).toContain('22012 division by zero');
    await sql`DELETE FROM notes WHERE id >= 50`;
    await sql.end();
  });
});

test('what is remembered of a statement ends with the table\'s definition', async () => {
  const client = await connect(open);
  const ask = async (): Promise<string[]> => (await client.query('SELECT * FROM countries WHERE code = $1', ['de'])).fields.map(({ name, dataTypeID }) => `${name} ${dataTypeID}`);
  const before = await ask();
  expect(await ask()).toEqual(before);
  await pair.cluster.query('ALTER TABLE countries ADD COLUMN people int8');
  expect(await ask()).toEqual([...before, 'people 20']);
  await pair.cluster.query('ALTER TABLE countries DROP COLUMN people');
  expect(await ask()).toEqual(before);
  await client.end();
});

test('activity shows who is there', async () => {
  const client = await connect(open, { application_name: 'watched' });
  await client.query('SELECT 42 FROM orders');
  expect(open.activity().filter(({ applicationName }) => applicationName === 'watched')).toMatchObject([{ state: 'idle', query: 'SELECT 42 FROM orders', role: pair.databases.coordinator.user }]);
  const watcher = await connect(open);
  const ask = async (by: Client): Promise<unknown> => (await by.query(`SELECT datname = current_database() AS own, usename, host(client_addr) AS host, client_port > 0 AS port, state, query,
    query_start >= xact_start AS began, backend_start <= query_start AS started, state_change >= query_start AS changed FROM shardwright_stat_activity WHERE application_name LIKE 'watched%'`)).rows;
  const about = { own: true, usename: pair.databases.coordinator.user, host: '127.0.0.1', port: true, query: 'SELECT 42 FROM orders', started: true, changed: true };
  expect(await ask(watcher)).toEqual([{ ...about, state: 'idle', began: null }]);
  await client.query('BEGIN');
  await client.query(`SET application_name = 'watched, too'`);
  await client.query('SELECT 42 FROM orders');
  expect(await ask(watcher)).toEqual([{ ...about, state: 'idle in transaction', began: true }]);
  await client.query('SELECT 1/0').catch(() => undefined);
  expect(await ask(watcher)).toMatchObject([{ state: 'idle in transaction (aborted)', query: 'SELECT 1/0' }]);
  await client.query('ROLLBACK');
  const shop = await connect(closed, { user: role('shop'), password: 'secret' });
  expect((await shop.query('SELECT DISTINCT usename, state, query FROM shardwright_stat_activity ORDER BY usename')).rows).toEqual([
    { usename: pair.databases.coordinator.user, state: null, query: '<insufficient privilege>' },
    { usename: role('shop'), state: 'active', query: 'SELECT DISTINCT usename, state, query FROM shardwright_stat_activity ORDER BY usename' },
  ]);
  await Promise.all([client, watcher, shop].map((one) => one.end()));
});
