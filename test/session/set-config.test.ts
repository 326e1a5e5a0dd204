import { text } from 'node:stream/consumers';
import { Client } from 'pg';
import { to } from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve } from '../../src/wire.ts';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';
import { compareSteps, type Step, step } from './compare-steps.ts';

/** What set_config sets reaches every server of the session, however it is called; or it is not called. */
let pair: ClusterAndPlain;
beforeAll(async () => {
  pair = await startCluster();
});
afterAll(() => pair[Symbol.asyncDispose](), 60_000);

const told = (name: string): string => `nullif(current_setting('${name}', true), '')`;
const seen = [`SELECT DISTINCT ${told('app.t')} AS t, ${told('app.u')} AS u FROM orders`, `SELECT DISTINCT ${told('app.t')} AS t, ${told('app.u')} AS u FROM orders WHERE tenant_id = 3`, `SELECT ${told('app.t')} AS t, ${told('app.u')} AS u`];

/** Each with `$local` for how long. */
const calls: Record<string, readonly Step[]> = {
  'alone': [`SELECT set_config('app.t', '5', $local)`],
  'beside others': [`SELECT set_config('app.t', '5', $local) AS a, count(*) AS n, set_config('app.u', '6', $local) AS b`],
  'several of one name': [`SELECT set_config('app.t', '5', $local), set_config('app.u', '6', $local)`, `SELECT set_config('app.t', '7', $local), set_config('app.u', '8', $local) AS set_config`],
  'rows that say what is set': [{ text: `SELECT set_config(el->>0, el->>1, $local) FROM json_array_elements($1::json) el`, values: ['[["app.t", "5"], ["app.u", "6"], ["app.t", "7"]]'] }],
  'rows that say for how long, and pass some over': [{ text: `SELECT lower('X'), pg_catalog.set_config(a.name || '', a.value, a.long AND $local) FROM (SELECT $2 || '', upper($1), true) AS a(name, value, long) WHERE a.value <> ''`, values: ['five', 'app.t'] }],
  'rows of which there are none': [`SELECT set_config('app.' || x, '5', $local) FROM (SELECT 't') AS a(x) WHERE false`],
  'in an expression': [`SELECT upper(set_config('app.t', '5', $local)), 1 + set_config('app.u', '6', $local)::int AS n`],
  'with casts': [`SELECT set_config('app.t'::text, '5'::varchar, '$local')`, `SELECT set_config('app.u', '6', '$local'::bool)`],
  'in subqueries': [`SELECT 1 AS one FROM (SELECT set_config('app.t', '5', $local)) AS q`, `WITH s AS MATERIALIZED (SELECT set_config('app.u', '6', $local)) SELECT * FROM s`],
  'in parts of a union': [`SELECT set_config('app.t', '5', $local) AS x UNION ALL SELECT set_config('app.u', '6', $local)`],
  'in VALUES and FROM': [`VALUES (set_config('app.t', '5', $local))`, `SELECT * FROM set_config('app.u', '6', $local)`],
  'not called after all': [`SELECT CASE WHEN now() IS NULL THEN set_config('app.t', '5', $local) END`, `SELECT set_config('app.u', '6', $local) WHERE now() IS NULL`],
  'in writes of local tables': [`UPDATE notes SET body = body WHERE set_config('app.t', '5', $local) = '5'`, `INSERT INTO notes VALUES (77, set_config('app.u', '6', $local))`, 'DELETE FROM notes WHERE id = 77'],
  'prepared': [`PREPARE one AS SELECT set_config('app.t', $1, $local)`, `EXECUTE one('5')`, `PREPARE two (text) AS SELECT upper(set_config($1, '6', $local))`, `EXECUTE two('app.u')`, 'DEALLOCATE one', 'DEALLOCATE two'],
  'explained': [`EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT set_config('app.t', '5', $local)`],
  'rows of a table that is made': [`CREATE TEMP TABLE made AS SELECT set_config('app.t', '5', $local)`],
  'a value of one, and of a sequence': [`SELECT set_config('app.t', '5', $local), setval(pg_get_serial_sequence('notes', 'id'), 5)`],
};

function having(one: Step, local: boolean): Step {
  return typeof one === 'string' ? one.replaceAll('$local', String(local)) : { ...one, text: one.text.replaceAll('$local', String(local)) };
}

const lengths = { session: false, transaction: true };
for (const [length, local] of Object.entries(lengths)) {
  test.for(Object.entries(calls))(`for the ${length}: %s`, async ([, steps]) => {
    const all = steps.map((one) => having(one, local));
    await compareSteps(pair, 'BEGIN', ...all, ...seen, 'COMMIT', ...seen);
    await compareSteps(pair, ...all, ...seen);
    await compareSteps(pair, `SET app.t = '1'`, 'BEGIN', 'SAVEPOINT s', ...all, ...seen, 'ROLLBACK TO s', ...seen, 'COMMIT', ...seen);
  });
}

test('it sets what is set for the transaction already', () => compareSteps(pair, 'BEGIN', `SET LOCAL app.t = '5'`, `SELECT set_config('app.t', '5', false), set_config('app.u', '6', false)`, 'COMMIT', ...seen));

test.each([
  [`SELECT set_config('app.' || 't', '5', true)`, /told by no constant/], [`SELECT set_config('app.t', '5', now() IS NULL)`, /told by no constant/], [`SELECT upper(set_config(x, '5', true)) FROM (SELECT 'app.t') AS a(x)`, /told by no constant/],
  [`DECLARE c CURSOR FOR SELECT set_config('app.t', '5', true)`, /declares a cursor/], [`UPDATE pg_settings SET setting = set_config('app.t', '5', true) WHERE name = 'work_mem'`, /updates pg_settings/],
])('refused: %s', async (asked, detail) => {
  const client = await pair.cluster.connect();
  try {
    await client.query(`BEGIN; SET LOCAL app.t = '1'; SAVEPOINT s`);
    await expect(client.query(asked)).rejects.toMatchObject({ code: '0A000', detail: expect.stringMatching(detail) as string });
    await client.query('ROLLBACK TO s');
    for (const one of seen) expect(await step(client, one)).toMatchObject([{ rows: [{ t: '1' }] }]);
  } finally {
    client.release(true);
  }
});

test('updates of pg_settings set what they say', async () => {
  const memory = ['SHOW work_mem', `SELECT DISTINCT current_setting('work_mem') AS m, current_setting('timezone') AS z FROM orders`];
  const update = (value: string): string => `UPDATE pg_settings SET setting = '${value}' WHERE name = 'work_mem'`;
  await compareSteps(pair, update('5MB'), ...memory, 'BEGIN', update('6MB'), ...memory, 'ROLLBACK', ...memory, `WITH u AS (UPDATE pg_catalog.pg_settings SET setting = 'Asia/Tokyo' WHERE lower(name) = 'timezone' RETURNING 1) SELECT * FROM u`, ...memory);
});

test('refused where rows are read in parts', async () => {
  const client = await pair.cluster.connect();
  const refused = { code: '0A000', detail: expect.stringMatching(/in parts/) as string };
  try {
    await expect(client.query(new Cursor(`SELECT set_config('app.t', '5', true)`)).read(1)).rejects.toMatchObject(refused);
  } finally {
    client.release(true);
  }
  await using server = await serve(pair.cluster, { port: 0, authentication: 'trust' });
  const { user, database } = pair.databases.coordinator;
  const wire = new Client({ host: server.host, port: server.port, user, database });
  await wire.connect();
  await expect(text(wire.query(to(`COPY (SELECT set_config('app.t', '5', true)) TO STDOUT`)))).rejects.toMatchObject(refused);
  await wire.end();
});

test('what a definition would set when it is used is not looked at', async () => {
  await pair.cluster.query(`CREATE VIEW setting AS SELECT set_config('app.' || 't', '5', true); DROP VIEW setting`);
});

test('setval beside set_config: values that were taken before mean nothing any more', async () => {
  await pair.cluster.query('CREATE TABLE counted (tenant_id bigint, id bigserial)');
  await pair.cluster.createDistributedTable('counted', 'tenant_id', { shardCount: 2 });
  const client = await pair.cluster.connect();
  try {
    const next = async (): Promise<unknown> => (await client.query('INSERT INTO counted (tenant_id) VALUES (1) RETURNING id::int AS id')).rows;
    for (let i = 0; i < 5; i += 1) await next();
    await client.query(`SELECT set_config('app.t', '5', false), setval('counted_id_seq', 5000)`);
    expect(await next()).toEqual([{ id: 5001 }]);
    await client.query(`PREPARE p AS SELECT setval('counted_id_seq', $1)`);
    await client.query('EXECUTE p(7000)');
    expect(await next()).toEqual([{ id: 7001 }]);
  } finally {
    client.release(true);
  }
});
