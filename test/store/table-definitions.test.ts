import { expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { loadSnapshot } from '../../src/store/load-snapshot.ts';
import { tableDefinitionsQuery } from '../../src/store/table-definitions.ts';
import { type Coordinator, openCoordinator } from './coordinator.ts';

interface Definition {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly { readonly name: string }[];
}

/** Of these tables, those that are there. */
async function definitions(coordinator: Coordinator, ...names: readonly string[]): Promise<Definition[]> {
  const oids = names.map((name) => `to_regclass('${name}')::oid`);
  const rows = await coordinator.sql(tableDefinitionsQuery().replace('$1', `ARRAY[${oids.join(', ')}]`));
  return rows.map((row) => at(row, 0) as Definition);
}

const columnsOf = (one: Definition): readonly string[] => one.columns.map(({ name }) => name);

test.each([15, 18] as const)('who boots where an older version has been finds the function, for all roles, on version %i', async (major) => {
  await using coordinator = await openCoordinator(major);
  await coordinator.sql('ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC');
  await loadSnapshot(coordinator.connections);
  const made = `SELECT count(*)::int FROM pg_proc WHERE pronamespace = 'shardwright'::regnamespace AND proname ~ '^(catalog_document|table_definitions)_[0-9a-f]{8}$'`;
  expect(await coordinator.sql(made)).toEqual([[2]]);
  await coordinator.sql(`DO $$ DECLARE f record; BEGIN FOR f IN SELECT oid::regprocedure AS signature, proname FROM pg_proc
    WHERE pronamespace = 'shardwright'::regnamespace AND proname ~ '^(catalog_document|table_definitions)_' LOOP
    IF f.proname ~ '^catalog' THEN EXECUTE format('ALTER FUNCTION %s RENAME TO catalog_document_00000000', f.signature); ELSE EXECUTE format('DROP FUNCTION %s', f.signature); END IF;
  END LOOP; END $$; CREATE TABLE "T x" (a int)`);
  await loadSnapshot(coordinator.connections);
  expect(await coordinator.sql(made)).toEqual([[3]]);
  await coordinator.sql(`BEGIN; CREATE ROLE reader_of_definitions; SET LOCAL ROLE reader_of_definitions`);
  expect(await definitions(coordinator, '"T x"')).toMatchObject([{ schema: 'public', name: 'T x', columns: [{ name: 'a' }] }]);
  await coordinator.sql('ROLLBACK');
});

test.each([15, 18] as const)('its plan is kept, and what it says is of now, of many tables and of none, on version %i', async (major) => {
  await using coordinator = await openCoordinator(major);
  await loadSnapshot(coordinator.connections);
  await coordinator.sql('CREATE TABLE a (x int); CREATE TABLE b (x int); BEGIN');
  for (let i = 0; i < 3; i += 1) {
    await coordinator.sql(`ALTER TABLE a ADD COLUMN y${i} int; ALTER TABLE b DROP COLUMN IF EXISTS x`);
    const both = await definitions(coordinator, 'a', 'b', 'gone');
    expect(new Map(both.map((one) => [one.name, columnsOf(one)]))).toEqual(new Map([['a', ['x', 'y0', 'y1', 'y2'].slice(0, i + 2)], ['b', []]]));
  }
  await coordinator.sql('DROP TABLE b');
  expect((await definitions(coordinator, 'a', 'b')).map(({ name }) => name)).toEqual(['a']);
  await coordinator.sql('ROLLBACK');
});

test("a session's own tables do not stand in for the catalog's", async () => {
  await using coordinator = await openCoordinator();
  await loadSnapshot(coordinator.connections);
  await coordinator.sql('CREATE TABLE a (x int); CREATE TEMP TABLE pg_attribute (x int); CREATE TEMP TABLE pg_namespace (x int)');
  expect((await definitions(coordinator, 'a')).map(columnsOf)).toEqual([['x']]);
});
