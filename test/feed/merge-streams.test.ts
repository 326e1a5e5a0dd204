import { expect, test } from 'vitest';
import { nodeId } from '../../src/catalog/ids.ts';
import type { Cut } from '../../src/feed/cut.ts';
import { StreamMerge } from '../../src/feed/merge-streams.ts';
import type { ItemQueue, StreamItem } from '../../src/feed/stream-item.ts';
import { Random } from '../oracle/random.ts';

class FakeQueue implements ItemQueue {
  readonly items: StreamItem[] = [];
  readonly node;

  constructor(node: number) {
    this.node = nodeId(node);
  }

  peek(place: 0 | 1 = 0): StreamItem | undefined {
    return this.items[place];
  }

  take(): void {
    this.items.shift();
  }

  transaction(commit: number, changes: number): void {
    for (let index = 0; index < changes; index += 1) {
      const relation = { kind: 'relation', relation: 1, schema: 'public', name: 't_1', identity: 'd', columns: [] } as const;
      this.items.push({ kind: 'change', change: { kind: 'insert', relation: 1, row: [] }, relation, commit: BigInt(commit), committedAt: 0n, index, bytes: 1 });
    }
    this.items.push({ kind: 'commit', end: BigInt(commit + 1), bytes: 1 });
  }

  cut(cut: Cut, commit: number): void {
    this.items.push({ kind: 'cut', cut, commit: BigInt(commit), bytes: 1 }, { kind: 'commit', end: BigInt(commit + 1), bytes: 1 });
  }
}

const cutOf = (job: string, from: readonly number[], to: readonly number[], feeds = ['7']): Cut => ({ job, feeds, from: from.map(nodeId), to: to.map(nodeId) });

function merged(...queues: FakeQueue[]) {
  const cuts: string[] = [];
  const merge = new StreamMerge('7', ({ job, node }) => cuts.push(`${job}@${node}`));
  for (const queue of queues) merge.add(queue);
  const given = (): string[] => {
    const lines: string[] = [];
    for (let next = merge.next(); next !== undefined; next = merge.next()) lines.push(`${next.node}: ${next.item.commit}.${next.item.index}${next.endsTransaction ? ' end' : ''} → ${next.position.lsn}.${next.position.done}`);
    return lines;
  };
  return { merge, cuts, given };
}

test('transactions come whole, nodes in turn', () => {
  const [one, two] = [new FakeQueue(1), new FakeQueue(2)];
  one.transaction(10, 2);
  one.transaction(20, 1);
  two.transaction(5, 1);
  expect(merged(one, two).given()).toEqual(['1: 10.0 → 10.1', '1: 10.1 end → 11.0', '2: 5.0 end → 6.0', '1: 20.0 end → 21.0']);
});

test('a change waits for what comes behind it, and its transaction for nobody', () => {
  const [one, two] = [new FakeQueue(1), new FakeQueue(2)];
  const { given } = merged(one, two);
  one.transaction(10, 2);
  const rest = one.items.splice(1);
  two.transaction(5, 1);
  expect(given()).toEqual([]);
  one.items.push(...rest);
  expect(given()).toEqual(['1: 10.0 → 10.1', '1: 10.1 end → 11.0', '2: 5.0 end → 6.0']);
});

test('what came to a node waits for what went before on the other', () => {
  const [one, two] = [new FakeQueue(1), new FakeQueue(2)];
  const { merge, cuts, given } = merged(one, two);
  two.cut(cutOf('3', [1], [2]), 50);
  two.transaction(60, 1);
  one.transaction(10, 1);
  expect(given()).toEqual(['1: 10.0 end → 11.0']);
  expect(merge.isBusy(nodeId(2))).toBe(true);
  one.transaction(20, 1);
  one.cut(cutOf('3', [1], [2]), 30);
  one.transaction(40, 1);
  expect(given()).toEqual(['1: 20.0 end → 21.0', '1: 40.0 end → 41.0', '2: 60.0 end → 61.0']);
  expect(cuts).toEqual(['3@2', '3@1']);
  expect(merge.isBusy(nodeId(2))).toBe(false);
});

test('a cut-over that was come by before, or is of other feeds, is waited for by nobody', () => {
  const [one, two] = [new FakeQueue(1), new FakeQueue(2)];
  const { merge, cuts, given } = merged(one, two);
  merge.note('3', nodeId(1));
  two.cut(cutOf('3', [1], [2]), 50);
  two.cut(cutOf('4', [1], [2], ['8']), 52);
  two.transaction(60, 1);
  expect(given()).toEqual(['2: 60.0 end → 61.0']);
  expect(cuts).toEqual(['3@2']);
});

test('a node that is a source and a target of one cut-over waits for the other sources alone', () => {
  const [one, two] = [new FakeQueue(1), new FakeQueue(2)];
  const { given } = merged(one, two);
  one.cut(cutOf('5', [1, 2], [1]), 10);
  one.transaction(20, 1);
  expect(given()).toEqual([]);
  two.cut(cutOf('5', [1, 2], [1]), 7);
  expect(given()).toEqual(['1: 20.0 end → 21.0']);
});

test('streams in the order of decisions come to their end, in whatever order they arrive', () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = new Random(seed);
    const queues = [1, 2, 3, 4].map((node) => new FakeQueue(node));
    const { given, cuts } = merged(...queues);
    const coming = queues.map((queue) => ({ queue, items: [] as StreamItem[] }));
    let expected = 0;
    for (let job = 1; job <= 12; job += 1) {
      const nodes = [1, 2, 3, 4].filter(() => random.chance(0.6));
      const [first = 1, ...rest] = nodes.length > 1 ? nodes : [1, 2];
      const cut = random.chance(0.5) ? cutOf(`${job}`, [first], rest) : cutOf(`${job}`, [first, ...rest], [first]);
      for (const { queue, items } of coming) {
        if ([...cut.from, ...cut.to].includes(queue.node)) queue.cut(cut, job * 100);
        queue.transaction(job * 100 + 10, 1);
        expected += 1;
        items.push(...queue.items.splice(0));
      }
    }
    const lines: string[] = [];
    while (coming.some(({ items }) => items.length > 0)) {
      const { queue, items } = random.pick(coming.filter((one) => one.items.length > 0));
      queue.items.push(...items.splice(0, random.int(1, 4)));
      lines.push(...given());
    }
    expect(lines.length, `seed ${seed}`).toBe(expected);
    expect(new Set(cuts).size).toBe(cuts.length);
  }
});
