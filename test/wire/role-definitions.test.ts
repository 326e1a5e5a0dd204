import { createHash } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serve, type WireServer } from '../../src/wire.ts';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';

let pair: ClusterAndPlain;
let role: string;
/** Sessions log in as the role, or take it. */
const servers: WireServer[] = [];

beforeAll(async () => {
  pair = await startCluster();
  role = `maker_${pair.databases.coordinator.database.slice(5, 17)}`;
  await pair.cluster.query(`CREATE ROLE ${role} LOGIN PASSWORD 'sesame'; CREATE SCHEMA made AUTHORIZATION ${role}; ALTER ROLE ${role} SET search_path = made, public`);
  for (const actAs of ['login', 'set_role'] as const) servers.push(await serve(pair.cluster, { port: 0, actAs }));
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()));
  await pair.cluster.query(`DROP OWNED BY ${role} CASCADE`);
  await pair.cluster.query(`DROP ROLE ${role}`);
  await pair[Symbol.asyncDispose]();
});

async function connect(server: WireServer | undefined): Promise<Client> {
  const client = new Client({ host: server?.host ?? '', port: server?.port ?? 0, database: pair.databases.coordinator.database, user: role, password: 'sesame' });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(() => 'no error', (error: Error & { readonly code?: string }) => `${error.code ?? ''} ${error.message}`);
}

describe.each([['that is logged in', 0], ['that was taken', 1]] as const)('a role %s', (_, which) => {
  test('defines what is its own, on every server', async () => {
    const client = await connect(servers[which]);
    await client.query(`CREATE TYPE size AS ENUM ('s', 'l'); CREATE FUNCTION twice(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN 2 * $1; END $$`);
    await client.query(`CREATE FUNCTION acts() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF current_user <> '${role}' THEN RAISE EXCEPTION 'as %', current_user; END IF; RETURN true; END $$`);
    await client.query(`CREATE TABLE shirts (id int PRIMARY KEY, size size DEFAULT 's', number int CHECK (number < 100 AND acts()))`);
    await client.query(`INSERT INTO shirts SELECT i, 'l', i FROM generate_series(1, 20) i`);
    await client.query(`SELECT create_distributed_table('shirts', 'id', shard_count => 4)`);
    await client.query('BEGIN; CREATE TABLE sizes (size size PRIMARY KEY)');
    await client.query(`SELECT create_reference_table('sizes')`);
    await client.query(`INSERT INTO sizes VALUES ('s'); COMMIT; DROP TABLE sizes`);
    expect(await failure(client.query(`SELECT create_distributed_table('notes', 'id')`))).toBe('42501 must be owner of table notes');
    expect(await failure(client.query(`SELECT undistribute_table('shirts')`))).toBe('42501 permission denied for function undistribute_table');
    await client.query('BEGIN; ALTER TABLE shirts ADD COLUMN more int DEFAULT 7; CREATE INDEX ON shirts (more); UPDATE shirts SET more = twice(number) WHERE id > 10; COMMIT');
    expect((await client.query('SELECT size, sum(more)::int AS sum FROM shirts GROUP BY size')).rows).toEqual([{ size: 'l', sum: 380 }]);
    expect(await failure(client.query('ALTER TABLE shirts ADD CHECK (number < 10)'))).toContain('23514');
    expect(await failure(client.query('ALTER TABLE orders ADD COLUMN more int'))).toBe('42501 must be owner of table orders');
    await client.query('ALTER TABLE shirts RENAME TO skirts; TRUNCATE skirts');
    await client.query('DROP TABLE skirts; DROP FUNCTION twice; DROP FUNCTION acts; DROP TYPE size');
    expect(await pair.cluster.tables()).not.toContainEqual(expect.objectContaining({ schema: 'made' }));
    expect((await pair.cluster.checkSchema()).differences).toEqual([]);
    await client.end();
  });

  test('has no rights on the catalog itself', async () => {
    const client = await connect(servers[which]);
    for (const text of ['UPDATE shardwright.cluster SET catalog_version = 0', 'DELETE FROM shardwright.shard', 'LOCK TABLE shardwright.cluster IN EXCLUSIVE MODE', 'SELECT secret FROM shardwright.admission']) {
      expect(await failure(client.query(`BEGIN; ${text}`))).toContain('42501');
      await client.query('ROLLBACK');
    }
    await client.end();
  });
});

test('a token is good for one statement of one transaction', async () => {
  const maker = new Client({ ...where(), user: role });
  const owner = new Client(where());
  await Promise.all([maker.connect(), owner.connect()]);
  const secret = (await owner.query<{ secret: string }>('SELECT secret FROM shardwright.admission')).rows[0]?.secret ?? '';
  const token = (message: string): string => createHash('sha256').update(secret).update(createHash('sha256').update(secret + message).digest()).digest('hex');
  const statement = 'SELECT current_user::text AS name, true AS yes, NULL AS nothing';
  const facts = async (): Promise<string> => (await maker.query<{ facts: string }>(`SELECT pg_backend_pid() || ':' || pg_current_xact_id() AS facts`)).rows[0]?.facts ?? '';
  const run = (given: string, text: string): Promise<unknown> => maker.query('SELECT * FROM shardwright.run_admitted($1, $2) AS row', [given, text]).then(({ rows }) => rows as unknown);
  await maker.query('BEGIN');
  const right = token(`${await facts()}:${statement}`);
  expect(await run(right, statement)).toEqual([{ row: `["${pair.databases.coordinator.user}", "t", null]` }]);
  await maker.query('SAVEPOINT s');
  for (const [given, text] of [[right, `${statement} `], ['', statement], [null as unknown as string, statement], [token(statement), statement]] as const) {
    expect(await failure(run(given, text))).toBe('42501 permission denied to change the catalog');
    await maker.query('ROLLBACK TO s');
  }
  await maker.query('COMMIT; BEGIN');
  expect(await failure(run(right, statement))).toBe('42501 permission denied to change the catalog');
  await Promise.all([maker.end(), owner.end()]);
});

function where() {
  const { host, port, database, user } = pair.databases.coordinator;
  return { host, port, database, user };
}
