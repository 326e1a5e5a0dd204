import { describe, expect, test } from 'vitest';
import { startSoakServers } from '../soak-servers.ts';
import { bankTotal } from './bank-tables.ts';
import { type BankState, checkBank } from './check-bank.ts';
import { runBank } from './run-bank.ts';

test('a bank whose processes are killed, whose connections are cut and whose shards move', async () => {
  await using servers = await startSoakServers({ major: 18, nodes: 2 });
  const { objections, events, processKills, cuts, moves } = await runBank(servers, { seed: 1, seconds: 8, processes: 2, serverKills: false });
  expect(objections).toEqual([]);
  const count = (kind: string): number => events.filter((event) => event.kind === kind).length;
  for (const some of [count('acknowledged'), count('read'), processKills, cuts, moves.begun]) expect(some).toBeGreaterThan(0);
}, 120_000);

describe('the check objects to', () => {
  const whole: BankState = { total: bankTotal, wrongAccounts: [], transfers: new Map([['a', { rows: 2, sum: 0 }]]) };
  test.each([
    ['nothing', [{ kind: 'acknowledged', id: 'a' }, { kind: 'refused', id: 'b', code: '40001' }, { kind: 'unknown', id: 'c', code: '08007' }, { kind: 'read', total: bankTotal, moved: 0 }] as const, whole, []],
    ['a transfer that is lost', [{ kind: 'acknowledged', id: 'b' }] as const, whole, ['transfer b was acknowledged and is lost']],
    ['one that was refused', [{ kind: 'refused', id: 'a', code: '40001' }] as const, whole, ['transfer a was refused (40001) and is there']],
    ['half a transfer', [], { ...whole, transfers: new Map([['a', { rows: 1, sum: -5 }]]) }, ['transfer a has 1 rows, of sum -5']],
    ['another total at the end', [], { ...whole, total: 3 }, ['the total is 3 at the end']],
    ['a change applied twice', [], { ...whole, wrongAccounts: [4] }, ['account 4 is not what its transfers make it']],
    ['a snapshot with half a transfer', [{ kind: 'read', total: bankTotal - 5, moved: 0 }, { kind: 'read', total: bankTotal, moved: 5 }] as const, whole, [`a snapshot has a total of ${bankTotal - 5}, and transfers of sum 0`, `a snapshot has a total of ${bankTotal}, and transfers of sum 5`]],
  ])('%s', (_, events, state, objections) => {
    expect(checkBank(events, state)).toEqual(objections);
  });
});
