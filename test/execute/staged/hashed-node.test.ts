import { expect, test } from 'vitest';
import { present } from '../../../src/base/assert.ts';
import type { CatalogSnapshot } from '../../../src/catalog/catalog-snapshot.ts';
import { colocationId, nodeId } from '../../../src/catalog/ids.ts';
import { hashedNode } from '../../../src/execute/staged/hashed-node.ts';
import { oddSnapshot } from '../../sql/odd-snapshot.ts';

const colocation = colocationId(1);

/** Negative hashes on node 1, the others on node 2. */
function snapshotOf(distributionType: string): CatalogSnapshot {
  const snapshot = oddSnapshot();
  const group = present(snapshot.colocationGroups.get(colocation));
  const shardGroups = group.shardGroups.map((shardGroup, i) => ({ ...shardGroup, node: nodeId(i + 1) }));
  return { ...snapshot, colocationGroups: new Map([[colocation, { ...group, distributionType, shardGroups }]]) };
}

test.each([
  // hashint8 on a server: -272711505, -1905060026, 1134484726, -28094569.
  ['bigint', '0', 1], ['bigint', '1', 1], ['bigint', '2', 2], ['bigint', '3', 1],
  // Equal values, written otherwise.
  ['bigint', '02', 2], ['bigint', '+2', 2], ['integer', '2', 2], ['numeric', '2.50', 'as 2.5'], ['uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'as a0eebc999c0b4ef8bb6d6bb9bd380a11'],
  // What equals nothing is somewhere, once.
  ['bigint', null, 1], ['bigint', 'x', 1], ['bigint', '2.5', 1], ['bigint', '99999999999999999999', 1], ['uuid', 'x', 1],
] as const)('%s %j is on node %s', (type, value, expected) => {
  const nodeOf = hashedNode({ colocation, column: 1 }, snapshotOf(type));
  const other = typeof expected === 'string' ? nodeOf(['ignored', expected.slice(3)]) : expected;
  expect(nodeOf(['ignored', value])).toBe(other);
});

test('values of a type are on both nodes', () => {
  for (const type of ['bigint', 'integer', 'text', 'numeric']) {
    const nodeOf = hashedNode({ colocation, column: 0 }, snapshotOf(type));
    expect(new Set(Array.from({ length: 40 }, (_, i) => nodeOf([String(i)]))).size).toBe(2);
  }
});
