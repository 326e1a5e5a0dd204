import type { QueryArrayConfig, QueryArrayResult } from 'pg';
import { expect, test } from 'vitest';
import { openCell } from './cell.ts';
import { FakeCluster } from './fake-cluster.ts';
import { ordered } from './oracle-case.ts';
import type { Connectable, Queryable, Streaming } from './outcome.ts';
import { runReads, runWrites } from './run-section.ts';

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
