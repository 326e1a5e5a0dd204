import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BinaryFieldDecoder } from '../../../src/execute/copy/binary-field-decoder.ts';
import { BinaryScanner } from '../../../src/execute/copy/binary-scanner.ts';
import { emptyBatch } from '../../../src/execute/copy/row-batch.ts';
import { createTestDatabases } from '../../support/test-databases.ts';
import type { TestDatabases } from '../../support/test-databases.ts';
import { plainCopyOut } from './plain-copy.ts';

let databases: TestDatabases;
let client: Client;

beforeAll(async () => {
  databases = await createTestDatabases({ nodes: 0 });
  client = new Client(databases.coordinator.connectionString);
  await client.connect();
  await client.query("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'");
});

afterAll(async () => {
  await client.end();
  await databases.drop();
});

test.each([
  ['bigint', ['0', '-1', '9223372036854775807', '-9223372036854775808']],
  ['integer', ['0', '-2147483648', '2147483647']],
  ['smallint', ['-32768', '32767']],
  ['oid', ['0', '4294967295']],
  ['boolean', ['t', 'f']],
  ['text', ['', 'é😀', 'a\tb']],
  ['varchar(9)', ['abc']],
  ['char(5)', ['ab']],
  ['name', ['ab']],
  ['"char"', ['a', '']],
  ['bytea', ['\\x', '\\x00ff']],
  ['uuid', ['01234567-89ab-cdef-0123-456789abcdef']],
  ['real', ['1.5', '1e-07', 'NaN', '-Infinity', '-0', '3.4028235e+38']],
  ['double precision', ['0.1', '1e23', 'NaN', 'Infinity', '5e-324']],
  ['date', ['2024-02-29', '0001-01-01 BC', '5874897-12-31', 'infinity', '-infinity']],
  ['time', ['00:00:00', '24:00:00', '12:34:56.7']],
  ['timestamp', ['2024-02-29 01:02:03.000004', '4713-11-24 00:00:00 BC', 'infinity', '-infinity', '1999-12-31 23:59:59.999999']],
  ['timestamptz', ['2024-02-29 01:02:03.5+00', '294276-12-31 23:59:59.999999+00', 'infinity']],
  ['numeric', ['0', '0.00', '-1.50', '10000', '0.0001', '0.00001230', '123456789012345678901234567890.12345', 'NaN', 'Infinity', '-Infinity', '1e20']],
])('%s', async (type, values) => {
  const list = values.map((value) => client.escapeLiteral(value)).join(', ');
  const oid = Number((await client.query<{ oid: number }>(`SELECT '${type}'::regtype::oid AS oid`)).rows[0]?.oid);
  const expected = await client.query<{ text: string }>({
    text: `SELECT format('%s', v::${type}) AS text FROM unnest(ARRAY[${list}]) AS v`,
  });
  const batch = emptyBatch();
  batch.bytes = await plainCopyOut(client, `COPY (SELECT 1, v::${type} FROM unnest(ARRAY[${list}]) AS v) TO STDOUT BINARY`);
  new BinaryScanner(1).scan(batch, 0, true);
  const decoder = new BinaryFieldDecoder(oid, type);
  const decoded = values.map((_, i) => decoder.decode(batch.bytes, batch.valueStarts[i] ?? -1, batch.valueEnds[i] ?? -1));
  expect(decoded).toEqual(expected.rows.map(({ text }) => text));
});

test('other types are refused, a wrong length is no value', () => {
  expect(() => new BinaryFieldDecoder(114, 'json')).toThrow(/distributed by type json/);
  expect(new BinaryFieldDecoder(23, 'integer').decode(Buffer.from([1, 2]), 0, 2)).toBe('');
});
