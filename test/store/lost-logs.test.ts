import { expect, test } from 'vitest';
import { installSchema } from '../../src/store/install.ts';
import { type FoundLoss, keepLossesMs, listLosses, lossesMax, storeLosses } from '../../src/store/lost-logs.ts';
import { openCoordinator } from './coordinator.ts';

const found: FoundLoss = { node: 2, timeline: 5, keptUpTo: 0x1_0000_0010n, knownUpTo: 0x1_0000_0030n, ageMs: 0, commits: [], notLost: [] };
const here = { transactionId: 'here', keptOn: [1, 3] };
const there = { transactionId: 'there', keptOn: [0] };

test('what two processes have found of one failover is told as one, however often they tell it', async () => {
  await using coordinator = await openCoordinator();
  const { connections } = coordinator;
  expect(await listLosses(connections)).toEqual([]);
  const other = { ...found, knownUpTo: 0x1_0000_0050n, ageMs: 60_000, commits: [there, here] };
  await storeLosses(connections, [{ ...found, commits: [here] }]);
  await Promise.all([storeLosses(connections, [other]), storeLosses(connections, [{ ...found, commits: [here] }, found])]);
  await storeLosses(connections, [found]);
  const losses = await listLosses(connections);
  expect(losses).toEqual([{ node: 2, timeline: 5, keptUpTo: '1/10', knownUpTo: '1/50', bytes: 64, commits: [here, there], foundAt: expect.any(Date) }]);
  expect(await coordinator.sql(`SELECT found_at < now() - interval '59 s' FROM shardwright.lost_log`)).toEqual([[true]]);
});

test('another place in the log is another failover; a transaction that turns out to be there is told no more', async () => {
  await using coordinator = await openCoordinator();
  const { connections } = coordinator;
  const earlier = { ...found, keptUpTo: 8n, knownUpTo: 9n, ageMs: 1_000, commits: [here] };
  await storeLosses(connections, [{ ...found, commits: [here, there] }, earlier]);
  await storeLosses(connections, [{ ...found, commits: [there], notLost: ['here'] }]);
  expect((await listLosses(connections)).map(({ keptUpTo, commits }) => [keptUpTo, commits])).toEqual([['0/8', [here]], ['1/10', [there]]]);
});

test('old losses are forgotten with their transactions, and of many the oldest', async () => {
  await using coordinator = await openCoordinator();
  const { connections } = coordinator;
  await installSchema(connections);
  const commits = [here];
  const many = Array.from({ length: lossesMax + 2 }, (_, i) => ({ ...found, timeline: i + 1, ageMs: (lossesMax + 2 - i) * 1_000, commits }));
  await storeLosses(connections, many);
  expect((await listLosses(connections)).map(({ timeline }) => timeline)).toEqual(many.slice(2).map(({ timeline }) => timeline));
  await coordinator.sql(`UPDATE shardwright.lost_log SET found_at = found_at - ${keepLossesMs} * interval '1 ms' WHERE timeline < 100`);
  expect((await listLosses(connections)).map(({ timeline }) => timeline)).toEqual([100, 101, 102]);
  await storeLosses(connections, [{ ...found, timeline: 200 }]);
  expect(await coordinator.sql('SELECT timeline FROM shardwright.lost_log ORDER BY timeline')).toEqual([[100], [101], [102], [200]]);
  expect(await coordinator.sql('SELECT timeline FROM shardwright.lost_commit ORDER BY timeline')).toEqual([[100], [101], [102]]);
});
