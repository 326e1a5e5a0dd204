import type { Cell } from './cell.ts';

/** Each runs a third of the cases, another third than its neighbours. A file for each version, which workers run side by side. */
export const cells: readonly Cell[] = [
  { major: 18, nodes: 1, shardCount: 1, share: { every: 3, offset: 0 } },
  { major: 18, nodes: 3, shardCount: 2, share: { every: 3, offset: 1 } },
  { major: 15, nodes: 3, shardCount: 7, share: { every: 3, offset: 2 } },
  { major: 15, nodes: 1, shardCount: 2, share: { every: 3, offset: 0 } },
  { major: 15, nodes: 3, shardCount: 32, share: { every: 3, offset: 1 } },
  { major: 18, nodes: 3, shardCount: 7, share: { every: 3, offset: 0 }, options: { tuning: { batchRows: 1 } } },
  { major: 18, nodes: 3, shardCount: 7, share: { every: 3, offset: 1 }, options: { tuning: { exclusivePerNode: 1 } } },
  { major: 18, nodes: 3, shardCount: 7, share: { every: 3, offset: 2 }, options: { tuning: { finishing: 'server' } } },
  { major: 15, nodes: 1, shardCount: 2, share: { every: 3, offset: 1 }, options: { tuning: { finishing: 'server', batchRows: 1 } } },
  { major: 15, nodes: 3, shardCount: 7, share: { every: 2, offset: 0 }, options: { tuning: { unite: true } } },
  { major: 18, nodes: 1, shardCount: 7, share: { every: 2, offset: 1 }, options: { tuning: { unite: true } } },
  { major: 18, nodes: 1, shardCount: 7, share: { every: 2, offset: 0 }, options: { tuning: { lookupCostMax: 0, exclusivePerNode: 1 } } },
  { major: 18, nodes: 3, shardCount: 7, singleShard: 'tenants', share: { every: 3, offset: 0 } },
  { major: 15, nodes: 3, shardCount: 3, singleShard: 'all', share: { every: 3, offset: 1 } },
];
