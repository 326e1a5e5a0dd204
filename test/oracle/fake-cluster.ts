import type { Readable } from 'node:stream';
import { Pool, type QueryResult } from 'pg';
import { copyingOf } from './copying.ts';
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

  async *stream(sql: string, values: readonly unknown[] = []): AsyncGenerator {
    const result: QueryResult | QueryResult[] = await this.query(sql, [...values]);
    if (Array.isArray(result)) throw new Error('exactly one statement is expected');
    yield* result.rows as unknown[];
  }

  copyFrom(sql: string, source: Readable): Promise<{ readonly rowCount: number }> {
    return copyingOf(this).copyFrom(sql, source);
  }

  copyTo(sql: string): AsyncIterable<Uint8Array> {
    return copyingOf(this).copyTo(sql);
  }
}
