import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Those that take longest, in this order, and those that take longer than their size tells: begun last, they would run alone at the end. */
const longest = [
  'oracle/matrix-18',
  'move/fault-matrix',
  'oracle/matrix-15',
  'lookups/killed',
  'move/split-faults',
  'session/sequences-on-nodes',
  'txn/fault-matrix',
  'ddl/migrations/migrations',
  'move/move',
  'move/add-node',
  'move/split-oracle',
  'move/distribute/distribute-servers',
  'oracle/all-cases',
  'ddl/propagate/definitions',
  'oracle/tpch',
  'embedded/owner-ends',
  'move/distribute/distribute-faults',
  'execute/copy/copy-in-properties',
  'ddl/propagate/partition-definitions',
  'ha/unknown-outcome',
  'regressions/regressions',
  'rebalance/rebalance',
  'ddl/propagate/killed-process',
  'wire/constants',
  'docs/readme',
  'isolation/isolation',
  'coordinator/statement-timeout',
  'soak/feed/feed',
  'catalog/hash/distribution-type',
  'ha/failover-definitions',
  'ha/coordinator-patroni',
  'execute/staged/faults',
  'embedded/standby',
  'feed/feed-moves',
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
