import { describe, expect, test } from 'vitest';
import { nodeId } from '../../src/catalog/ids.ts';
import { type BlockedProcess, findCycle, type Member } from '../../src/txn/wait-graph.ts';

const waits = (node: number, pid: number, ...blockers: number[]): BlockedProcess => ({ node: nodeId(node), pid, started: `${pid}`, blockers: blockers.map((one) => ({ pid: one, started: `${one}` })), prepared: [] });
/** Transaction t has process 10 t on each node, and began at t. */
const members: Member[] = [1, 2, 3, 4].flatMap((t) => [1, 2, 3].map((node) => ({ transactionId: `t${t}`, node: nodeId(node), pid: 10 * t, started: `${10 * t}`, began: t })));

describe('cycles', () => {
  test('of two over two nodes: the youngest is the victim, from wherever it is seen', () => {
    const blocked = [waits(1, 10, 20), waits(2, 20, 10)];
    expect(findCycle('t1', blocked, members)).toMatchObject({ victim: 't2', waits: waits(2, 20, 10) });
    expect(findCycle('t2', blocked, members)).toEqual(findCycle('t1', blocked, members));
  });

  test('of three over three nodes', () => {
    const blocked = [waits(1, 20, 30), waits(2, 30, 10), waits(3, 10, 20)];
    for (const from of ['t1', 't2', 't3']) expect(findCycle(from, blocked, members)?.victim).toBe('t3');
  });

  test('through a process that is nobody\'s', () => {
    const blocked = [waits(1, 10, 99), waits(1, 99, 20), waits(2, 20, 10)];
    expect(findCycle('t1', blocked, members)).toMatchObject({ victim: 't2' });
  });

  test('through a transaction that has prepared on one of its nodes', () => {
    const blocked = [{ ...waits(1, 10, 0), prepared: ['t2'] }, waits(2, 20, 10)];
    expect(findCycle('t1', blocked, members)).toMatchObject({ victim: 't2', waits: waits(2, 20, 10) });
  });

  test('with other branches: the first that leads nowhere is left', () => {
    const blocked = [waits(1, 10, 40, 77, 20), waits(1, 40, 30), waits(2, 20, 88, 10)];
    expect(findCycle('t1', blocked, members)).toMatchObject({ victim: 't2' });
    expect(findCycle('t4', blocked, members)).toBeUndefined();
  });

  test('of equal age: one of the two, whoever looks', () => {
    const twins = members.map((member) => ({ ...member, began: 0 }));
    const blocked = [waits(1, 10, 20), waits(2, 20, 10)];
    expect(findCycle('t1', blocked, twins)?.victim).toBe(findCycle('t2', blocked, twins)?.victim);
  });
});

test.each([
  ['nobody waits', []],
  ['a chain', [waits(1, 10, 20), waits(2, 20, 30)]],
  ['a circle that does not hold the one asked for', [waits(1, 20, 30), waits(2, 30, 20), waits(1, 10, 20)]],
  ['on one node, which finds it itself', [waits(1, 10, 20), waits(1, 20, 10)]],
  ['a process that has begun another transaction since', [waits(1, 10, 20), { ...waits(2, 20, 10), started: 'later' }]],
  ['one that others wait for, and that has begun another since', [{ ...waits(1, 10), blockers: [{ pid: 20, started: 'later' }] }, waits(2, 20, 10)]],
  ['a prepared transaction', [waits(1, 10, 0), waits(2, 20, 10)]],
])('no cycle: %s', (_, blocked) => {
  expect(findCycle('t1', blocked, members)).toBeUndefined();
});
