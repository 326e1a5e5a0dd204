import { afterAll, beforeAll, expect, test } from 'vitest';
import { shardedCopyIn } from '../../../src/execute/copy/sharded-copy-in.ts';
import { shardedCopyOut } from '../../../src/execute/copy/sharded-copy-out.ts';
import type { ShardedCopyOut } from '../../../src/execute/copy/sharded-copy-out.ts';
import { loadGrammar } from '../../../src/sql/parse.ts';
import { createCopyCluster, readCopy, withTableName } from './copy-cluster.ts';
import type { CopyCluster, DirectTransaction } from './copy-cluster.ts';
import { plainCopyIn, plainCopyOut } from './plain-copy.ts';

const rows = 4000;
const clusters: CopyCluster[] = [];

beforeAll(async () => {
  await loadGrammar();
  for (const nodes of [1, 3]) {
    const cluster = await createCopyCluster({
      nodes,
      shards: 5,
      definition: '(id integer, note text)',
      columns: [{ name: 'id', type: { oid: 23, modifier: -1, sql: 'integer' } }, { name: 'note' }],
      distributionColumn: 'id',
    });
    clusters.push(cluster);
    await cluster.coordinator.query('CREATE TABLE plain.back (id integer, note text)');
    await cluster.coordinator.query(`INSERT INTO plain.orders SELECT i, repeat('n', i % 50) || E'\\n,"' FROM generate_series(1, ${rows}) AS i`);
    const transaction = cluster.begin();
    await shardedCopyIn(await plainCopyOut(cluster.coordinator, 'COPY plain.orders TO STDOUT BINARY'), {
      ...cluster,
      copy: readCopy('COPY orders FROM STDIN BINARY'),
      transaction,
      // The last shard stays empty.
      shardOf: (value) => Number(value) % 4,
      translateError: withTableName,
    });
    await transaction.commit();
  }
});

afterAll(async () => {
  for (const cluster of clusters) await cluster[Symbol.asyncDispose]();
});

function open(cluster: CopyCluster, transaction: DirectTransaction, more: Partial<ShardedCopyOut> & { sql: string }): AsyncGenerator<Uint8Array> {
  return shardedCopyOut({
    copy: readCopy(more.sql),
    parts: cluster.shards.map(({ node, name }) => ({ node, source: `${name} (id, note)` })),
    copyOut: async function* (node, sql, options) {
      yield* (await transaction.join(node, 'read', options)).copyOut(sql, options);
    },
    translateError: withTableName,
    ...more,
  });
}

test.each(['', '(FORMAT csv, HEADER, FORCE_QUOTE (note))', '(HEADER)', 'BINARY'])('one stream, which one server reads back: %s', async (options) => {
  for (const cluster of clusters) {
    const transaction = cluster.begin();
    const chunks: Uint8Array[] = [];
    for await (const chunk of open(cluster, transaction, { sql: `COPY orders TO STDOUT ${options}` })) chunks.push(chunk);
    await transaction.commit();
    await cluster.coordinator.query('TRUNCATE plain.back');
    const sql = `COPY plain.back FROM STDIN ${options.replace('HEADER', 'HEADER match').replace(', FORCE_QUOTE (note)', '')}`;
    expect(await plainCopyIn(cluster.coordinator, sql, Buffer.concat(chunks))).toEqual({ kind: 'rows', count: rows });
    const differing = await cluster.coordinator.query('SELECT * FROM plain.back EXCEPT ALL SELECT * FROM plain.orders');
    expect(differing.rows).toEqual([]);
  }
});

test('leaving early frees the connections', async () => {
  for (const cluster of clusters) {
    const transaction = cluster.begin();
    for await (const chunk of open(cluster, transaction, { sql: 'COPY orders TO STDOUT' })) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    await transaction.rollback();
  }
});

test('an abort between chunks, and a part that fails', async () => {
  for (const cluster of clusters) {
    const controller = new AbortController();
    const transaction = cluster.begin();
    const reading = (async () => {
      for await (const chunk of open(cluster, transaction, { sql: 'COPY orders TO STDOUT', signal: controller.signal })) {
        if (chunk.length > 0) controller.abort();
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: '57014' });
    await transaction.rollback();

    const failing = cluster.begin();
    const parts = cluster.shards.map(({ node }, index) => ({ node, source: index === 1 ? '(SELECT 1 / 0)' : '(SELECT 1)' }));
    const chunks = async (): Promise<void> => {
      for await (const chunk of open(cluster, failing, { sql: 'COPY orders TO STDOUT', parts })) expect(chunk.length).toBe(2);
    };
    await expect(chunks()).rejects.toMatchObject({ code: '22012' });
    await failing.rollback();
  }
});
