import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Those that take ten seconds or more, in this order: begun last, they would run alone at the end, and how large a file is does not tell. */
const longest = [
  'oracle/matrix-18',
  'oracle/matrix-15',
  'move/split-faults',
  'txn/fault-matrix',
  'move/fault-matrix',
  'lookups/killed',
  'ddl/migrations/migrations',
  'move/distribute/distribute-faults',
  'move/move',
  'oracle/all-cases',
  'move/distribute/distribute-servers',
  'move/add-node',
  'wire/constants',
  'ddl/propagate/definitions',
  'ddl/propagate/partition-definitions',
  'ha/failover-loss',
  'session/sequences-on-nodes',
  'oracle/tpch',
  'oracle/harness',
  'catalog/hash/distribution-type',
  'ddl/check-schema',
  'coordinator/statement-timeout',
  'txn/snapshot',
  'ha/failover',
  'soak/feed/feed',
  'coordinator/deadlocks',
  'execute/staged/faults',
  'feed/feed',
  'move/split-oracle',
  'coordinator/local-keys',
  'feed/feed-moves',
  'soak/schema/schema',
  'ddl/publications',
  'rebalance/rebalance',
  'ddl/propagate/killed-process',
  'lookups/partitions',
  'ddl/alter-faults',
  'lookups/keeping',
  'isolation/isolation',
  'soak/lists/lists',
  'ddl/propagate/dumped-partitions',
  'move/published-moves',
  'execute/copy/copy-in-properties',
  'ha/endpoints',
  'move/split',
  'soak/bank/bank',
  'move/distribute/distribute-online',
  'coordinator/reference-led',
  'lookups/building',
  'wire/sessions',
  'feed/feed-faults',
  'ddl/create-distributed-table',
  'move/change-feed',
  'session/set-config',
  'execute/staged/killed-process',
  'verify/verify',
  'coordinator/local-keys-changing',
  'plan/golden',
  'move/move-partitions',
  'ha/own-writes',
  'lookups/upserting-queries',
  'ha/coordinator-patroni',
  'session/staged-in-blocks',
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
