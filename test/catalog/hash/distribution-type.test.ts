import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { present } from '../../../src/base/assert.ts';
import { distributionType, type DistributionType } from '../../../src/catalog/hash/distribution-type.ts';
import { Random } from '../../oracle/random.ts';
import { createTestDatabases, type TestDatabases } from '../../support/test-databases.ts';
import { valueSamples } from './value-samples.ts';

const seed = Number(process.env['SEED'] ?? 20_240_229);
const valuesPerType = 100_000;
const valuesPerBatch = 25_000;

/** What the server shows instead of `v::text`, where that is not the canonical text. */
const serverText: Readonly<Record<string, string>> = {
  numeric: 'pg_catalog.trim_scale(v)::text',
  boolean: "CASE WHEN v THEN 't' ELSE 'f' END",
  real: '(CASE WHEN v = 0 THEN 0 ELSE v END)::text',
  'double precision': '(CASE WHEN v = 0 THEN 0 ELSE v END)::text',
  inet: "format('%s', v)",
  interval: '(v = c::interval)::text', // It keeps no canonical text, but can tell whether ours is equal.
};

let databases: readonly TestDatabases[];
let clients: readonly Client[];

beforeAll(async () => {
  databases = await Promise.all(([15, 18] as const).map((major) => createTestDatabases({ major, nodes: 0 })));
  clients = await Promise.all(databases.map(({ coordinator }) => connect(coordinator.connectionString)));
});

afterAll(async () => {
  await Promise.all(clients.map((client) => client.end()));
  await Promise.all(databases.map((each) => each.drop()));
});

test.each(Object.keys(valueSamples))(`%s: hashes and canonical texts are the servers', seed ${seed}`, async (name) => {
  const random = new Random(seed);
  const samples = present(valueSamples[name]);
  const type = present(distributionType(name));
  for (let done = 0; done < valuesPerType; done += valuesPerBatch) {
    const texts = Array.from({ length: valuesPerBatch }, (_, index) => samples.boundaries[done + index] ?? samples.random(random));
    const here = texts.map((text, index) => readHere(type, text, index));
    for (const server of await Promise.all(clients.map((client) => askServer(client, type, texts, here)))) {
      const mismatch = here.findIndex(({ answer }, index) => answer !== server[index]);
      if (mismatch >= 0) expect(here[mismatch]?.answer, JSON.stringify(texts[mismatch])).toBe(server[mismatch]);
    }
  }
});

test.each(Object.keys(valueSamples))('%s: what a server prints is read, whatever its TimeZone; the hash expression is immutable', async (name) => {
  const random = new Random(seed + 1);
  const samples = present(valueSamples[name]);
  const type = present(distributionType(name));
  const texts = [...samples.boundaries, ...Array.from({ length: 1000 }, () => samples.random(random))];
  for (const client of clients) {
    for (const timeZone of ['Asia/Kathmandu', 'America/New_York', 'UTC']) {
      await client.query(`SET TimeZone = '${timeZone}'`);
      const { rows } = await client.query<{ hash: string; printed: string }>(
        `SELECT ${type.hashSql('v')} AS hash, v AS printed FROM (SELECT s::${type.castName} AS v FROM unnest($1::text[]) s OFFSET 0) q`,
        [texts],
      );
      const mismatch = rows.find(({ hash, printed }) => type.hashOf(printed, 'postgres') !== Number(hash));
      if (mismatch !== undefined) expect(type.hashOf(mismatch.printed, 'postgres'), mismatch.printed).toBe(Number(mismatch.hash));
    }
    await client.query(`CREATE TABLE checked (v ${type.castName} CHECK (${type.hashSql('v')} BETWEEN -2147483648 AND 2147483647))`);
    await client.query(`CREATE INDEX ON checked ((${type.hashSql('v')}))`);
    await client.query('DROP TABLE checked');
  }
});

async function connect(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString, types: { getTypeParser: (oid: number) => (oid === jsonOid ? parseAnswers : String) } });
  await client.connect();
  await client.query("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'");
  return client;
}

/** The answers travel as one JSON array. */
const jsonOid = 114;

function parseAnswers(json: string): unknown {
  return JSON.parse(json);
}

interface Reading {
  readonly canonical: string;
  /** Hash and canonical text as the server shows it. */
  readonly answer: string;
}

function readHere(type: DistributionType, text: string, index: number): Reading {
  const value = type.canonical(text);
  if (value.kind !== 'canonical') return { canonical: text, answer: value.kind };
  const hash = type.hashOf(text, 'postgres');
  const isSampled = index < 100 || index % 16 === 0;
  if (isSampled && hash !== type.hash(value.text, 'postgres')) return { canonical: value.text, answer: 'hashOf and hash disagree' };
  return { canonical: value.text, answer: `${hash} ${type.name === 'interval' ? 'true' : value.text}` };
}

async function askServer(client: Client, type: DistributionType, texts: readonly string[], here: readonly Reading[]): Promise<string[]> {
  const { rows } = await client.query<{ answers: string[] }>(
    `SELECT json_agg((${type.hashSql('v')})::text || ' ' || ${serverText[type.name] ?? 'v::text'} ORDER BY n) AS answers
     FROM (SELECT s::${type.castName} AS v, n, c FROM unnest($1::text[], $2::text[]) WITH ORDINALITY u(s, c, n) OFFSET 0) q`,
    [texts, type.name === 'interval' ? here.map(({ canonical }) => canonical) : null],
  );
  return present(rows[0]).answers;
}
