import { describe, expect, it } from 'vitest';
import type { Variant } from '../../bench/harness/bench.ts';
import { ClusterError } from '../../src/index.ts';
import { measureVariant } from '../../bench/harness/measure-variant.ts';
import { clusterSide, plainSide, type Side } from '../../bench/harness/side.ts';
import { ratioAtLeast, ratioAtMost } from '../../bench/harness/targets.ts';

const plain = plainSide('postgresql://nowhere');
const cluster = clusterSide('postgresql://nowhere', plain.pool(1));
const sides = { plain, cluster };

/** Answers with prepared values, one per call on a side. */
function scripted(values: { readonly plain: readonly number[]; readonly cluster: readonly number[] }, seen: string[] = []): Variant['measure'] {
  const calls = { plain: 0, cluster: 0 };
  return ({ kind }: Side) => {
    seen.push(kind);
    return Promise.resolve([values[kind][calls[kind]++] ?? Number.NaN]);
  };
}

describe('measureVariant', () => {
  it('warms up, then takes turns in the order A B B A, and reports medians without the warm-up', async () => {
    const seen: string[] = [];
    const variant: Variant = {
      metrics: [{ name: 'x/1', unit: 'ms', target: ratioAtMost(2) }],
      measure: scripted({ plain: [1000, 1, 3, 2], cluster: [1000, 6, 6, 2] }, seen),
    };
    const [result] = await measureVariant(variant, sides, 3);
    expect(result).toMatchObject({ name: 'x/1', unit: 'ms', plain: 2, cluster: 6, ratio: 3, met: false, problem: undefined });
    expect(seen).toEqual(['plain', 'cluster', 'cluster', 'plain', 'plain', 'cluster', 'cluster', 'plain']);
  });

  it('counts the first round of what is warm already', async () => {
    const variant: Variant = { metrics: [{ name: 'x/1', unit: 'ms' }], warm: true, measure: scripted({ plain: [1, 3], cluster: [2, 2] }) };
    expect(await measureVariant(variant, sides, 2)).toMatchObject([{ plain: 2, cluster: 2 }]);
  });

  it('goes on with one side when the other fails, and says why', async () => {
    const variant: Variant = {
      metrics: [{ name: 'x/1', unit: 'ops/s', target: ratioAtLeast(1) }],
      measure: ({ kind }) => (kind === 'cluster' ? Promise.reject(new Error('not yet')) : Promise.resolve([5])),
    };
    const [result] = await measureVariant(variant, sides, 2);
    expect(result).toMatchObject({ plain: 5, cluster: null, ratio: null, met: undefined, problem: 'cluster: not yet' });
  });

  it('tells a refusal of the cluster from a failure', async () => {
    const refusal = new ClusterError('unsupportedQuery', 'the statement cannot be distributed', { detail: 'Because.' });
    const variant: Variant = {
      metrics: [{ name: 'x/1', unit: 'ms', target: ratioAtMost(1) }],
      verify: () => Promise.reject(refusal),
      measure: ({ kind }) => (kind === 'cluster' ? Promise.reject(refusal) : Promise.resolve([5])),
    };
    expect(await measureVariant(variant, sides, 2)).toMatchObject([
      { plain: 5, cluster: null, ratio: null, met: undefined, refused: 'SW001 the statement cannot be distributed. Because.', problem: undefined },
    ]);
    const failing: Variant = { ...variant, verify: () => Promise.reject(new ClusterError('nodeUnreachable', 'no node')) };
    expect(await measureVariant(failing, sides, 1)).toMatchObject([{ problem: 'rows: no node' }]);
  });

  it('reports rows that differ, and still measures', async () => {
    const variant: Variant = {
      metrics: [{ name: 'x/1', unit: 'ms' }],
      verify: () => Promise.resolve('row 3 differs'),
      measure: () => Promise.resolve([1]),
    };
    const [result] = await measureVariant(variant, sides, 1);
    expect(result).toMatchObject({ plain: 1, cluster: 1, problem: 'row 3 differs' });
  });

  it('measures nothing when the preparation fails', async () => {
    const variant: Variant = {
      metrics: [{ name: 'x/1', unit: 'ms' }],
      prepare: () => Promise.reject(new Error('no table')),
      measure: () => Promise.resolve([1]),
    };
    expect(await measureVariant(variant, sides, 1)).toMatchObject([{ plain: null, cluster: null, problem: 'preparing: no table' }]);
  });
});
