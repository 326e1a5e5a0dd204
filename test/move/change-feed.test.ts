import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { nodeId } from '../../src/catalog/ids.ts';
import { lsnText } from '../../src/cluster/lsn.ts';
import { createNodePools, type NodePools } from '../../src/cluster/node-pools.ts';
import { definitionSettings } from '../../src/ddl/definition-settings.ts';
import type { TableDefinition } from '../../src/ddl/table-definition.ts';
import { volatileSettings } from '../../src/embedded/default-settings.ts';
import { type PostgresServer, startPostgres } from '../../src/embedded/postgres-server.ts';
import { ChangeFeed } from '../../src/move/change-feed.ts';
import { rateLimit } from '../../src/move/rate-limit.ts';
import { until } from '../cluster/connections.ts';
import { Random } from '../oracle/random.ts';

/**
 * Random changes in one database, applied to another: a table with a key and nearly every sort of type, one whose key is not its only unique index, one without a key and with types that have
 * no equality, all with values that are stored outside of their rows.
 */
const types = `CREATE TYPE mood AS ENUM ('sad', 'näh'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN short AS varchar(9);`;
const tables = `
CREATE TABLE wide (k1 int, k2 text, a numeric, b float8, c timestamptz, d date, e interval, f bytea, g text[], h int[][], i mood, j pair, l pair[], m jsonb, n inet, o char(7), p bit varying, q tstzrange, r bool,
  s uuid, t money, u short, v xml, twice numeric GENERATED ALWAYS AS (a * 2) STORED, large text, PRIMARY KEY (k1, k2));
CREATE TABLE swapped (id int PRIMARY KEY, rank int UNIQUE, other int UNIQUE DEFERRABLE INITIALLY DEFERRED, large text);
CREATE TABLE bare (a json, b point, c char(3), d bool, e float8, large text);
ALTER TABLE wide ALTER large SET STORAGE EXTERNAL; ALTER TABLE swapped ALTER large SET STORAGE EXTERNAL; ALTER TABLE bare ALTER large SET STORAGE EXTERNAL;`;
const names = ['wide', 'swapped', 'bare'] as const;

describe.each([18, 15] as const)('PostgreSQL %i', (major) => {
  let server: PostgresServer;
  let pools: NodePools;
  const clients: Client[] = [];
  const one = nodeId(1);
  const two = nodeId(2);
  const sql = async (node: 0 | 1, text: string): Promise<unknown[]> => {
    const results = [await at(clients, node).query({ text, rowMode: 'array' })].flat();
    return results.at(-1)?.rows.map(([value]: unknown[]) => value) ?? [];
  };
  let streamed: { readonly schema: string; readonly name: string; readonly targets: readonly string[]; readonly columns: TableDefinition['columns'] }[] = [];

  beforeAll(async () => {
    server = await startPostgres({ major, settings: volatileSettings });
    const database = (name: string): string => server.connectionString.replace(/\/[^/]*$/, `/${name}`);
    const admin = await new Client(server.connectionString).connect();
    await admin.query('CREATE DATABASE source');
    await admin.query('CREATE DATABASE target');
    await admin.end();
    for (const name of ['source', 'target']) clients.push(await new Client(database(name)).connect());
    pools = createNodePools([{ id: one, name: 'source', config: { client: { connectionString: database('source') } } }, { id: two, name: 'target', config: { client: { connectionString: database('target') } } }]);
    // OIDs of types differ.
    await sql(1, 'CREATE TYPE spare AS (x int)');
    for (const node of [0, 1] as const) await sql(node, `${types} ${tables}`);
    await sql(0, `ALTER TABLE bare REPLICA IDENTITY FULL; CREATE PUBLICATION pub FOR TABLE wide, swapped, bare`);
    await sql(1, 'CREATE TABLE position (source int PRIMARY KEY, lsn pg_lsn NOT NULL)');
    streamed = await Promise.all(names.map(async (name) => {
      const rows = await sql(0, `SELECT json_build_object('name', attname, 'type', format_type(atttypid, atttypmod), 'generated', nullif(attgenerated, '')) FROM pg_attribute WHERE attrelid = '${name}'::regclass AND attnum > 0 ORDER BY attnum`);
      const qualified = rows.map((row) => row as TableDefinition['columns'][number]).map((column) => ({ ...column, type: /^(mood|pair|short)/.test(column.type) ? `public.${column.type}` : column.type }));
      return { schema: 'public', name, targets: [`public.${name}`], columns: qualified };
    }));
    const replication = await pools.get(one).replicate();
    const { consistentPoint } = await replication.createSlot('feed');
    await replication.end();
    await sql(1, `INSERT INTO position VALUES (1, '${lsnText(consistentPoint)}')`);
  }, 120_000);

  afterAll(async () => {
    for (const client of clients) await client.end();
    await server.stop('immediate');
    await pools.end();
  }, 60_000);

  const start = async (rate = rateLimit(undefined)): Promise<ChangeFeed> => {
    // A walsender whose client is gone may not have noticed.
    await sql(0, `SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE slot_name = 'feed' AND active_pid IS NOT NULL`);
    return ChangeFeed.start({ source: pools.get(one), slot: 'feed', publication: 'pub', sinks: [{ node: pools.get(two), source: one, position: 'public.position', tables: streamed, rate }] }, new AbortController().signal);
  };

  const contents = async (node: 0 | 1, name: string): Promise<unknown[]> => sql(node, `RESET ALL; ${definitionSettings.replaceAll('LOCAL ', '').replace('search_path = pg_catalog', 'search_path = public')}; SELECT t::text FROM public.${name} t ORDER BY 1`);

  const expectEqual = async (): Promise<void> => {
    for (const name of names) expect(await contents(1, name), name).toEqual(await contents(0, name));
  };

  test('random transactions arrive, through ends of the feed too', async () => {
    const random = new Random(major);
    let feed = await start();
    for (let round = 0; round < 120; round += 1) {
      await randomTransaction(random, (text) => sql(0, text));
      if (random.chance(0.1)) {
        // Whatever it is at.
        if (random.chance(0.5)) await feed.drain();
        await feed.end();
        feed = await start();
      }
    }
    await feed.drain();
    await expectEqual();
    expect(await sql(0, 'SELECT count(*)::int FROM public.wide')).not.toEqual([0]);
    // Larger than what is held at a time: applied as it comes, in one transaction still.
    await sql(0, `INSERT INTO public.wide (k1, k2, large) SELECT 1000 + g, 'many', repeat('z', 2500) FROM generate_series(1, 15000) g`);
    await sql(0, `BEGIN; UPDATE public.wide SET a = k1, large = CASE WHEN k1 % 2 = 0 THEN large ELSE repeat('w', 2500) END WHERE k2 = 'many'; DELETE FROM public.wide WHERE k2 = 'many' AND k1 % 3 = 0; COMMIT`);
    // In its middle, or when it is over: all of it comes again, or nothing.
    const applied = feed.changesApplied;
    const begun = feed;
    await until(() => begun.changesApplied > applied);
    await feed.end();
    feed = await start();
    await feed.drain();
    await expectEqual();
    await feed.end();
    // A second feed takes the slot away; both together would apply nothing twice.
    feed = await start();
    await sql(0, `INSERT INTO public.bare (c) VALUES ('q'), ('q')`);
    await feed.drain();
    await sql(1, `UPDATE public.position SET lsn = '0/1'`);
    await sql(0, `DELETE FROM public.bare WHERE ctid = (SELECT min(ctid) FROM public.bare WHERE c = 'q')`);
    await expect(feed.drain()).rejects.toMatchObject({ code: '23502' });
    await feed.end();
    expect(await sql(1, `SELECT count(*)::int FROM public.bare WHERE c = 'q'`)).toEqual([2]);
  }, 240_000);

  test.each([
    ['before anything is sent', (end: () => void) => { end(); }],
    ['when statements have been sent', (end: () => void) => void setImmediate(end)],
    ['when the server is at one', (end: () => void) => void setTimeout(end, 100)],
  ])('a lock on the target does not keep a feed from its end, %s', async (_when, soon) => {
    await sql(1, 'TRUNCATE public.bare');
    await sql(1, `UPDATE public.position SET lsn = '${String((await sql(0, 'SELECT pg_current_wal_insert_lsn()'))[0])}'`);
    let ended: Promise<void> | undefined;
    const feed: ChangeFeed = await start({ lift: () => undefined, pass: () => {
      soon(() => void (ended ??= feed.end()));
      return Promise.resolve();
    } });
    await sql(1, 'BEGIN; LOCK TABLE public.bare');
    await sql(0, 'TRUNCATE public.bare');
    await until(() => ended !== undefined);
    await ended;
    await sql(1, 'COMMIT');
  }, 30_000);
});

/** A few statements, some of whose rows fit, in a transaction; one that fails is undone alone. */
async function randomTransaction(random: Random, run: (text: string) => Promise<unknown>): Promise<void> {
  await run('BEGIN');
  for (let left = random.int(1, 4); left > 0; left -= 1) {
    await run('SAVEPOINT s');
    try {
      await run(randomStatement(random));
    } catch {
      await run('ROLLBACK TO s');
    }
  }
  await run(random.chance(0.15) ? 'ROLLBACK' : 'COMMIT').catch(() => undefined);
}

const large = (random: Random): string => `repeat('${random.pick(['ä', 'b', '\\'])}', ${random.pick([1, 4_000, 4_001])})`;

function randomStatement(random: Random): string {
  const key = random.int(1, 12);
  const text = random.pick([`'a'`, `E'tab\\t nl\\n cr\\r \\\\ "q" {,}'`, `''`, `'\\N'`, `'NULL'`, `'ünï'`]);
  const wide = `a = ${random.pick(['1.10', 'NULL', `'NaN'`, '12345678901234567890.123456789'])}, b = ${random.pick(['0.1 + 0.2', `'-0'`, `'Infinity'`, '1e300'])}, c = ${random.pick(['now()', `'infinity'`, `'0044-01-01 BC'`])},
    e = ${random.pick([`'1 mon -3 days 4.5 s'`, `'-1 h'`])}, f = ${random.pick([`'\\x00ff'`, `''`])}, g = ARRAY[${text}, NULL, '"']::text[], h = '{{1,2},{3,NULL}}', i = ${random.pick([`'näh'`, 'NULL'])}, j = ROW(${key}, ${text})::pair,
    l = ARRAY[ROW(1, ${text})::pair, NULL], m = '{"k": [1.10, "\\\\"]}', n = '10.0.0.1', o = ${text}::char(7), p = B'101', q = tstzrange(now(), NULL), r = ${random.pick(['true', 'false'])}, s = gen_random_uuid(), t = '1.50', u = 'x', v = '<a>&lt;</a>'`;
  const choices: readonly (() => string)[] = [
    () => `INSERT INTO public.wide (k1, k2, large) VALUES (${key}, ${text}, ${large(random)})`,
    () => `UPDATE public.wide SET ${wide} WHERE k1 <= ${key}`,
    () => `UPDATE public.wide SET k2 = k2 || 'x' WHERE k1 = ${key}`,
    () => `UPDATE public.wide SET large = ${large(random)}, k1 = k1 + 1 WHERE k1 > ${key}`,
    () => `DELETE FROM public.wide WHERE k1 = ${key}`,
    () => `INSERT INTO public.swapped VALUES (${key}, ${key}, ${key}, ${large(random)})`,
    () => `UPDATE public.swapped SET rank = -rank, other = other % 12 + 1`,
    () => `UPDATE public.swapped SET rank = 100 + id WHERE id = ${key}; UPDATE public.swapped SET rank = ${key} WHERE id = ${1 + (key % 12)}; UPDATE public.swapped SET rank = ${1 + (key % 12)} WHERE id = ${key}`,
    () => `UPDATE public.swapped SET id = id + 100 WHERE id = ${key}; UPDATE public.swapped SET id = ${key} WHERE id = ${1 + (key % 12)}; UPDATE public.swapped SET id = ${1 + (key % 12)} WHERE id = 100 + ${key}`,
    () => `DELETE FROM public.swapped WHERE id % 5 = ${key % 5}`,
    () => `INSERT INTO public.bare SELECT '{"a":  1}', '(1,2)', 'x', true, 0.1, ${large(random)} FROM generate_series(1, ${random.int(1, 3)})`,
    () => `UPDATE public.bare SET e = ${random.pick(['0.1', '-0.0', 'NULL'])}, c = ${random.pick([`'y'`, 'NULL'])} WHERE ctid IN (SELECT ctid FROM public.bare ORDER BY ctid LIMIT ${random.int(1, 4)})`,
    () => `DELETE FROM public.bare WHERE ctid IN (SELECT ctid FROM public.bare ORDER BY ctid DESC LIMIT ${random.int(1, 2)})`,
    () => (random.chance(0.2) ? `TRUNCATE public.${random.pick(names)}` : 'SELECT 1'),
    () => (random.chance(0.2) ? 'TRUNCATE public.wide, public.bare' : 'SELECT 1'),
  ];
  return random.pick(choices)();
}
