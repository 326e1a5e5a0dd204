import type { QueryArrayConfig, QueryArrayResult } from 'pg';
import { expect, test } from 'vitest';
import { openCell } from './cell.ts';
import { FakeCluster } from './fake-cluster.ts';
import { ordered } from './oracle-case.ts';
import type { Connectable, Queryable, Streaming } from './outcome.ts';
import { runReads, runWrites } from './run-section.ts';
import { writeTableNames } from './write-seed.ts';

type Result = QueryArrayResult<(string | null)[]>;

/** A cluster that falsifies what PostgreSQL says. */
class LyingCluster implements Connectable {
  lie: (result: Result, truth: Queryable) => unknown = () => undefined;

  constructor(readonly truth: Connectable) {}

  async query(call: string | QueryArrayConfig, values?: unknown[]): Promise<unknown> {
    const result = await (values === undefined ? this.truth.query(call) : this.truth.query(call, values));
    await this.lie(result as Result, this.truth);
    return result;
  }

  connect(): ReturnType<Connectable['connect']> {
    return this.truth.connect();
  }
}

const lies: readonly (readonly [name: string, lie: (result: Result) => unknown, kind: string])[] = [
  ['a row is lost', ({ rows }) => rows.pop(), '[rows]'],
  ['a row comes twice', ({ rows }) => rows.push(rows[0] ?? []), '[rows]'],
  ['rows change places', ({ rows }) => rows.reverse(), '[rows]'],
  ['NULL becomes an empty string', ({ rows }) => rows.forEach((row) => row.forEach((value, column) => (row[column] = value ?? ''))), '[rows]'],
  ['a number loses its scale', ({ rows }) => rows.forEach((row) => (row[2] = row[2]?.replace(/0$/u, '') ?? null)), '[rows]'],
  ['the command changes', (result) => (result.command = 'UPDATE'), '[shape]'],
  ['rowCount is off by one', (result) => (result.rowCount = (result.rowCount ?? 0) + 1), '[shape]'],
  ['a column is renamed', ({ fields }) => fields.forEach((field) => (field.name += '_102008')), '[shape]'],
  ['a type changes', ({ fields }) => fields.forEach((field) => (field.dataTypeID = 25)), '[shape]'],
  ['a modifier is lost', ({ fields }) => fields.forEach((field) => (field.dataTypeModifier = -1)), '[descriptor]'],
];

test('every planted lie shows', async () => {
  await using open = await openCell({ major: 18, nodes: 0, shardCount: 1, share: { every: 1, offset: 0 } }, (options) => new FakeCluster(options));
  const cluster = new LyingCluster(open.pair.cluster);
  const pair = { ...open.pair, cluster };
  const list = ordered(`SELECT id, name, credit FROM accounts WHERE tenant_id = 1 ORDER BY id`);
  expect(await runReads(pair, list, open.share)).toEqual([]);
  for (const [name, lie, kind] of lies) {
    cluster.lie = lie;
    expect((await runReads(pair, list, open.share)).join('\n'), name).toContain(kind);
  }
  cluster.lie = () => undefined;
  const streaming: Streaming = {
    async *stream(sql, values) {
      for await (const row of open.pair.streaming.stream(sql, values)) if (!String(Object.values(row as object)[0]).startsWith('1')) yield row;
    },
  };
  expect((await runReads({ ...pair, streaming }, list, open.share)).join('\n')).toContain('[rows]');
  cluster.lie = ({ command }, truth) => (command === 'UPDATE' ? truth.query(`UPDATE w_words SET count = 7 WHERE word = 'ower'`) : undefined);
  const written = await runWrites(pair, [{ name: 'a write elsewhere', steps: [{ sql: `UPDATE w_words SET count = 8 WHERE word = 'old'` }] }], open.share);
  cluster.lie = () => undefined;
  expect(written.join('\n')).toContain('afterwards w_words');
});

test('write tables begin each case with their seed, and those that hold it are left alone', async () => {
  await using open = await openCell({ major: 18, nodes: 0, shardCount: 1, share: { every: 1, offset: 0 } }, (options) => new FakeCluster(options));
  const { pair } = open;
  const ask = async (side: Queryable, sql: string): Promise<unknown> => ((await side.query({ text: sql, rowMode: 'array' })) as Result).rows.map((row) => JSON.stringify(row)).sort();
  const both = async (table: string, what: string): Promise<unknown[]> => Promise.all([pair.plain, pair.cluster].map((side) => ask(side, `SELECT ${what} FROM ${table}`)));
  const contents = async (): Promise<unknown[]> => Promise.all(writeTableNames.map((table) => both(table, '*')));
  const writers = async (): Promise<Map<string, unknown>> => new Map(await Promise.all(writeTableNames.map(async (table) => [table, await both(table, 'xmin')] as const)));

  await pair.writeTables.restore();
  const seeds = await contents();
  for (const [sql, written] of [
    [`UPDATE w_words SET count = 5 WHERE word = 'old'`, ['w_words']],
    ['DELETE FROM w_log', ['w_log']],
    ['DELETE FROM w_stock WHERE tenant_id = 1', ['w_log', 'w_stock']],
    ['UPDATE w_stock SET qty = 4 WHERE tenant_id = 4', ['w_log', 'w_stock']],
    [`INSERT INTO w_places VALUES ('P9', NULL, 9, '2024-01-01Z')`, ['w_log', 'w_stock', 'w_places']],
    ['UPDATE w_words SET count = count', []],
  ] as const) {
    expect(await runWrites(pair, [{ name: sql, steps: [{ sql }] }], open.share)).toEqual([]);
    const before = await writers();
    await pair.writeTables.restore();
    const after = await writers();
    expect(await contents(), sql).toEqual(seeds);
    expect(writeTableNames.filter((table) => JSON.stringify(after.get(table)) !== JSON.stringify(before.get(table))), sql).toEqual(written);
  }
});
