import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { present } from '../../../src/base/assert.ts';
import { distributionType, type DistributionType } from '../../../src/catalog/hash/distribution-type.ts';
import { Random } from '../../oracle/random.ts';
import { createTestDatabases, type TestDatabases } from '../../support/test-databases.ts';
import { valueSamples } from './value-samples.ts';

const seed = Number(process.env['SEED'] ?? 20_240_229);
const valuesPerType = 100_000;
const valuesPerBatch = 25_000;

/** Texts that `::text` of the server prints otherwise than the canonical text. */
const serverText: Readonly<Record<string, (sql: string) => string>> = {
  numeric: (sql) => `pg_catalog.trim_scale(${sql})::text`,
  boolean: (sql) => `CASE WHEN ${sql} THEN 't' ELSE 'f' END`,
  real: (sql) => `(CASE WHEN ${sql} = 0 THEN 0 ELSE ${sql} END)::text`,
  'double precision': (sql) => `(CASE WHEN ${sql} = 0 THEN 0 ELSE ${sql} END)::text`,
  inet: (sql) => `format('%s', ${sql})`,
};

describe.each([15, 18] as const)('on PostgreSQL %i', (major) => {
  let databases: TestDatabases;
  let client: Client;

  beforeAll(async () => {
    databases = await createTestDatabases({ major, nodes: 0 });
    client = new Client(databases.coordinator.connectionString);
    await client.connect();
    await client.query("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'");
  });

  afterAll(async () => {
    await client.end();
    await databases.drop();
  });

  test.each(Object.keys(valueSamples))(`%s: hashes and canonical texts are the server's, seed ${seed}`, async (name) => {
    const random = new Random(seed);
    const samples = present(valueSamples[name]);
    const type = present(distributionType(name));
    for (let done = 0; done < valuesPerType; done += valuesPerBatch) {
      const texts = Array.from({ length: valuesPerBatch }, (_, index) => samples.boundaries[done + index] ?? samples.random(random));
      const server = await askServer(client, type, texts);
      const mismatch = texts.findIndex((text, index) => describeHere(type, text) !== server[index]);
      if (mismatch >= 0) expect(describeHere(type, texts[mismatch]), JSON.stringify(texts[mismatch])).toBe(server[mismatch]);
    }
  });

  test.each(Object.keys(valueSamples))('%s: what the server prints is read, and the hash expression is immutable', async (name) => {
    const random = new Random(seed + 1);
    const samples = present(valueSamples[name]);
    const type = present(distributionType(name));
    const texts = [...samples.boundaries, ...Array.from({ length: 2000 }, () => samples.random(random))];
    for (const timeZone of ['UTC', 'Asia/Kathmandu', 'America/New_York']) {
      await client.query(`SET TimeZone = '${timeZone}'`);
      const { rows } = await client.query<{ hash: number; printed: string }>({
        text: `SELECT (${type.hashSql('v')})::int4 AS hash, v AS printed FROM (SELECT s::${type.castName} AS v FROM unnest($1::text[]) s OFFSET 0) q`,
        values: [texts],
        types: { getTypeParser: (oid: number) => (text: string) => (oid === 23 ? Number(text) : text) },
      });
      for (const { hash, printed } of rows) expect(type.hashOf(printed, 'postgres'), printed).toBe(hash);
    }
    await client.query("SET TimeZone = 'UTC'");
    await client.query(`CREATE TABLE checked (v ${type.castName} CHECK (${type.hashSql('v')} BETWEEN -2147483648 AND 2147483647))`);
    await client.query(`CREATE INDEX ON checked ((${type.hashSql('v')}))`);
    await client.query('DROP TABLE checked');
  });
});

/** The server's hash and canonical text of each, as `describeHere` gives them. */
async function askServer(client: Client, type: DistributionType, texts: readonly string[]): Promise<(string | undefined)[]> {
  const print = serverText[type.name] ?? ((sql: string) => `(${sql})::text`);
  const answer = `(${type.hashSql('v')})::text || ' ' || ${type.name === 'interval' ? "'=' || (v = c::interval)" : print('v')}`;
  const { rows } = await client.query<{ answers: string[] }>(
    `SELECT array_agg(${answer} ORDER BY n) AS answers
     FROM (SELECT s::${type.castName} AS v, n, c FROM unnest($1::text[], $2::text[]) WITH ORDINALITY u(s, c, n) OFFSET 0) q`,
    [texts, texts.map((text) => canonicalText(type, text))],
  );
  return present(rows[0]).answers;
}

function describeHere(type: DistributionType, text: string | undefined): string {
  const canonical = canonicalText(type, text);
  const hash = type.hashOf(text, 'postgres');
  if (hash !== type.hash(canonical, 'postgres')) return `${text}: hashOf and hash disagree`;
  return `${hash} ${type.name === 'interval' ? '=true' : canonical}`;
}

function canonicalText(type: DistributionType, text: string | undefined): string {
  const value = type.canonical(text);
  return value.kind === 'canonical' ? value.text : `${value.kind}: ${text}`;
}
