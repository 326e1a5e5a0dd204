import { DatabaseError } from 'pg';
import { expect, test } from 'vitest';
import { ClusterError } from '../../src/base/errors.ts';
import { judgeFailure } from '../../src/ha/judge-failure.ts';

const insert = { text: 'INSERT INTO t VALUES ($1)' };

function serverError(code: string, severity = 'FATAL'): DatabaseError {
  return Object.assign(new DatabaseError('of the server', 0, 'error'), { code, severity });
}

test('what has certainly not run is told from what may have', () => {
  expect(judgeFailure(new ClusterError('nodeUnreachable', ''), insert)).toBe('not_run');
  expect(judgeFailure(new ClusterError('connectionLost', ''), insert)).toBe('unknown');
  expect(judgeFailure(new ClusterError('canceled', ''), insert)).toBe('own');
  expect(judgeFailure(serverError('57P03'), insert)).toBe('not_run');
  expect(judgeFailure(serverError('57P02'), insert)).toBe('unknown');
  expect(judgeFailure(serverError('25006', 'ERROR'), insert)).toBe('refused');
  expect(judgeFailure(serverError('23505', 'ERROR'), insert)).toBe('own');
});

test('a session that is ended undoes a statement, unless that commits by itself', () => {
  const kindOf = (text: string): string => judgeFailure(serverError('57P01'), { text });
  expect(['SELECT 1', '  insert into t values (1)', '(SELECT 1)', 'WITH a AS (DELETE FROM t RETURNING 1) TABLE a'].map(kindOf)).toEqual(Array(4).fill('not_run'));
  expect(['CALL p()', 'DO $$ BEGIN COMMIT; END $$', 'VACUUM', 'SELECT 1; COMMIT; SELECT 2', 'CREATE INDEX CONCURRENTLY i ON t (a)'].map(kindOf)).toEqual(Array(5).fill('unknown'));
  expect(judgeFailure(serverError('57P01'), undefined)).toBe('not_run');
});
