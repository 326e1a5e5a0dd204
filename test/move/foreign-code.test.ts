import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { Cluster } from '../../src/index.ts';
import { createTestDatabases, type TestDatabases } from '../support/test-databases.ts';

let databases: TestDatabases;
let cluster: Cluster;
const role = `foreign_code_${process.pid}`;
const functions = ['in_check', 'in_column', 'in_index', 'in_predicate', 'in_statistics', 'in_partition_key'];
beforeAll(async () => {
  databases = await createTestDatabases({ nodes: 2 });
  cluster = new Cluster({ connectionString: databases.coordinator.connectionString, recoveryIntervalMs: 0 });
  const { host, port, database } = at(databases.nodes, 0);
  await cluster.addNode({ host, port, database });
  await cluster.query(`CREATE ROLE ${role}; CREATE SCHEMA own AUTHORIZATION ${role}`);
  const { host: otherHost, port: otherPort, database: otherDatabase } = at(databases.nodes, 1);
  await cluster.addNode({ host: otherHost, port: otherPort, database: otherDatabase });
  // Each notes as whom it was run, in a way that no reading of it finds out.
  const noting = (name: string): string => `CREATE FUNCTION own.${name}(x anyelement) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM own.noted('${name}'); RETURN 1; END $$;
    ALTER FUNCTION own.${name} OWNER TO ${role}`;
  await cluster.query(`
    CREATE FUNCTION own.noted(name text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
      EXECUTE 'INSERT INTO own.' || 'ran VALUES ($1 || '' as '' || current_user)' USING name; EXCEPTION WHEN undefined_table THEN NULL; END $$;
    ${functions.map(noting).join(';')};
    CREATE DOMAIN own.word AS text; ALTER DOMAIN own.word OWNER TO ${role};
    CREATE TYPE own.pair AS (a int, b int); ALTER TYPE own.pair OWNER TO ${role};
    CREATE TYPE own.mood AS ENUM ('sad', 'glad'); ALTER TYPE own.mood OWNER TO ${role}`);
  for (const node of databases.nodes) await on(node, 'CREATE TABLE own.ran (as_role text); GRANT ALL ON own.ran TO PUBLIC');
}, 60_000);
afterAll(async () => {
  await cluster.query(`DROP SCHEMA own CASCADE`);
  await cluster.query(`DROP ROLE ${role}`);
  await cluster.end();
  await databases.drop();
}, 30_000);

async function on({ connectionString }: { readonly connectionString: string }, text: string): Promise<unknown[][]> {
  const client = await new Client(connectionString).connect();
  try {
    return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows;
  } finally {
    await client.end();
  }
}

const ran = async (): Promise<unknown[]> => (await Promise.all(databases.nodes.map((node) => on(node, 'DELETE FROM own.ran RETURNING as_role')))).flat(2);

/** Makes the table, gives it to the role, and tries to move it. */
async function tryMove(definition: string, rows = `INSERT INTO own.t (k) SELECT generate_series(1, 5)`): Promise<unknown> {
  await cluster.query(definition);
  await cluster.createDistributedTable('own.t', 'k', { shardCount: 1, colocateWith: 'none' });
  await cluster.query(rows);
  await cluster.query(`ALTER TABLE own.t OWNER TO ${role}`);
  await ran();
  const shard = at((await cluster.shards()).filter(({ table }) => table === 't'), 0);
  return cluster.moveShardGroup(shard.shardId, { to: 3 - shard.nodeId }).then(() => 'moved', (error: unknown) => error);
}

test('the code of another role is not run with the rights of ours: the move is refused, and tells all of it', async () => {
  const refused = await tryMove(`
    CREATE TABLE own.t (k int CHECK (own.in_check(k) = 1), w own.word, p own.pair, m own.mood[], g int GENERATED ALWAYS AS (own.in_column(k)) STORED) PARTITION BY RANGE ((own.in_partition_key(k)));
    CREATE TABLE own.t_1 PARTITION OF own.t DEFAULT;
    CREATE INDEX ON own.t (own.in_index(k)); CREATE INDEX ON own.t (k) WHERE own.in_predicate(k) = 1; CREATE STATISTICS own.s ON (own.in_statistics(k)), k FROM own.t_1`);
  const noted = await ran();
  await cluster.query('DROP TABLE own.t');
  expect(noted).toEqual([]);
  const told = [...functions.map((name) => `Function own.${name}(anyelement)`), 'Domain own.word', 'Type own.pair', 'Type own.mood[]'];
  const details = told.map((what) => expect.stringContaining(`${what} belongs to role ${role}, and copying rows would run its code with the rights of role`) as string);
  for (const detail of details) expect(refused).toMatchObject({ id: 'moveRefused', detail });
}, 60_000);

test('what the role owns besides moves: tables, enums; and code once it is given away', async () => {
  await cluster.query('ALTER FUNCTION own.in_check OWNER TO CURRENT_USER');
  const definition = 'CREATE TABLE own.t (k int CHECK (own.in_check(k) = 1), m own.mood, v text); GRANT SELECT (v) ON own.t TO PUBLIC';
  const moved = await tryMove(definition, `INSERT INTO own.t SELECT g, 'sad' FROM generate_series(1, 5) g`);
  const shard = at((await cluster.shards()).filter(({ table }) => table === 't'), 0);
  const grants = `SELECT relowner::regrole::text, (SELECT attacl::text FROM pg_attribute WHERE attrelid = c.oid AND attname = 'v') FROM pg_class c WHERE relname = '${shard.name}'`;
  const there = await on(at(databases.nodes, shard.nodeId - 1), grants);
  const noted = await ran();
  await cluster.query(`DROP TABLE own.t; ALTER FUNCTION own.in_check OWNER TO ${role}`);
  expect(moved).toBe('moved');
  expect(there).toEqual([[role, `{=r/${role}}`]]);
  // It is what is looked at, and runs.
  expect(noted).toContainEqual(expect.stringMatching(/^in_check as /));
}, 60_000);
