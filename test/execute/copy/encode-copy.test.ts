import * as fc from 'fast-check';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { copyEncoder } from '../../../src/execute/copy/encode-copy.ts';
import { loadGrammar } from '../../../src/sql/parse.ts';
import { createTestDatabases } from '../../support/test-databases.ts';
import type { TestDatabases } from '../../support/test-databases.ts';
import { readCopy } from './copy-cluster.ts';
import { plainCopyOut } from './plain-copy.ts';

let databases: TestDatabases;
let client: Client;

beforeAll(async () => {
  await loadGrammar();
  databases = await createTestDatabases({ nodes: 0 });
  client = new Client(databases.coordinator.connectionString);
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await databases.drop();
});

const value = fc.option(
  fc.array(fc.constantFrom('a', 'é', '😀', '\\', '\\.', '\\N', 'NIL', ',', ';', '"', "'", '|', ']', '^', '-', '\t', '\n', '\r', '\b', '\f', '\v', ' '), {
    maxLength: 5,
  }).map((parts) => parts.join('')),
);

const optionLists = [
  '',
  "(DELIMITER '|', NULL '')",
  "(DELIMITER '^', HEADER)",
  "(DELIMITER '-')",
  'CSV',
  'CSV HEADER FORCE QUOTE *',
  "(FORMAT csv, DELIMITER ';', NULL 'NIL', QUOTE '''', FORCE_QUOTE (b))",
  "(FORMAT csv, ESCAPE E'\\\\', HEADER)",
  "(FORMAT csv, DELIMITER E'\\t', QUOTE '^', ESCAPE ']')",
];

test.each(optionLists)('rows are written as the server does: COPY %s', async (options) => {
  const { options: read } = readCopy(`COPY orders TO STDOUT ${options}`);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(value, { minLength: 2, maxLength: 2 }), { maxLength: 6 }), async (rows) => {
      await expectSame(rows, { columns: ['a,"', 'b'], options, read });
    }),
    { numRuns: 40 },
  );
});

test.each(optionLists.filter((options) => !options.includes('(b)')))('a single column: COPY %s', async (options) => {
  const { options: read } = readCopy(`COPY orders TO STDOUT ${options}`);
  const rows = [['\\.'], ['\\N'], [''], [null], ['NIL'], ['\\.x']];
  await expectSame(rows, { columns: ['\\.'], options, read });
});

async function expectSame(
  rows: readonly (readonly (string | null)[])[],
  { columns, options, read }: { columns: readonly string[]; options: string; read: Parameters<typeof copyEncoder>[0] },
): Promise<void> {
  const encoder = copyEncoder(read, columns);
  const written = encoder.header() + rows.map((row) => encoder.row(row)).join('');
  const names = columns.map((column) => client.escapeIdentifier(column));
  const lines = rows.map((row) => `(${row.map((item) => (item === null ? 'NULL' : client.escapeLiteral(item))).join(', ')})`);
  const empty = `SELECT ${names.map((name) => `''::text AS ${name}`).join(', ')} WHERE false`;
  const query = rows.length === 0 ? empty : `SELECT * FROM (VALUES ${lines.join(', ')}) AS v (${names.join(', ')})`;
  expect(written).toBe((await plainCopyOut(client, `COPY (${query}) TO STDOUT ${options}`)).toString());
}
