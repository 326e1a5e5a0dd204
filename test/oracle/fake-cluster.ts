import { Pool } from 'pg';
import type { ClusterUnderTest } from './install.ts';

/** One plain PostgreSQL under the cluster's interface: proves that the harness reports no false differences. */
export class FakeCluster extends Pool implements ClusterUnderTest {
  addNode(): Promise<void> {
    return Promise.resolve();
  }

  createDistributedTable(): Promise<void> {
    return Promise.resolve();
  }

  createReferenceTable(): Promise<void> {
    return Promise.resolve();
  }
}
