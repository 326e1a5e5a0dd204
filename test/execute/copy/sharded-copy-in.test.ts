import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ShardedCopyIn } from '../../../src/execute/copy/sharded-copy-in.ts';
import { shardedCopyIn } from '../../../src/execute/copy/sharded-copy-in.ts';
import type { CopySource } from '../../../src/execute/copy/copy-source.ts';
import { refuseSpreadOptions } from '../../../src/execute/copy/copy-statement.ts';
import { loadGrammar } from '../../../src/sql/parse.ts';
import { createCopyCluster, readCopy, withTableName } from './copy-cluster.ts';
import type { CopyCluster } from './copy-cluster.ts';
import { failed, plainCopyIn, plainCopyOut } from './plain-copy.ts';
import type { CopyOutcome } from './plain-copy.ts';

const int4 = { oid: 23, modifier: -1, sql: 'integer' };

let cluster: CopyCluster;

beforeAll(async () => {
  await loadGrammar();
  cluster = await createCopyCluster({
    definition: '(id integer NOT NULL, note text, qty integer CHECK (qty < 1000))',
    columns: [{ name: 'id', type: int4 }, { name: 'note' }, { name: 'qty', type: int4 }],
    distributionColumn: 'id',
  });
});

afterAll(() => cluster[Symbol.asyncDispose]());
beforeEach(() => cluster.clear());

async function run(sql: string, source: CopySource, more: Partial<ShardedCopyIn> = {}): Promise<CopyOutcome> {
  return outcomeOf(cluster, { sql, source, more });
}

async function outcomeOf(
  from: CopyCluster,
  { sql, source, more = {} }: { sql: string; source: CopySource; more?: Partial<ShardedCopyIn> },
): Promise<CopyOutcome> {
  const { table, shards, defaults, serverVersion } = from;
  const transaction = from.begin();
  try {
    const count = await shardedCopyIn(source, {
      copy: readCopy(sql),
      table,
      shards,
      transaction,
      shardOf: (value) => (/^\s*-?\d+\s*$/.test(String(value)) ? Math.abs(Number(value)) % shards.length : undefined),
      defaults,
      serverVersion,
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

/** The same COPY on one server. */
function plain(sql: string, input: Buffer): Promise<CopyOutcome> {
  return plainCopyIn(cluster.coordinator, sql.replace('COPY orders', 'COPY plain.orders'), input);
}

/** Lines of ids from `from` to before `to`. */
function good(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, i) => `${from + i}\tnote ${from + i}\t${i % 1000}\n`).join('');
}

async function* failingSource(): AsyncGenerator<string> {
  yield '1\tx\t1\n';
  throw new Error('disk is gone');
}

describe('rows', () => {
  test('go to their shards, in every format', async () => {
    expect(await run('COPY orders FROM STDIN', '1\tone\t10\n2\t\\N\t20\n5\ta\\tb\t\\N\n')).toEqual({ kind: 'rows', count: 3 });
    expect(await run('COPY orders (qty, id) FROM STDIN CSV HEADER', 'qty,id\n7,"9"\n')).toEqual({ kind: 'rows', count: 1 });
    await cluster.coordinator.query("INSERT INTO plain.orders VALUES (13, 'thirteen', 1), (4, NULL, 2)");
    const binary = await plainCopyOut(cluster.coordinator, 'COPY plain.orders TO STDOUT BINARY');
    expect(await run('COPY orders FROM STDIN BINARY', [binary])).toEqual({ kind: 'rows', count: 2 });
    expect(await cluster.rowsOf(0)).toEqual(['(4,,2)']);
    expect(await cluster.rowsOf(1)).toEqual(['(1,one,10)', '(13,thirteen,1)', '(5,"a\tb",)', '(9,,7)']);
    expect(await cluster.rowsOf(2)).toEqual(['(2,,20)']);
  });

  test('of any source', async () => {
    const sources: CopySource[] = [
      '1\té😀\t1\n',
      Buffer.from('2\té😀\t1\n'),
      ['3\té\ud83d', '\ude00\t1\n'],
      Readable.from([Buffer.from('4\té😀'), Buffer.from('\t1\n')]),
      (async function* () {
        yield '5\té😀\t1';
      })(),
    ];
    for (const source of sources) expect(await run('COPY orders FROM STDIN', source)).toEqual({ kind: 'rows', count: 1 });
    expect(await cluster.shardRows()).toEqual([1, 2, 3, 4, 5].map((id) => `(${id},é😀,1)`));
  });

  test('more than memory may hold, in many buffers, some rows larger than a buffer', async () => {
    const lines = Array.from({ length: 30_000 }, (_, id) => `${id}\t${'x'.repeat(id % 5000 === 0 ? 300_000 : id % 90)}\t${id % 1000}\n`);
    const input = Buffer.from(lines.join(''));
    expect(await run('COPY orders FROM STDIN', input, { memoryBytesMax: 200_000 })).toEqual({ kind: 'rows', count: 30_000 });
    expect(await plain('COPY orders FROM STDIN', input)).toEqual({ kind: 'rows', count: 30_000 });
    expect(await cluster.shardRows()).toEqual(await cluster.plainRows());
  });

  test('join only the nodes that get some', async () => {
    const transaction = cluster.begin();
    const count = await shardedCopyIn('1\tx\t1\n', {
      ...cluster,
      copy: readCopy('COPY orders FROM STDIN'),
      transaction,
      shardOf: () => 1,
      translateError: withTableName,
    });
    expect([count, transaction.nodes]).toEqual([1, [2]]);
    await transaction.rollback();
  });

  test('are placed by a value that has to be asked for', async () => {
    expect(await run('COPY orders FROM STDIN', '3\tx\t1\n2\ty\t2\n', { shardOf: async (value) => Number(value) % 4 })).toEqual({ kind: 'rows', count: 2 });
    expect(await cluster.rowsOf(3)).toEqual(['(3,x,1)']);
  });
});

describe('options', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['COPY orders FROM STDIN WHERE orders.id > 1 AND (public.orders.qty < 5)', '1\ta\t1\n2\tb\t2\n3\tc\t9\n'],
    ["COPY orders FROM STDIN DELIMITERS '|' NULL AS 'nix'", '1|nix|1\n'],
    ["COPY orders FROM STDIN (FORMAT csv, DELIMITER ';', QUOTE '''', NULL 'x', FORCE_NOT_NULL (note))", "1;x;x\n2;'a;b';3\n"],
    ['COPY orders FROM STDIN (HEADER match)', 'id\tnote\tqty\n1\ta\t2\n'],
    ['COPY orders (note, id) FROM STDIN (FORMAT csv, HEADER match)', '"note",id\nx,2\n'],
    ['COPY orders FROM STDIN (FORMAT csv, HEADER match)', 'id,note,qtyy\n1,a,2\n'],
    ['COPY orders FROM STDIN (FORMAT csv, HEADER match)', 'id,,qty\n1,a,2\n'],
    ['COPY orders FROM STDIN (HEADER match)', 'id\tnote\n1\ta\n'],
    ["COPY orders FROM STDIN (DEFAULT 'D')", '1\tD\tD\n'],
    ["COPY orders FROM STDIN (ENCODING 'utf-8')", '1\té\t1\n'],
    ['COPY orders FROM STDIN (ON_ERROR ignore)', '1\ta\tbad\nworse\tb\t2\n3\tc\t3\n'],
    ['COPY orders FROM STDIN', ''],
    ['COPY orders FROM STDIN BINARY', ''],
    ['COPY orders (id, id) FROM STDIN', '1\t1\n'],
    ['COPY orders (id, nosuch) FROM STDIN', '1\t1\n'],
    ['COPY orders FROM STDIN (FORMAT binary, HEADER)', ''],
    ["COPY orders FROM STDIN (DELIMITER 'ab')", ''],
    ["COPY orders FROM STDIN (FORMAT csv, DELIMITER ',', QUOTE ',')", ''],
    ["COPY orders FROM STDIN (FORMAT text, FORMAT csv)", ''],
    ["COPY orders FROM STDIN (QUOTE 'x')", ''],
    ['COPY orders FROM STDIN (FORMAT nosuch)', ''],
    ['COPY orders FROM STDIN (nosuch 1)', ''],
    ['COPY orders FROM STDIN (FORMAT csv, FORCE_NULL (nosuch))', ''],
    ['COPY orders FROM STDIN (FREEZE)', '1\ta\t1\n'],
    ['COPY orders FROM STDIN WHERE nosuch > 1', '1\ta\t1\n'],
  ];

  test.each(cases)('as on one server: %s', async (sql, input) => {
    const expected = await plain(sql.replaceAll('public.orders.', 'orders.'), Buffer.from(input));
    expect(await run(sql, input)).toEqual(expected);
    expect(await cluster.shardRows()).toEqual(await cluster.plainRows());
  });

  test('that several shards cannot keep are refused', async () => {
    expect(() => readCopy("COPY orders FROM '/tmp/x'")).toThrow(/cannot COPY .* a file on a server/);
    expect(() => readCopy("COPY orders TO PROGRAM 'cat'")).toThrow(/a program on a server/);
    expect(() => refuseSpreadOptions(readCopy("COPY orders FROM STDIN (ENCODING 'latin1')"))).toThrow(/in encoding "latin1"/);
    expect(() => refuseSpreadOptions(readCopy('COPY orders FROM STDIN (ON_ERROR ignore, REJECT_LIMIT 3)'))).toThrow(/limit the rejected rows/);
  });
});

describe('a bad line', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['of too few fields', 'COPY orders FROM STDIN', '20000\tx\n'],
    ['without the distribution column', 'COPY orders (note, qty, id) FROM STDIN', '20000\t1\n'],
    ['of too many fields', 'COPY orders FROM STDIN', '20000\tx\t1\t2\n'],
    ['with a bad value', 'COPY orders FROM STDIN', '20000\tx\tten\n'],
    ['with a bad distribution value', 'COPY orders FROM STDIN', 'x20000\tx\t1\n'],
    ['with a distribution value out of range', 'COPY orders FROM STDIN', '99999999999\tx\t1\n'],
    ['without a distribution value', 'COPY orders FROM STDIN', '\\N\tx\t1\n'],
    ['against a constraint', 'COPY orders FROM STDIN', '20000\tx\t1000\n'],
    ['with a stray line end', 'COPY orders FROM STDIN', '20000\tx\r\t1\n'],
    ['of bytes that are no UTF-8', 'COPY orders FROM STDIN', '20000\t\xff\t1\n'],
  ];

  test.each(cases)('%s is told as on one server, and nothing is kept', async (_name, sql, line) => {
    const before = sql.includes('(') ? '' : good(0, 20_000);
    const after = sql.includes('(') ? '' : good(20_001, 20_400);
    const input = Buffer.from(before + line + after, 'latin1');
    const expected = await plain(sql, input);
    expect(expected.kind).toBe('error');
    expect(await run(sql, input, { memoryBytesMax: 400_000 })).toEqual(expected);
    expect(await cluster.shardRows()).toEqual([]);
  });

  test('is found by its own line in CSV with line ends in fields', async () => {
    const rows = Array.from({ length: 3000 }, (_, i) => `${i},"a\nb${i % 2 === 0 ? '\n' : ''}",${i === 2400 ? 'bad' : 1}\n`);
    const input = Buffer.from(`id,note,qty\n${rows.join('')}`);
    const expected = await plain('COPY orders FROM STDIN CSV HEADER', input);
    expect(expected).toMatchObject({ kind: 'error', line: 'COPY orders, line 6004' });
    expect(await run('COPY orders FROM STDIN CSV HEADER', input)).toEqual(expected);
  });

  test('in binary data', async () => {
    await cluster.coordinator.query("INSERT INTO plain.orders SELECT i, 'n', i % 1000 FROM generate_series(0, 4999) AS i");
    const binary = await plainCopyOut(cluster.coordinator, 'COPY (SELECT id, note, qty, qty FROM plain.orders) TO STDOUT BINARY');
    const expected = await plain('COPY orders FROM STDIN BINARY', binary);
    expect(await run('COPY orders FROM STDIN BINARY', binary, { shardOf: () => 2 })).toEqual(expected);
    const cut = binary.subarray(0, 100);
    expect(await run('COPY orders FROM STDIN BINARY', cut)).toMatchObject({ code: '22P04' });
  });
});

describe('an end before the end', () => {
  test('an abort while the source is silent', async () => {
    const controller = new AbortController();
    const silent = new Readable({ read: () => undefined });
    silent.push('1\tx\t1\n');
    setImmediate(() => controller.abort());
    const outcome = await run('COPY orders FROM STDIN', silent, { signal: controller.signal });
    expect(outcome).toMatchObject({ kind: 'error', code: '57014' });
    expect(silent.destroyed).toBe(true);
  });

  test('a node refuses while the source is silent', async () => {
    const silent = new Readable({ read: () => undefined });
    silent.push(`1\tx\tbad\n${'1\tlonger\t1\n'.repeat(10_000)}`);
    const outcome = await run('COPY orders FROM STDIN', silent);
    expect(outcome).toMatchObject({ kind: 'error', code: '22P02', line: 'COPY orders, line 1' });
    expect(silent.destroyed).toBe(true);
  });

  test('the source fails', async () => {
    expect(await run('COPY orders FROM STDIN', failingSource())).toMatchObject({ kind: 'error', message: 'disk is gone' });
    expect(await cluster.shardRows()).toEqual([]);
  });
});

describe('columns that are left out', () => {
  test('get their values once, from the coordinator database', async () => {
    await using other = await createCopyCluster({
      nodes: 2,
      definition: "(id bigint NOT NULL DEFAULT nextval('ids'), made timestamptz DEFAULT now(), note text, twice text GENERATED ALWAYS AS (note || note) STORED)",
      columns: [
        { name: 'id', type: { oid: 20, modifier: -1, sql: 'bigint' }, default: { kind: 'sequence', sequence: 'ids' } },
        { name: 'made', default: { kind: 'expression', sql: 'now()', volatility: 'stable' } },
        { name: 'note' },
        { name: 'twice', generated: true },
      ],
      distributionColumn: 'id',
    });
    const more = { shardOf: (value: string | number) => Number(value) % 4 };
    const input = 'note\na\n"b\nb"\nc\nd\n';
    expect(await outcomeOf(other, { sql: 'COPY orders (note) FROM STDIN CSV HEADER', source: input, more })).toEqual({ kind: 'rows', count: 4 });
    const rows = (await other.shardRows()).map((row) => row.replace(/"[^"]*\d\d:\d\d[^"]*"/, 'now'));
    expect(rows).toEqual(['(1,now,a,aa)', '(2,now,"b\nb","b\nbb\nb")', '(3,now,c,cc)', '(4,now,d,dd)']);
    expect(new Set((await other.shardRows()).map((row) => row.split(',')[1])).size).toBe(1);
    const placed = await Promise.all([0, 1, 2, 3].map(async (ordinal) => (await other.rowsOf(ordinal)).map((row) => row.slice(1, 2))));
    expect(placed).toEqual([['4'], ['1'], ['2'], ['3']]);
    expect(await outcomeOf(other, { sql: 'COPY orders (note) FROM STDIN', source: 'a\nb\tc\n', more })).toMatchObject({
      message: 'extra data after last expected column',
      line: 'COPY orders, line 2',
    });
    expect(await outcomeOf(other, { sql: "COPY orders FROM STDIN (DEFAULT 'D')", source: '', more })).toMatchObject({
      code: '0A000',
      message: 'cannot COPY with a DEFAULT marker into column "id"',
    });
  });

  test('NULL is refused where the column itself would take it', async () => {
    await using other = await createCopyCluster({ nodes: 2, definition: '(id text)', columns: [{ name: 'id' }], distributionColumn: 'id' });
    const more = { shardOf: (value: string | number) => String(value).length };
    const refused: readonly (readonly [string, string])[] = [
      ['COPY orders FROM STDIN', 'a\n\\N\n'],
      ["COPY orders FROM STDIN NULL 'nix'", 'a\nnix\n'],
      ['COPY orders FROM STDIN CSV', 'a\n\n'],
      ["COPY orders FROM STDIN (FORMAT csv, NULL 'nix', FORCE_NULL (id))", 'a\n"nix"\n'],
    ];
    for (const [sql, source] of refused) {
      expect(await outcomeOf(other, { sql, source, more }), sql).toEqual({
        kind: 'error',
        code: '23502',
        message: 'null value in column "id" of relation "orders" violates not-null constraint',
        line: 'COPY orders, line 2',
      });
    }
    expect(await other.shardRows()).toEqual([]);
    const taken: readonly (readonly [string, string])[] = [
      ['COPY orders FROM STDIN', '\n'],
      ["COPY orders FROM STDIN NULL 'nix'", '\\x6eix\n'],
      ['COPY orders FROM STDIN CSV', '""\n'],
      ["COPY orders FROM STDIN (FORMAT csv, NULL 'nix')", '"nix"\n'],
      ["COPY orders FROM STDIN (FORMAT csv, NULL 'nix', FORCE_NOT_NULL (id))", 'nix\n'],
    ];
    for (const [sql, source] of taken) expect(await outcomeOf(other, { sql, source, more }), sql).toEqual({ kind: 'rows', count: 1 });
    expect(await other.rowsOf(0)).toEqual(['("")', '("")']);
    expect(await other.rowsOf(3)).toEqual(['(nix)', '(nix)', '(nix)']);
  });

  test('a distribution column without default is NULL', async () => {
    const expected = await plain('COPY orders (note) FROM STDIN', Buffer.from('a\n'));
    expect(expected).toMatchObject({ code: '23502' });
    expect(await run('COPY orders (note) FROM STDIN', 'a\n')).toEqual(expected);
    expect(await run('COPY orders (note) FROM STDIN', '')).toEqual({ kind: 'rows', count: 0 });
  });
});
