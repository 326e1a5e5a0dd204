import { Cluster } from '../../src/index.ts';
import { describeCell } from './describe-cell.ts';

describeCell({ major: 18, nodes: 3, shardCount: 7, share: { every: 1, offset: 0 } }, (options) => new Cluster(options));
