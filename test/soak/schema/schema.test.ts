import { describe, expect, test } from 'vitest';
import { startSoakServers } from '../soak-servers.ts';
import { judgeFailures } from './judge-failures.ts';
import { runSchema } from './run-schema.ts';
import { wrongRow } from './wrong-row.ts';

test('an application works while definitions change, by a process that is killed', async () => {
  await using servers = await startSoakServers({ major: 18, nodes: 2 });
  const { objections, changes, events } = await runSchema(servers, { seed: 1, seconds: 12, processes: 1, serverKills: false, processKills: true });
  expect(objections).toEqual([]);
  expect(changes).toBeGreaterThan(1);
  expect(events.filter(({ kind }) => kind === 'done').length).toBeGreaterThan(10);
}, 180_000);

const row = { tenant: '1', id: '2', lane: 3, v: '4', mark: '3:1:2', code: 1, c7_9: 'c7 again', i8: 8, m9: 'sad', n5: 2 };

test.each([
  [row, undefined], [{ ...row, c7_9: 'c8' }, 'c7_9 is c8'], [{ ...row, i8: 7 }, 'i8 is 7'], [{ ...row, mark: '3:1:1' }, 'mark 3:1:1'], [{ ...row, x: 1 }, 'x is 1'], [{ id: '2', tenant: '1', lane: 3, mark: '3:1:2' }, 'columns id, tenant'],
])('a row of %j', (given, wrong) => {
  if (wrong === undefined) expect(wrongRow(given)).toBeUndefined();
  else expect(wrongRow(given)).toContain(wrong);
});

const failure = { kind: 'failed', deed: 'star', table: 'first', code: '40001', id: '', message: 'could not serialize', where: '' } as const;

describe('of what the application meets', () => {
  test.each([
    [failure, true], [{ ...failure, code: '42703' }, false], [{ ...failure, code: 'XX000' }, false], [{ ...failure, code: '0A000', message: 'cached plan must not change result type' }, true], [{ ...failure, code: '0A000' }, false],
    [{ ...failure, code: '42P01', id: 'shardMissing' }, false], [{ ...failure, deed: 'block', code: '42P01', id: 'shardMissing' }, true], [{ ...failure, code: '42P01', message: 'relation "first_102008" does not exist' }, false],
    [{ ...failure, code: '08006' }, false], [{ ...failure, code: '42P05' }, false],
  ])('%j is excused: %s', (event, isExcused) => {
    expect(judgeFailures([event], false).length).toBe(isExcused ? 0 : 1);
  });
  test('a lost connection is, where servers were killed, and what it says itself is not', () => {
    expect(judgeFailures([{ ...failure, code: '08006' }, { kind: 'objection', about: 'hangs' }], true)).toEqual(['hangs']);
  });
});
