import { Client } from 'pg';
import murmurhash from 'murmurhash';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { present } from '../../../src/base/assert.ts';
import { distributionType, type DistributionType } from '../../../src/catalog/hash/distribution-type.ts';
import { parameterText } from '../../../src/catalog/hash/parameter-text.ts';
import { Random } from '../../oracle/random.ts';
import { createTestDatabases, type TestDatabases } from '../../support/test-databases.ts';
import { valueSamples } from './value-samples.ts';

const seed = Number(process.env['SEED'] ?? 20_240_305);

/** Each way to give one value, and its canonical text. */
const sameValues: readonly (readonly [type: string, canonical: string, values: readonly unknown[]])[] = [
  ['bigint', '42', [42, 42n, '42', ' 42 ', '+42', '0042', '42\n', { toPostgres: () => '42' }]],
  ['bigint', '9007199254740993', ['9007199254740993', 9_007_199_254_740_993n, '+0009007199254740993']],
  ['bigint', '0', [0, -0, 0n, '-0', '+0']],
  ['integer', '-7', [-7, -7n, '-7', '-007', { toPostgres: () => ({ toPostgres: () => -7 }) }]],
  ['numeric', '1', [1, 1n, '1', '1.0', '1.00', '1e0', '10e-1', '+1.', '01.0']],
  ['numeric', '0.1', [0.1, '.1', '0.10', '1e-1']],
  ['numeric', '1000000000000000000000', [1e21, '1e21', 10n ** 21n]],
  ['double precision', '0', [0, -0, '-0', '0.0', '-0e5']],
  ['real', '0.1', [0.1, '0.1', '0.10000000149']],
  ['uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', ['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{a0eebc999c0b4ef8bb6d6bb9bd380a11}']],
  ['character', 'ab', ['ab', 'ab  ', 'ab        ', Buffer.from('ab ')]],
  ['text', 'ä', ['ä', Buffer.from('ä')]],
  ['text', '42', [42, 42n, '42']],
  ['text', '{"a":1}', [{ a: 1 }, '{"a":1}']],
  ['text', 'true', [true]],
  ['boolean', 't', [true, 't', 'TRUE', ' yes ', 'on', 1, '1']],
  ['boolean', 'f', [false, 'f', 'no', 'of', 0]],
  ['bytea', '\\x6162', [Buffer.from('ab'), new Uint8Array([0x61, 0x62]), '\\x6162', '\\x 61 62', 'ab', '\\141b', new Uint16Array([0x6261])]],
  ['date', '2024-02-29', ['2024-02-29', ' 2024-02-29 ', '2024-02-29T23:59:59.999-11:00', new Date(2024, 1, 29, 23, 59)]],
  ['timestamp without time zone', '2024-02-29 23:59:00', ['2024-02-29 23:59', '2024-02-29T23:59:00.000+05:00', new Date(2024, 1, 29, 23, 59)]],
  ['timestamp with time zone', '2024-02-29 23:59:00.5+00', [new Date(Date.UTC(2024, 1, 29, 23, 59, 0, 500)), '2024-03-01 01:59:00.5+02']],
  ['interval', '1 day', ['1 day', '24:00:00', '23 days -528:00:00']],
  ['interval', '30 days', ['1 mon', '30 days', '720:00:00']],
  ['inet', '10.0.0.1', ['10.0.0.1', '10.0.0.1/32']],
];

const needServer: readonly (readonly [type: string, values: readonly unknown[]])[] = [
  ['bigint', ['0x2a', '1_000', [1], Buffer.from([0, 0, 0, 0, 0, 0, 0, 1]), Symbol('x'), new Date(Number.NaN)]],
  ['date', ['today', 'now', '29.02.2024', '02/29/2024', 'Feb 29 2024', '20240229', '2024-02-30', '0000-01-01', 'J2451187']],
  ['timestamp with time zone', ['2024-02-29 10:00', 'now', '2024-02-29 10:00 Europe/Berlin', '2024-02-29 24:00+00', '2024-02-29 10:00:00.1234567+00']],
  ['timestamp without time zone', ['tomorrow', '2024-02-29 23:59:60']],
  ['time without time zone', ['now', '10:00 PM', '1000']],
  ['time with time zone', ['10:00']],
  ['interval', ['1 week', 'P1D', '1 day ago', '-1 days 02:00:00', '90 minutes']],
  ['cidr', ['10', '10.1', '192.168.1.7/24']],
  ['macaddr', ['08002b:010203', '0800.2b01.0203']],
  ['numeric', ['0x1f', '1_000', `1e${10 ** 5}`]],
];

const refused: readonly (readonly [type: string, values: readonly string[]])[] = [
  ['bigint', ['', ' ', 'abc', '1.5', '1e3', '9223372036854775808', '-9223372036854775809', '4 2', '--1', 'NaN']],
  ['integer', ['2147483648', '-2147483649', '99999999999999999999']],
  ['smallint', ['32768', '-32769']],
  ['numeric', ['', 'abc', '1.2.3', '.', '1 2', '-', 'infinit']],
  ['double precision', ['1e400', '-1e400', '1e-400']],
  ['real', ['1e39', '1e-50']],
  ['uuid', ['', 'a0eebc99', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1', ' a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a-0eebc999c0b4ef8bb6d6bb9bd380a11', 'a0ee--bc999c0b4ef8bb6d6bb9bd380a11', 'a0eebc999c0b4ef8bb6d6bb9bd380a11-', '-a0eebc999c0b4ef8bb6d6bb9bd380a11', 'a0eebc999c0b4ef8bb6d6bb9bd380a111', 'ä0eebc999c0b4ef8bb6d6bb9bd380a11']],
  ['boolean', ['', 'o', 'maybe', '2', 'truee']],
  ['bytea', ['\\x1', '\\xzz', '\\9', 'a\\', '\\400', '\\x1 2']],
  ['pg_lsn', ['', '0', '1/', '/1', '123456789/0', 'x/0']],
];

const originalTimeZone = process.env['TZ'];
afterEach(() => {
  if (originalTimeZone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = originalTimeZone;
});

test.each(sameValues)('%s: one canonical text %s for all ways to write it', (name, canonical, values) => {
  const type = typeOf(name);
  for (const value of values) {
    expect(type.canonical(value), String(value)).toEqual({ kind: 'canonical', text: canonical });
    expect(type.hashOf(value, 'postgres'), String(value)).toBe(type.hash(canonical, 'postgres'));
    expect(type.hashOf(value, 'murmur3'), String(value)).toBe(murmurhash.v3(canonical, 0) | 0);
  }
});

test.each(needServer)('%s: what only a server can read', (name, values) => {
  for (const value of values) {
    expect(typeOf(name).canonical(value), String(value)).toEqual({ kind: 'needs_server' });
    expect(typeOf(name).hashOf(value, 'postgres'), String(value)).toBeUndefined();
  }
});

test('a session in UTC lends its offset', () => {
  const type = typeOf('timestamp with time zone');
  expect(type.canonical('2024-02-29 10:00', { timeZone: 'UTC' })).toEqual({ kind: 'canonical', text: '2024-02-29 10:00:00+00' });
  expect(type.canonical('2024-02-29 10:00', { timeZone: 'Europe/Berlin' })).toEqual({ kind: 'needs_server' });
});

test('types that cannot be distribution columns', () => {
  for (const name of ['jsonb', 'json', 'money', 'bit', 'bit varying', 'xml', 'integer[]', 'public.mood', 'int4range']) expect(distributionType(name)).toBeUndefined();
  expect(typeOf('character').castName).toBe('bpchar');
});

describe.each([15, 18] as const)('on PostgreSQL %i', (major) => {
  let databases: TestDatabases;
  let client: Client;

  beforeAll(async () => {
    databases = await createTestDatabases({ major, nodes: 0 });
    client = new Client({ connectionString: databases.coordinator.connectionString, types: { getTypeParser: () => String } });
    await client.connect();
  });

  afterAll(async () => {
    await client.end();
    await databases.drop();
  });

  test.each(refused)('%s: what is called invalid is refused by the server', async (name, values) => {
    for (const value of values) {
      expect(typeOf(name).canonical(value), value).toEqual({ kind: 'invalid' });
      await expect(client.query(`SELECT $1::${typeOf(name).castName}`, [value]), value).rejects.toThrow(/invalid|out of range/);
    }
  });

  test('the text of a parameter is what the driver sends', async () => {
    for (const timeZone of ['UTC', 'America/St_Johns', 'Asia/Kathmandu', 'Europe/Dublin', 'Pacific/Apia']) {
      process.env['TZ'] = timeZone;
      const dates = ['2024-03-31T01:30:00Z', '1970-01-01T00:00:00.001Z', '-000043-03-15T12:00:00Z', '0000-06-01T00:00:00Z', '+012345-01-01T00:00:00Z', '1890-01-01T00:00:00Z'];
      const chained = { toPostgres: () => ({ toPostgres: () => new Date(0) }) };
      const values = [...dates.map((date) => new Date(date)), 1.5, 1e21, -0, 2n ** 70n, false, 'text', { a: [1, null] }, chained, { toPostgres: () => '7' }];
      for (const value of values) {
        const { rows } = await client.query<{ sent: string }>('SELECT $1::text AS sent', [value]);
        expect(parameterText(value), `in ${timeZone}`).toBe(rows[0]?.sent);
      }
    }
  });

  test.each(['date', 'timestamp with time zone', 'timestamp without time zone'])('%s: Date objects are placed as the server reads them', async (name) => {
    const random = new Random(seed);
    for (const timeZone of ['UTC', 'America/St_Johns', 'Asia/Kathmandu']) {
      process.env['TZ'] = timeZone;
      for (let index = 0; index < 100; index += 1) {
        const date = new Date(random.int(-(2 ** 31), 2 ** 31 - 1) * 40_000 + random.int(0, 999));
        const { rows } = await client.query<{ hash: string }>(`SELECT ${typeOf(name).hashSql(`$1::${name}`)} AS hash`, [date]);
        expect(typeOf(name).hashOf(date, 'postgres'), date.toISOString()).toBe(Number(rows[0]?.hash));
      }
    }
  });

  test.each([
    ['character varying', '(3)'],
    ['character', '(3)'],
    ['numeric', '(6,2)'],
    ['numeric', '(3,-2)'],
    ['numeric', '(4,6)'],
    ['timestamp without time zone', '(0)'],
    ['timestamp without time zone', '(4)'],
    ['timestamp with time zone', '(3)'],
    ['time without time zone', '(2)'],
    ['time with time zone', '(0)'],
  ])('%s%s: assigned values are rounded, cut or refused as the server does', async (name, modifierSql) => {
    const type = typeOf(name);
    await client.query(`DROP TABLE IF EXISTS assigned; CREATE TABLE assigned (v ${withModifier(name, modifierSql)})`);
    const { rows } = await client.query<{ modifier: string }>("SELECT atttypmod AS modifier FROM pg_attribute WHERE attrelid = 'assigned'::regclass AND attnum = 1");
    const modifier = Number(present(rows[0]).modifier);
    const random = new Random(seed);
    const samples = present(valueSamples[name]);
    const extra = ['abc  ', 'äö€   ', 'abcd', '1.005', '-1.005', '9999.994', '9999.995', '0.0000005', '99950', '1e4', '23:59:59.999999', '23:59:59.999999+01'];
    for (const value of [...samples.boundaries, ...extra, ...Array.from({ length: 200 }, () => samples.random(random))]) {
      const stored = await insertedHash(client, type, value);
      const canonical = type.canonical(value, { modifier });
      if (canonical.kind !== 'needs_server') expect(canonical.kind, value).toBe(stored === undefined ? 'invalid' : 'canonical');
      if (canonical.kind === 'canonical') expect(type.hashOf(value, 'postgres', { modifier }), value).toBe(stored);
    }
  });
});

/** Undefined when the server refuses the value. */
async function insertedHash(client: Client, type: DistributionType, value: string): Promise<number | undefined> {
  try {
    const { rows } = await client.query<{ hash: string }>(`INSERT INTO assigned VALUES ($1) RETURNING ${type.hashSql('v')} AS hash`, [value]);
    return Number(rows[0]?.hash);
  } catch {
    return undefined; // The test compares this with what is expected.
  }
}

/** The modifier of a time type stands before its zone. */
function withModifier(name: string, modifierSql: string): string {
  return name.replace(/^(\w+)(?= with)|$/, `$1${modifierSql}`).replace(/(\(.*\).*)\(.*\)$/, '$1');
}

function typeOf(name: string): DistributionType {
  return present(distributionType(name), name);
}
