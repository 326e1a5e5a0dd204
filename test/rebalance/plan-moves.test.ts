import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type NodeId, nodeId, shardGroupId } from '../../src/catalog/ids.ts';
import { type PlanInput, planMoves } from '../../src/rebalance/plan-moves.ts';

const input = fc.record({ nodes: fc.array(fc.constantFrom(0, 1, 1, 1, 2, 3, 1e-6, 1e9), { minLength: 1, maxLength: 5 }), costs: fc.array(fc.tuple(fc.nat(), fc.constantFrom(0, 1, 1, 1, 2, 5, 40, 1e15, 1e300)), { maxLength: 20 }), threshold: fc.constantFrom(0, 0.1, 0.5), barred: fc.nat() })
  .filter(({ nodes }) => nodes.some((capacity) => capacity > 0))
  .map(({ nodes, costs, threshold, barred }): PlanInput => ({
    nodes: nodes.map((capacity, i) => ({ id: nodeId(i + 1), capacity })),
    groups: costs.map(([place, cost], i) => ({ id: shardGroupId(i + 1), node: nodeId((place % nodes.length) + 1), cost })),
    threshold,
    movesMax: Infinity,
    allowed: (group, node) => (group + node + barred) % 5 !== 0,
  }));

const squares = ({ nodes }: PlanInput, groups: PlanInput['groups']): number => nodes.filter(({ capacity }) => capacity > 0).reduce((sum, { id, capacity }) => sum + groups.filter(({ node }) => node === id).reduce((load, { cost }) => load + cost, 0) ** 2 / capacity, 0);

/** The groups after the moves, each of which must begin where its group is. */
function moved({ groups }: PlanInput, moves: ReturnType<typeof planMoves>): PlanInput['groups'] {
  const places = new Map(groups.map(({ id, node }) => [id, node]));
  for (const { group, from, to } of moves) {
    expect(places.get(group)).toBe(from);
    expect(to).not.toBe(from);
    places.set(group, to);
  }
  return groups.map((group) => ({ ...group, node: places.get(group.id) as NodeId }));
}

test('a plan ends, is never worse, keeps to what is allowed, and leaves nothing to a second one', () => {
  fc.assert(fc.property(input, (given) => {
    const moves = planMoves(given);
    const after = moved(given, moves);
    const isPlaced = given.groups.every(({ id, node }) => given.allowed(id, node) && given.nodes.some((one) => one.id === node && one.capacity > 0));
    if (isPlaced) expect(squares(given, after)).toBeLessThanOrEqual(squares(given, given.groups));
    for (const { group, to } of moves) {
      expect(given.allowed(group, to)).toBe(true);
      expect(given.nodes.find(({ id }) => id === to)?.capacity).toBeGreaterThan(0);
    }
    for (const { id, node } of after) {
      const hasPlace = given.nodes.some((one) => one.capacity > 0 && given.allowed(id, one.id));
      if (hasPlace) expect(given.allowed(id, node) && given.nodes.some((one) => one.id === node && one.capacity > 0)).toBe(true);
    }
    expect(planMoves({ ...given, groups: after })).toEqual([]);
    expect(planMoves({ ...given, movesMax: 2 })).toEqual(moves.slice(0, 2));
  }), { numRuns: 2_000 });
});

test('counted shards end up as evenly as can be', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 6 }), fc.array(fc.nat(), { maxLength: 40 }), (count, places) => {
    const given: PlanInput = {
      nodes: Array.from({ length: count }, (_, i) => ({ id: nodeId(i + 1), capacity: 1 })),
      groups: places.map((place, i) => ({ id: shardGroupId(i + 1), node: nodeId((place % count) + 1), cost: 1 })),
      threshold: 0, movesMax: Infinity, allowed: () => true,
    };
    const after = moved(given, planMoves(given));
    const counts = given.nodes.map(({ id }) => after.filter(({ node }) => node === id).length);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    // And no group is moved twice.
    const groups = planMoves(given).map(({ group }) => group);
    expect(new Set(groups).size).toBe(groups.length);
  }), { numRuns: 500 });
});

/** Nodes with so many groups of these costs each; all may be everywhere. */
function given(costs: readonly (readonly number[])[], more: Partial<PlanInput> = {}): PlanInput {
  let id = 0;
  return {
    nodes: costs.map((_, i) => ({ id: nodeId(i + 1), capacity: 1 })),
    groups: costs.flatMap((own, i) => own.map((cost) => ({ id: shardGroupId((id += 1)), node: nodeId(i + 1), cost }))),
    threshold: 0, movesMax: Infinity, allowed: () => true, ...more,
  };
}

test.each<[string, PlanInput, number]>([
  ['no nodes', given([]), 0],
  ['no groups', given([[], []]), 0],
  ['one node', given([[1, 5, 9]]), 0],
  ['nothing costs anything', given([[0, 0, 0], []]), 0],
  ['only one costs anything, and is alone', given([[7], [0, 0]]), 0],
  ['equal costs, equally placed', given([[3, 3], [3, 3]]), 0],
  ['equal costs, all on one node', given([[3, 3, 3, 3], []]), 2],
  ['huge costs', given([[1.7e308, 1.7e308], []]), 1],
  ['tiny ones', given([[5e-324, 5e-324], []]), 1],
  ['within the threshold', given([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1]], { threshold: 0.1 }), 0],
  ['beyond it', given([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1]], { threshold: 0.1 }), 1],
  ['a node that is to have nothing', given([[1, 2, 3], [], []], { nodes: [0, 1, 1].map((capacity, i) => ({ id: nodeId(i + 1), capacity })) }), 3],
  ['no node that is to have anything', given([[1, 2, 3], []], { nodes: [0, 0].map((capacity, i) => ({ id: nodeId(i + 1), capacity })) }), 0],
  ['nothing may be anywhere else', given([[1, 2, 3], []], { allowed: (_, node) => node === 1 }), 0],
])('%s', (_, input_, count) => {
  expect(planMoves(input_)).toHaveLength(count);
});
