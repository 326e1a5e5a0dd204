import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Those that take longest, in this order: begun last, they would run alone at the end. */
const longest = [
  'move/split-faults',
  'move/fault-matrix',
  'txn/fault-matrix',
  'oracle/matrix-15',
  'oracle/matrix-18',
  'ddl/migrations/migrations',
  'move/add-node',
  'move/distribute/distribute-faults',
  'move/move',
  'move/distribute/distribute-servers',
  'oracle/all-cases',
  'soak/feed/feed',
  'wire/constants',
  'catalog/hash/distribution-type',
  'ddl/propagate/definitions',
  'ddl/propagate/partition-definitions',
  'rebalance/rebalance',
  'oracle/tpch',
].map((name) => `/test/${name}.test.ts`);

/** The order of test files: as Vitest's own, but for those. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const found = longest.findIndex((name) => moduleId.endsWith(name));
      return found === -1 ? longest.length : found;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
