import { beforeAll, describe, expect, test } from 'vitest';
import { loadGrammar } from '../../../src/sql/parse.ts';
import { shardedCopyIn } from '../../../src/execute/copy/sharded-copy-in.ts';
import type { ShardedCopyIn } from '../../../src/execute/copy/sharded-copy-in.ts';
import type { CopySource } from '../../../src/execute/copy/copy-source.ts';
import { createCopyCluster, readCopy, withTableName } from './copy-cluster.ts';
import type { CopyCluster } from './copy-cluster.ts';
import { failed } from './plain-copy.ts';
import type { CopyOutcome } from './plain-copy.ts';

beforeAll(() => loadGrammar());

const int4 = { oid: 23, modifier: -1, sql: 'integer' };

const orders = {
  definition: '(id integer NOT NULL, note text, qty integer)',
  columns: [{ name: 'id', type: int4 }, { name: 'note' }, { name: 'qty', type: int4 }],
  distributionColumn: 'id',
} as const;

async function run(cluster: CopyCluster, sql: string, source: CopySource, more: Partial<ShardedCopyIn> = {}): Promise<CopyOutcome> {
  const transaction = cluster.begin();
  try {
    const count = await shardedCopyIn(source, {
      copy: readCopy(sql),
      table: cluster.table,
      shards: cluster.shards,
      transaction,
      shardOf: (value) => (/^\s*-?\d+\s*$/.test(String(value)) ? Math.abs(Number(value)) % cluster.shards.length : undefined),
      defaults: cluster.defaults,
      serverVersion: cluster.serverVersion,
      translateError: withTableName,
      ...more,
    });
    await transaction.commit();
    return { kind: 'rows', count };
  } catch (error) {
    await transaction.rollback();
    return failed(error);
  }
}

describe('COPY into shards', () => {
  test('each row goes to its shard, in every format', async () => {
    await using cluster = await createCopyCluster(orders);
    expect(await run(cluster, 'COPY orders FROM STDIN', '1\tone\t10\n2\t\\N\t20\n5\ta\\tb\t\\N\n')).toEqual({ kind: 'rows', count: 3 });
    expect(await run(cluster, 'COPY orders (qty, id) FROM STDIN CSV HEADER', 'qty,id\n7,"9"\n')).toEqual({ kind: 'rows', count: 1 });
    expect(await cluster.rowsOf(1)).toEqual(['(1,one,10)', '(5,"a\tb",)', '(9,,7)']);
    expect(await cluster.rowsOf(2)).toEqual(['(2,,20)']);
  });
});
