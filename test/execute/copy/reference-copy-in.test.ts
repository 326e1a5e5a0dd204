import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { referenceCopyIn } from '../../../src/execute/copy/reference-copy-in.ts';
import type { ReferenceCopyIn } from '../../../src/execute/copy/reference-copy-in.ts';
import type { CopySource } from '../../../src/execute/copy/copy-source.ts';
import { loadGrammar } from '../../../src/sql/parse.ts';
import { createCopyCluster, readCopy, withTableName } from './copy-cluster.ts';
import type { CopyCluster } from './copy-cluster.ts';
import { failed, plainCopyIn, plainCopyOut } from './plain-copy.ts';
import type { CopyOutcome } from './plain-copy.ts';

let cluster: CopyCluster;

beforeAll(async () => {
  await loadGrammar();
  cluster = await createCopyCluster({
    definition: "(id integer DEFAULT nextval('ids'), note text, mark uuid DEFAULT gen_random_uuid())",
    columns: [
      { name: 'id', type: { oid: 23, modifier: -1, sql: 'integer' }, default: { kind: 'sequence', sequence: 'ids' } },
      { name: 'note' },
      { name: 'mark', default: { kind: 'expression', sql: 'gen_random_uuid()', volatility: 'volatile' } },
    ],
    distributionColumn: 'id',
  });
});

afterAll(() => cluster[Symbol.asyncDispose]());

async function run(sql: string, source: CopySource, more: Partial<ReferenceCopyIn> = {}): Promise<CopyOutcome> {
  const transaction = cluster.begin();
  try {
    const count = await referenceCopyIn(source, {
      copy: readCopy(sql),
      table: cluster.reference,
      holders: cluster.nodes,
      transaction,
      defaults: cluster.defaults,
      serverVersion: cluster.serverVersion,
      translateError: withTableName,
      ...more,
    });
    await transaction.commit();
    return { kind: 'rows', count };
  } catch (error) {
    await transaction.rollback();
    return failed(error);
  }
}

test('every copy gets the same rows, added values too', async () => {
  expect(await run('COPY rates (note) FROM STDIN CSV HEADER', 'note\n"a\nb"\nc\n')).toEqual({ kind: 'rows', count: 2 });
  const mark = '00000000-0000-0000-0000-000000000001';
  expect(await run('COPY rates FROM STDIN', `7\tx\t${mark}\n`)).toEqual({ kind: 'rows', count: 1 });
  const copies = await cluster.referenceRows();
  expect(copies).toHaveLength(3);
  expect(new Set(copies.map((rows) => rows.join(';'))).size).toBe(1);
  expect(copies[0]?.map((row) => row.replace(/,[^,]{36}\)/, ')'))).toEqual(['(1,"a\nb")', '(2,c)', '(7,x)']);
});

test('binary rows get their integers', async () => {
  const sql = `COPY (VALUES ('p', '00000000-0000-0000-0000-000000000002'::uuid)) TO STDOUT BINARY`;
  const binary = await plainCopyOut(cluster.coordinator, sql);
  expect(await run('COPY rates (note, mark) FROM STDIN BINARY', binary)).toEqual({ kind: 'rows', count: 1 });
  expect((await cluster.referenceRows()).map((rows) => rows.filter((row) => row.includes(',p,')).length)).toEqual([1, 1, 1]);
  expect(await run('COPY rates (note) FROM STDIN BINARY', binary)).toMatchObject({ code: '0A000' });
});

test.each([
  ['COPY rates FROM STDIN', '1\tx\t\\N\n2\n'],
  ['COPY rates (note) FROM STDIN CSV HEADER', 'note\na\nb,c\n'],
  ['COPY rates (note) FROM STDIN (FORMAT csv, HEADER match)', 'note2\na\n'],
])('a bad line: %s', async (sql, input) => {
  const before = await cluster.referenceRows();
  const expected = await plainCopyIn(cluster.coordinator, sql, Buffer.from(input));
  expect(await run(sql, input)).toEqual(expected);
  expect(await cluster.referenceRows()).toEqual(before);
});

test('an abort while the source is silent', async () => {
  const controller = new AbortController();
  const silent = new Readable({ read: () => undefined });
  silent.push('1\tx\t\\N\n');
  setImmediate(() => controller.abort());
  expect(await run('COPY rates FROM STDIN', silent, { signal: controller.signal })).toMatchObject({ code: '57014' });
  expect(silent.destroyed).toBe(true);
});
