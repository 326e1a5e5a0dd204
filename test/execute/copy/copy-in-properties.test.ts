import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadGrammar } from '../../../src/sql/parse.ts';
import { shardedCopyIn } from '../../../src/execute/copy/sharded-copy-in.ts';
import { createCopyCluster, readCopy, withTableName } from './copy-cluster.ts';
import type { CopyCluster } from './copy-cluster.ts';
import { failed, plainCopyIn } from './plain-copy.ts';
import type { CopyOutcome } from './plain-copy.ts';

/**
 * Whatever the bytes are, the cluster takes the rows that one server takes, or fails. With one shard the first bad line is the one
 * reported, so that the errors can be compared too.
 */

const sizes = [
  { major: 15, shards: 1 },
  { major: 18, shards: 1 },
  { major: 18, shards: 3 },
] as const;

const clusters = new Map<string, CopyCluster>();

beforeAll(async () => {
  await loadGrammar();
  for (const { major, shards } of sizes) {
    clusters.set(
      `${major}/${shards}`,
      await createCopyCluster({
        major,
        nodes: Math.min(shards, 2),
        shards,
        definition: '(a text, b text NOT NULL)',
        columns: [{ name: 'a' }, { name: 'b' }],
        distributionColumn: 'b',
      }),
    );
  }
});

afterAll(async () => {
  for (const cluster of clusters.values()) await cluster[Symbol.asyncDispose]();
});

const soup = (parts: readonly string[]): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(...parts), { maxLength: 24 }).map((chosen) => chosen.join(''));

const textParts = ['a', 'xy', 'é', '\t', '\t', '\n', 'q\tr\n', '1\t2\n', '\\', '\\.', '\\.\n', '\\N', '\\\\', '\\t', '\\101', '\\x4', '\r', '\r\n', '|'];
const csvParts = ['a', 'xy', 'é', ',', ',', '\n', 'q,r\n', '1,2\n', '"', '"', '"a\nb"', '"x""y",', "'", '\\', '\\.\n', '\r', '\r\n', 'NIL', '"NIL"'];

const cases = [
  { options: '', parts: textParts },
  { options: "(DELIMITER '|', NULL '')", parts: textParts },
  { options: 'CSV', parts: csvParts },
  { options: 'CSV HEADER', parts: csvParts },
  { options: "(FORMAT csv, NULL 'NIL', ESCAPE '''', FORCE_NULL (b))", parts: csvParts },
  { options: "(FORMAT csv, NULL 'NIL', ESCAPE E'\\\\', FORCE_NOT_NULL (b))", parts: csvParts },
  { options: "(FORMAT csv, HEADER match, QUOTE '''')", parts: [...csvParts, 'a,b\n'] },
] as const;

for (const { major, shards } of sizes) {
  test.each(cases)(`version ${major}, ${shards} shards: COPY $options of any bytes`, async ({ options, parts }) => {
    const cluster = clusters.get(`${major}/${shards}`);
    if (cluster === undefined) throw new Error('no cluster');
    await fc.assert(
      fc.asyncProperty(soup(parts), fc.integer({ min: 1, max: 7 }), async (input, pieceBytes) => {
        await cluster.clear();
        const bytes = Buffer.from(input);
        const plain = await plainCopyIn(cluster.coordinator, `COPY plain.orders FROM STDIN ${options}`, bytes);
        const sharded = await shardedOutcome(cluster, `COPY orders FROM STDIN ${options}`, inPieces(bytes, pieceBytes));
        if (shards === 1) expect(sharded).toEqual(plain);
        else expect(sharded.kind).toBe(plain.kind);
        expect(await cluster.shardRows()).toEqual(await cluster.plainRows());
      }),
      // The example: a carriage return within quotes, in the first row that a shard's server sees.
      { numRuns: Number(process.env['COPY_RUNS'] ?? 60), examples: [['""a\nb"\r\n"a\nb"', 1]] },
    );
  });
}

function* inPieces(bytes: Buffer, length: number): Generator<Buffer> {
  for (let start = 0; start < bytes.length; start += length) yield bytes.subarray(start, start + length);
}

async function shardedOutcome(cluster: CopyCluster, sql: string, source: Iterable<Buffer>): Promise<CopyOutcome> {
  const transaction = cluster.begin();
  try {
    const count = await shardedCopyIn(source, {
      copy: readCopy(sql),
      table: cluster.table,
      shards: cluster.shards,
      transaction,
      shardOf: (value) => Buffer.from(String(value)).reduce((sum, byte) => sum + byte, 0) % cluster.shards.length,
      defaults: cluster.defaults,
      serverVersion: cluster.serverVersion,
      translateError: withTableName,
    });
    await transaction.commit();
    return { kind: 'rows', count };
  } catch (error) {
    await transaction.rollback();
    return failed(error);
  }
}
