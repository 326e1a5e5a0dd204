import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at, present } from '../../src/base/assert.ts';
import { createDistributedTable } from '../../src/ddl/create-distributed-table.ts';
import { createReferenceTable } from '../../src/ddl/create-reference-table.ts';
import { checkSchema } from '../../src/ddl/drift/check-schema.ts';
import type { SchemaDifference, SchemaReport } from '../../src/ddl/drift/schema-report.ts';
import { referencedRows, richName, richRows, richSchema, richTableOn } from './rich-table.ts';
import { shardsOf, type TestShard } from './shards-of.ts';
import { openTestCluster, type TestCluster } from './test-cluster.ts';

const role = 'shardwright_test_reader';
const makeRole = `DO $$ BEGIN CREATE ROLE ${role}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`;

interface Drift {
  /** `$s` is the shard, quoted, `$n` its name, `$i` its id. */
  readonly plant: string;
  readonly what: string;
  readonly also?: readonly string[];
  readonly table?: 'rich' | 'company' | 'country';
}

const index = '"Odd schema"."Ünïcode index_$i"';

const drifts: readonly Drift[] = [
  { what: 'column "parent"', plant: 'ALTER TABLE $s DROP COLUMN parent', also: ['constraint "to_self"'] },
  { what: 'column "extra"', plant: "ALTER TABLE $s ADD COLUMN extra int NOT NULL DEFAULT 3; COMMENT ON COLUMN $s.extra IS 'more'" },
  { what: 'column "name"', plant: 'ALTER TABLE $s ALTER name TYPE varchar(12)', table: 'country' },
  { what: 'column "name"', plant: 'ALTER TABLE $s ALTER name TYPE text COLLATE "C"', table: 'company' },
  { what: 'default of column "day"', plant: "ALTER TABLE $s ALTER day SET DEFAULT '2024-02-04'" },
  { what: 'default of column "tag"', plant: 'ALTER TABLE $s ALTER tag DROP DEFAULT' },
  { what: 'default of column "id"', plant: 'ALTER TABLE $s ALTER id SET DEFAULT 7' },
  { what: 'NOT NULL of column "other"', plant: 'ALTER TABLE $s ALTER other DROP NOT NULL' },
  { what: 'NOT NULL of column "tag"', plant: 'ALTER TABLE $s ALTER tag SET NOT NULL' },
  { what: 'identity of column "other"', plant: 'ALTER TABLE $s ALTER other ADD GENERATED ALWAYS AS IDENTITY' },
  { what: 'storage of column "big"', plant: 'ALTER TABLE $s ALTER big SET STORAGE EXTENDED' },
  { what: 'storage of column "doc"', plant: 'ALTER TABLE $s ALTER doc SET STORAGE MAIN' },
  { what: 'compression of column "doc"', plant: 'ALTER TABLE $s ALTER doc SET COMPRESSION default' },
  { what: 'statistics target of column "tag"', plant: 'ALTER TABLE $s ALTER tag SET STATISTICS 7' },
  { what: 'option n_distinct of column "day"', plant: 'ALTER TABLE $s ALTER day RESET (n_distinct)' },
  { what: 'constraint "Rich pk"', plant: 'ALTER TABLE $s DROP CONSTRAINT "Rich pk_$i" CASCADE', also: ['constraint "to_self"'] },
  { what: 'constraint "later"', plant: 'ALTER TABLE $s VALIDATE CONSTRAINT later_$i' },
  { what: 'constraint "no_inherit"', plant: "ALTER TABLE $s DROP CONSTRAINT no_inherit_$i, ADD CONSTRAINT no_inherit_$i CHECK (day > '2000-01-02') NO INHERIT" },
  { what: 'constraint "no_inherit"', plant: "ALTER TABLE $s DROP CONSTRAINT no_inherit_$i, ADD CONSTRAINT no_inherit_$i CHECK (day > '2000-01-01') NO INHERIT NOT VALID" },
  { what: 'constraint "more"', plant: 'ALTER TABLE $s ADD CONSTRAINT more EXCLUDE USING gist (span WITH &&) WHERE (id < 0)' },
  { what: 'constraint "to_company"', plant: 'ALTER TABLE $s DROP CONSTRAINT to_company_$i' },
  { what: 'constraint "Rich ""table""_country_fkey"', plant: 'ALTER TABLE $s ALTER CONSTRAINT "Rich ""table""_country_fkey_$i" NOT DEFERRABLE' },
  { what: 'hash constraint', plant: 'ALTER TABLE $s DROP CONSTRAINT shardwright_hash_$i' },
  { what: 'hash constraint', plant: 'ALTER TABLE $s DROP CONSTRAINT shardwright_hash_$i, ADD CONSTRAINT shardwright_hash_$i CHECK (hashint8(id) BETWEEN 0 AND 2147483647) NOT VALID' },
  { what: 'hash constraint', plant: 'ALTER TABLE $s DROP CONSTRAINT shardwright_hash_$i, ADD CONSTRAINT shardwright_hash_$i CHECK (hashint8("Tenant Id") BETWEEN 0 AND 2147483646)' },
  { what: 'index "rich_doc"', plant: 'DROP INDEX "Odd schema".rich_doc_$i' },
  { what: 'index "more"', plant: 'CREATE INDEX more ON $s (amount)' },
  { what: 'index "Ünïcode index"', plant: `UPDATE pg_index SET indisvalid = false WHERE indexrelid = '${index}'::regclass` },
  { what: 'index "rich_partial"', plant: `DROP INDEX "Odd schema".rich_partial_$i; CREATE UNIQUE INDEX rich_partial_$i ON $s ("Tenant Id", day) WHERE mood = 'happy' AND id < 0` },
  { what: 'storage parameter fillfactor of index "Rich pk"', plant: 'ALTER INDEX "Odd schema"."Rich pk_$i" RESET (fillfactor)' },
  { what: 'statistics target of index "Ünïcode index"', plant: `ALTER INDEX ${index} ALTER COLUMN 2 SET STATISTICS 78` },
  { what: 'clustering of index "identity_index"', plant: 'ALTER TABLE $s SET WITHOUT CLUSTER' },
  { what: 'storage parameter fillfactor', plant: 'ALTER TABLE $s SET (fillfactor = 91)' },
  { what: 'storage parameter parallel_workers', plant: 'ALTER TABLE $s SET (parallel_workers = 1)' },
  { what: 'storage parameter toast.autovacuum_enabled', plant: 'ALTER TABLE $s RESET (toast.autovacuum_enabled)' },
  { what: 'persistence', plant: 'ALTER TABLE $s SET LOGGED' },
  { what: 'replica identity', plant: 'ALTER TABLE $s REPLICA IDENTITY FULL' },
  { what: 'comment', plant: "COMMENT ON TABLE $s IS 'another'" },
  { what: 'comment on index "Ünïcode index"', plant: `COMMENT ON INDEX ${index} IS NULL` },
  { what: 'trigger "t"', plant: 'CREATE TRIGGER t BEFORE UPDATE ON $s FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()' },
  { what: 'rule "r"', plant: 'CREATE RULE r AS ON DELETE TO $s DO INSTEAD NOTHING' },
  { what: 'row level security', plant: 'ALTER TABLE $s ENABLE ROW LEVEL SECURITY' },
  { what: 'row level security for the owner', plant: 'ALTER TABLE $s FORCE ROW LEVEL SECURITY' },
  { what: 'statistics "more"', plant: 'CREATE STATISTICS "Odd schema".more ON tag, day FROM $s' },
  { what: 'policy "p"', plant: 'CREATE POLICY p ON $s USING (id > 0)' },
  { what: 'owner', plant: `ALTER TABLE $s OWNER TO ${role}` },
  { what: `privilege SELECT of "${role}"`, plant: `REVOKE GRANT OPTION FOR SELECT ON $s FROM ${role}` },
  { what: 'privilege DELETE of PUBLIC', plant: 'GRANT DELETE ON $s TO PUBLIC' },
  { what: 'privilege TRUNCATE of the owner', plant: 'GRANT TRUNCATE ON $s TO CURRENT_USER', table: 'company' },
  { what: 'shard', plant: 'DROP TABLE $s' },
  { what: 'shard', plant: 'DROP TABLE $s CASCADE', table: 'country', also: ['constraint "Rich ""table""_country_fkey"'] },
  { what: 'shard "Odd schema"."left_900000"', plant: 'CREATE TABLE "Odd schema"."left_900000" (a int CONSTRAINT shardwright_hash_900000 CHECK (a > 0))' },
];

/** Owns something, and is on the three servers; others may be asked for theirs at the same time. */
const owner = `shardwright_test_${randomBytes(4).toString('hex')}`;
const objects = `CREATE TYPE shade AS ENUM ('red', 'green', 'blue'); CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION two() RETURNS int LANGUAGE sql AS 'SELECT 2'; GRANT EXECUTE ON FUNCTION two() TO CURRENT_USER; CREATE DOMAIN small AS int CHECK (VALUE < 10);
  CREATE ROLE ${owner} CONNECTION LIMIT 3; CREATE SCHEMA AUTHORIZATION ${owner}; COMMENT ON DOMAIN small IS 'few'; ALTER ROLE ${owner} SET work_mem = '2MB'`;

/** What nodes have beside tables. */
const objectDrifts: readonly { readonly plant: string; readonly what: readonly string[] }[] = [
  { what: ['type public.shade'], plant: 'DROP TYPE shade' },
  { what: ['type public.shade'], plant: `DROP TYPE shade; CREATE TYPE shade AS ENUM ('green')` },
  { what: ['type public.shade'], plant: `ALTER TYPE shade RENAME VALUE 'green' TO 'grün'` },
  { what: ['function public.one()'], plant: `CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 2'` },
  { what: ['function public.one()'], plant: 'DROP FUNCTION one' },
  { what: ['privileges of function public.two()'], plant: `REVOKE EXECUTE ON FUNCTION two() FROM PUBLIC; GRANT EXECUTE ON FUNCTION two() TO ${owner}` },
  { what: ['type public.small'], plant: 'ALTER DOMAIN small DROP CONSTRAINT small_check' },
  { what: ['comment of type public.small'], plant: `COMMENT ON DOMAIN small IS 'many'` },
  { what: [`owner of schema ${owner}`], plant: `ALTER SCHEMA ${owner} OWNER TO CURRENT_USER` },
  { what: [`schema ${owner}`], plant: `DROP SCHEMA ${owner}` },
  { what: [`role "${owner}"`], plant: `ALTER ROLE ${owner} CREATEDB; ALTER ROLE ${owner} RESET work_mem` },
  { what: [`role "${owner}"`, `schema ${owner}`], plant: `DROP SCHEMA ${owner}; DROP ROLE ${owner}` },
];

const check = (cluster: TestCluster): Promise<SchemaReport> => checkSchema(cluster.context, 'coordinator');

/** Runs the repairs where the report says. */
async function repair(cluster: TestCluster, differences: readonly SchemaDifference[]): Promise<void> {
  for (const { node, repair: sql } of differences) {
    const index = cluster.databases.nodes.findIndex(({ host, port, database }) => node === `${host}:${port}/${database}`);
    await (index < 0 ? cluster.sql(sql) : cluster.onNode(index, sql));
  }
}

async function shardOf(cluster: TestCluster, table: 'rich' | 'company' | 'country'): Promise<TestShard> {
  if (table === 'rich') return at(await shardsOf(cluster, richName.name, richName.schema), 1);
  if (table === 'company') return at(await shardsOf(cluster, 'company'), 1);
  const found = await cluster.table('country');
  if (found.kind !== 'reference') throw new Error('it is distributed');
  return { id: found.shardId, node: 2, min: 0, max: 0, name: `country_${found.shardId}`, sql: `"public"."country_${found.shardId}"` };
}

describe.each([15, 18] as const)('on version %i', (major) => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await openTestCluster({ major, nodes: 2 });
    for (const run of [(sql: string) => cluster.sql(sql), (sql: string) => cluster.onNode(0, sql), (sql: string) => cluster.onNode(1, sql)]) await run(`${makeRole}; ${richSchema}; ${objects}`);
    await cluster.sql(richTableOn(major) + referencedRows);
    await cluster.sql(`GRANT SELECT, UPDATE (name) ON ${richName.sql} TO ${role} WITH GRANT OPTION; GRANT ALL ON country TO PUBLIC;
      GRANT USAGE ON SCHEMA "Odd schema" TO ${role}; REVOKE TRUNCATE ON company FROM CURRENT_USER`);
    await createReferenceTable(cluster.context, 'country');
    await createDistributedTable(cluster.context, 'company', 'id', { shardCount: 2 });
    await cluster.sql(richRows);
    await createDistributedTable(cluster.context, richName.sql, 'Tenant Id', { colocateWith: 'company' });
  });

  afterAll(async () => {
    const drop = `DROP SCHEMA ${owner}; DROP ROLE ${owner}`;
    await Promise.all([cluster.sql(drop), cluster.onNode(0, drop), cluster.onNode(1, drop)]);
    await cluster[Symbol.asyncDispose]();
  });

  test('nothing differs where nothing was done by hand', async () => {
    const report = await check(cluster);
    expect(report.text).toBe('6 shards compared, no differences');
    expect(report).toMatchObject({ differences: [], shards: 6 });
    const shard = await shardOf(cluster, 'rich');
    const [allowed] = await cluster.onNodeId(
      shard.node,
      `SELECT has_schema_privilege('${role}', 'Odd schema', 'USAGE') AND has_column_privilege('${role}', '${shard.sql}', 'name', 'UPDATE WITH GRANT OPTION')`,
    );
    expect(allowed).toEqual([true]);
  });

  test.each(drifts)('$what: $plant', async ({ plant, what, also = [], table = 'rich' }) => {
    const shard = await shardOf(cluster, table);
    const expand = (sql: string): string => sql.replaceAll('$s', shard.sql).replaceAll('$n', shard.name).replaceAll('$i', `${shard.id}`);
    await cluster.onNodeId(shard.node, expand(plant));
    const { differences, text } = await check(cluster);
    await repair(cluster, differences);
    // What one repair takes away on its way, another puts back.
    await repair(cluster, (await check(cluster)).differences);
    expect(differences.map((difference) => difference.what)).toEqual([what, ...also].map(expand));
    expect(new Set(differences.map(({ node }) => node)).size).toBe(1);
    expect(text).toContain(present(differences[0]).repair);
    expect((await check(cluster)).text).toMatch(/no differences/);
  });

  test.each(objectDrifts)('$what: $plant', async ({ plant, what }) => {
    await cluster.onNode(1, plant);
    const { differences } = await check(cluster);
    expect(differences.map((difference) => difference.what)).toEqual(what);
    expect(new Set(differences.map(({ node }) => node)).size).toBe(1);
    await repair(cluster, differences);
    expect((await check(cluster)).text).toMatch(/no differences/);
  });

  test('what was made in the coordinator database past the library is missed on each node, but for what is bound to local tables', async () => {
    await cluster.sql(`CREATE TYPE late AS (a int); CREATE FUNCTION of_late(late) RETURNS int LANGUAGE sql AS 'SELECT $1.a'; CREATE TABLE plain (a int); CREATE FUNCTION of_plain(plain) RETURNS int LANGUAGE sql AS 'SELECT 1'`);
    const { differences } = await check(cluster);
    expect(differences.map(({ what, expected, found }) => [what, expected?.slice(0, 34), found])).toEqual([0, 1].flatMap(() => [['type public.late', 'CREATE TYPE public.late AS (a inte', null], ['function public.of_late(public.late)', 'CREATE OR REPLACE FUNCTION public.', null]]));
    await repair(cluster, differences);
    expect((await check(cluster)).text).toMatch(/no differences/);
  });

  test('columns in another order are put back, with their rows', async () => {
    const shard = await shardOf(cluster, 'company');
    const rows = `SELECT count(*)::int, max(name) FROM ${shard.sql}`;
    const before = await cluster.onNodeId(shard.node, rows);
    const again = (column: string, type: string): string => `ALTER TABLE ${shard.sql} ADD COLUMN moved ${type}; UPDATE ${shard.sql} SET moved = ${column};
      ALTER TABLE ${shard.sql} DROP COLUMN ${column} CASCADE; ALTER TABLE ${shard.sql} RENAME COLUMN moved TO ${column}`;
    await cluster.onNodeId(shard.node, again('id', 'bigint'));
    const order = (await check(cluster)).differences.filter(({ what }) => what === 'order of columns');
    expect(order).toMatchObject([{ expected: '"id", "name"', found: '"name", "id"' }]);
    await repair(cluster, order);
    await repair(cluster, (await check(cluster)).differences);
    expect((await check(cluster)).text).toMatch(/no differences/);
    expect(await cluster.onNodeId(shard.node, rows)).toEqual(before);
  });

  test('a change that the node has only prepared is waited for', async () => {
    const shard = await shardOf(cluster, 'company');
    await cluster.onNodeId(shard.node, `ALTER TABLE ${shard.sql} ALTER name SET DEFAULT 'x'`);
    await cluster.onNodeId(shard.node, `BEGIN; ALTER TABLE ${shard.sql} ALTER name DROP DEFAULT; PREPARE TRANSACTION '${shard.name}'`);
    const checked = check(cluster);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await cluster.onNodeId(shard.node, `COMMIT PREPARED '${shard.name}'`);
    expect((await checked).text).toMatch(/no differences/);
  });

  test('shells that would take rows, and one that is gone', async () => {
    await cluster.sql('DROP TRIGGER shardwright_shell_insert ON company; ALTER TABLE country DISABLE TRIGGER shardwright_shell; CREATE TABLE lost (id int)');
    await createDistributedTable(cluster.context, 'lost', 'id', { shardCount: 2, colocateWith: 'none' });
    await cluster.sql('DROP TABLE lost');
    const { differences } = await check(cluster);
    expect(differences.map(({ what, table }) => [what.replaceAll(/\d+"?$/g, ''), table])).toEqual([
      ['table with OID ', null], ['trigger "shardwright_shell"', 'country'], ['trigger "shardwright_shell_insert"', 'company'],
      ['shard "public"."lost_', null], ['shard "public"."lost_', null],
    ]);
    await repair(cluster, differences);
    expect((await check(cluster)).text).toMatch(/no differences/);
  });
});
