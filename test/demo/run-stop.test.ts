import type { QueryResult, QueryResultRow } from 'pg';
import { describe, expect, it } from 'vitest';
import { askSide, compareAnswers, type Queryable } from '../../demo/tour/run-stop.ts';
import type { Stop } from '../../demo/tour/stops.ts';

const stop: Stop = { title: 't', about: '', sql: 'SELECT 1', values: [], ordered: true };

function answering(rows: QueryResultRow[], calls: string[] = []): Queryable {
  const result: QueryResult<QueryResultRow> = { rows, fields: [], rowCount: rows.length, command: 'SELECT', oid: 0 };
  return { query: (text) => Promise.resolve((calls.push(text), result)) };
}

function failing(code: string, message = 'duplicate key'): Queryable {
  return { query: () => Promise.reject(Object.assign(new Error(message), { code })) };
}

describe('askSide', () => {
  it('runs a write once and a read several times', async () => {
    const writes: string[] = [];
    await askSide(answering([], writes), { ...stop, writes: true });
    expect(writes).toHaveLength(1);
    const reads: string[] = [];
    await askSide(answering([], reads), stop);
    expect(reads.length).toBeGreaterThan(1);
  });
});

describe('compareAnswers', () => {
  it('is content with the same rows', async () => expect(await compare(stop, answering([{ a: 1 }]), answering([{ a: 1 }]))).toBeUndefined());
  it('sees other rows', async () => expect(await compare(stop, answering([{ a: 1 }]), answering([{ a: 2 }]))).toMatch(/row 1/));
  it('sees an error of one side', async () =>
    expect(await compare(stop, answering([]), failing('0A000', 'not yet'))).toBe('the cluster answers 0A000: not yet'));

  describe('when the statement is meant to fail', () => {
    const fails = { ...stop, fails: '23505' };
    it('is content with the same error', async () => expect(await compare(fails, failing('23505'), failing('23505'))).toBeUndefined());
    it('sees another message', async () => expect(await compare(fails, failing('23505'), failing('23505', 'shard'))).toMatch(/errors differ/));
    it('sees another SQLSTATE', async () => expect(await compare(fails, failing('23505'), failing('23502'))).toMatch(/23502/));
    it('sees that one side does not fail', async () => expect(await compare(fails, failing('23505'), answering([]))).toBe('only one of the two fails'));
  });
});

async function compare(of: Stop, plain: Queryable, cluster: Queryable): Promise<string | undefined> {
  return compareAnswers(of, await askSide(plain, of), await askSide(cluster, of));
}
