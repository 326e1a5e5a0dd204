import type { Pool } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Cluster } from '../../../src/index.ts';
import { run } from '../../coordinator/start-cluster.ts';
import type { TestDatabases } from '../../support/test-databases.ts';
import { compareDefinitions, outcome } from './compare-definitions.ts';
import { type EmptyPair, startEmptyPair } from './empty-pair.ts';
import { followCatalog, type FollowedCatalog } from './followed-catalog.ts';
import { behaviourCases, columnCases, type DefinitionCases, maintenanceCases, ownerCases, rowValueCases, tableCases, virtualCases } from './definition-cases.ts';

const tables = `
CREATE TABLE tenants (id bigint PRIMARY KEY, name text);
CREATE TABLE plans (code text PRIMARY KEY, price numeric);
CREATE TABLE orders (tenant_id bigint, id int, total numeric(10, 2) DEFAULT 0, note text, plan text, PRIMARY KEY (tenant_id, id))`;

/** Several databases may be of one server, and more than one test may come by. */
const roles = `DO $$ BEGIN CREATE ROLE definition_reader; CREATE ROLE definition_owner; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`;

/** Out of the way of DROP SCHEMA. */
const functions = `CREATE SCHEMA counted; CREATE FUNCTION counted.one_more() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.changes := NEW.changes + coalesce(TG_ARGV[0], '1')::int; RETURN NEW; END $$; GRANT USAGE ON SCHEMA counted TO PUBLIC`;

const rows = `
INSERT INTO tenants SELECT i, 'tenant ' || i FROM generate_series(1, 9) i;
INSERT INTO plans VALUES ('free', 0), ('pro', 20);
INSERT INTO orders SELECT t, i, t * 10 + i, CASE WHEN i < 3 THEN i || ' ' || t END, CASE WHEN i = 1 THEN 'free' ELSE 'pro' END FROM generate_series(1, 9) t, generate_series(1, 3) i`;

const all: DefinitionCases = { ...columnCases, ...rowValueCases, ...tableCases, ...behaviourCases, ...maintenanceCases, ...ownerCases };

/** What versions do in different ways. */
const some = (names: readonly string[], of: DefinitionCases): DefinitionCases => Object.fromEntries(Object.entries(of).filter(([name]) => names.includes(name)));

describe.each([
  { major: 18, cases: { ...all, ...virtualCases } },
  { major: 15, cases: some(['columns from sequences', 'volatile columns of reference tables', 'defaults of all sorts', 'ALTER TYPE', 'constraints', 'settings', 'row security', 'triggers', 'indexes CONCURRENTLY'], all) },
] as const)('on version $major', ({ major, cases }) => {
  let pair: EmptyPair;
  let databases: TestDatabases;
  let reference: TestDatabases;
  let cluster: Cluster;
  let plain: Pool;
  let catalog: FollowedCatalog;

  beforeAll(async () => {
    pair = await startEmptyPair(major);
    ({ databases, reference, cluster, plain } = pair);
    for (const { connectionString } of [databases.coordinator, ...databases.nodes, reference.coordinator]) {
      await run(connectionString, roles);
      await run(connectionString, functions);
    }
    catalog = await followCatalog(databases.coordinator.connectionString);
  });

  afterAll(async () => {
    await catalog[Symbol.asyncDispose]();
    await pair[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    for (const pool of [cluster, plain]) await pool.query(`${tables}; ${rows}`);
    await cluster.createReferenceTable('plans');
    await cluster.createDistributedTable('tenants', 'id', { shardCount: 4 });
    await cluster.createDistributedTable('orders', 'tenant_id', { colocateWith: 'tenants' });
  });

  afterEach(async () => {
    for (const pool of [cluster, plain]) await pool.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
  });

  test.each(Object.entries(cases))('%s: shards and rows are as on one PostgreSQL, and who reads what has changed knows all', async (_, statements) => {
    const [onCluster, onPlain] = [await cluster.connect(), await plain.connect()];
    try {
      for (const text of statements) {
        expect({ text, got: await outcome(onCluster, text) }).toEqual({ text, got: await outcome(onPlain, text) });
        await catalog.follow();
      }
      const [followed, whole] = await catalog.both();
      expect(followed).toEqual(whole);
      for (const { schema, name } of await cluster.tables()) {
        const text = `SELECT * FROM "${schema}"."${name}" ORDER BY 1, 2`;
        expect({ text, got: await outcome(onCluster, text) }).toEqual({ text, got: await outcome(onPlain, text) });
      }
    } finally {
      onCluster.release(true);
      onPlain.release(true);
    }
    const { coordinator, nodes } = databases;
    expect(await compareDefinitions({ cluster, coordinator, nodes, plain: reference.coordinator })).toBeGreaterThan(2);
  });
});
