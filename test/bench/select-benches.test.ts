import { describe, expect, it } from 'vitest';
import { allBenches, selectBenches } from '../../bench/benches/all-benches.ts';

const namesOf = (names: readonly string[]): string[] => selectBenches(names).map((bench) => bench.name);

describe('selectBenches', () => {
  it('has those of the multi-tenant tables without names', () => {
    expect(allBenches.filter((bench) => !selectBenches([]).includes(bench)).map((bench) => bench.name)).toEqual(['transactions', 'distribute', 'boot', 'recovery', 'move', 'dropped-node', 'wire', 'tpch', 'tpch-reference']);
  });
  it('takes names and groups, each bench once', () => {
    expect(namesOf(['stream'])).toEqual(['stream']);
    expect(namesOf(['analytics'])).toEqual(['tpch', 'tpch-reference']);
    expect(namesOf(['tpch', 'analytics', 'plan'])).toEqual(['plan', 'tpch', 'tpch-reference']);
  });
});
