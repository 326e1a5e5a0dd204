import { describe, expect, test } from 'vitest';
import { startSoakServers } from '../soak-servers.ts';
import { checkHistory } from './check-history.ts';
import type { Entry, Operation } from './history.ts';
import { runLists } from './run-lists.ts';

test('transactions whose connections are cut', async () => {
  await using servers = await startSoakServers({ major: 18, nodes: 2 });
  const { anomalies, history, cuts } = await runLists(servers, 'consistent snapshots', { seed: 1, seconds: 6, processes: 2, serverKills: false });
  expect(anomalies).toEqual([]);
  expect(history.filter(({ outcome }) => outcome === 'committed').length).toBeGreaterThan(0);
  expect(cuts).toBeGreaterThan(0);
}, 120_000);

test('read committed transactions, some of which see others by halves', async () => {
  await using servers = await startSoakServers({ major: 18, nodes: 2 });
  const { anomalies } = await runLists(servers, 'read committed', { seed: 2, seconds: 5, processes: 2, serverKills: false });
  expect(new Set(anomalies.map(({ kind }) => kind))).toEqual(new Set(['G-single']));
}, 120_000);

/** `T1 append x a` and so on: one operation a line, `read x a b` with the list; `T2 aborts` and `T2 unknown` for other outcomes than a commit. */
function historyOf(lines: readonly string[]): Entry[] {
  const entries = new Map<string, { id: string; operations: Operation[]; outcome: Entry['outcome'] }>();
  for (const line of lines) {
    const [id = '', verb = '', key = '', ...values] = line.split(' ');
    const entry = entries.get(id) ?? { id, operations: [], outcome: 'committed' };
    entries.set(id, entry);
    if (verb === 'aborts') entry.outcome = 'aborted';
    else if (verb === 'unknown') entry.outcome = 'unknown';
    else entry.operations.push(verb === 'read' ? { kind: 'read', key, list: values } : { kind: 'append', key, value: values[0] ?? '' });
  }
  return [...entries.values()];
}

describe('the checker finds', () => {
  test.each<[string, readonly string[], Record<string, string>, readonly string[]]>([
    ['nothing in a good history', ['T1 append x a', 'T1 append y b', 'T2 read x', 'T2 read y', 'T3 read x a', 'T3 append x c', 'T3 read x a c', 'T4 append y z', 'T4 aborts', 'T5 append y u', 'T5 unknown'], { x: 'a c', y: 'b' }, []],
    ['nothing in a write skew', ['T1 read x', 'T1 append y b', 'T2 read y', 'T2 append x a'], { x: 'a', y: 'b' }, []],
    ['a lost append', ['T1 append x a', 'T2 append x b'], { x: 'b' }, ['lost']],
    ['a lost update', ['T0 append x o', 'T1 read x o', 'T1 append x a', 'T2 read x o', 'T2 append x b'], { x: 'o a b' }, ['G-single']],
    ['half a transaction of unknown outcome', ['T1 append x a', 'T1 append y b', 'T1 unknown'], { x: 'a', y: '' }, ['lost']],
    ['an append applied twice', ['T1 append x a'], { x: 'a a' }, ['twice']],
    ['an aborted append that is there', ['T1 append x a', 'T1 aborts'], { x: 'a' }, ['G1a']],
    ['an aborted append that was read', ['T1 append x a', 'T1 aborts', 'T2 read x a'], { x: '' }, ['G1a']],
    ['an intermediate read', ['T1 append x a', 'T1 append x b', 'T2 read x a'], { x: 'a b' }, ['G1b', 'G-single']],
    ['reads in two orders', ['T1 append x a', 'T2 append x b', 'T3 read x b'], { x: 'a b' }, ['order', 'G-single']],
    ['a circle of writes', ['T1 append x a', 'T1 append y c', 'T2 append x b', 'T2 append y d'], { x: 'a b', y: 'd c' }, ['G0', 'G0']],
    ['a circle of writes and reads', ['T1 append x a', 'T1 read y b', 'T2 append y b', 'T2 read x a'], { x: 'a', y: 'b' }, ['G1c', 'G1c']],
    ['read skew', ['T1 append x a', 'T1 append y b', 'T2 read x a', 'T2 read y'], { x: 'a', y: 'b' }, ['G-single']],
    ['read skew over three', ['T1 append x a', 'T2 read x a', 'T2 append y b', 'T3 read y b', 'T3 read x'], { x: 'a', y: 'b' }, ['G-single']],
  ])('%s', (_, lines, lists, kinds) => {
    const final = new Map(Object.entries(lists).map(([key, list]) => [key, list === '' ? [] : list.split(' ')]));
    const found = checkHistory(historyOf(lines), final);
    expect({ found, kinds: found.map(({ kind }) => kind) }).toEqual({ found, kinds });
  });
});
