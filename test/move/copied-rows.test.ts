import { expect, test } from 'vitest';
import { nodeId } from '../../src/catalog/ids.ts';
import { createNodePools } from '../../src/cluster/node-pools.ts';
import { copiedRows } from '../../src/move/copied-rows.ts';
import { createTestDatabases } from '../support/test-databases.ts';

test('rows are counted while their bytes come, in both forms of COPY', async () => {
  await using databases = await createTestDatabases({ nodes: 0 });
  const pools = createNodePools([{ id: nodeId(0), name: 'server', config: { client: { connectionString: databases.coordinator.connectionString } } }]);
  await using _pools = { [Symbol.asyncDispose]: () => pools.end() };
  const source = await pools.get(nodeId(0)).acquire();
  for (const format of ['binary', 'text'] as const) {
    for (const count of [0, 1, 5_000]) {
      let [rows, chunks, bytes] = [0, 0, 0];
      for await (const chunk of copiedRows(source, { query: `SELECT g, repeat('x', 100) FROM generate_series(1, ${count}) g`, format, signal: new AbortController().signal })) {
        rows += chunk.rows;
        bytes += chunk.bytes.length;
        chunks += 1;
        expect(chunk.rows, `${format}, ${count} rows`).toBeGreaterThanOrEqual(0);
      }
      expect(rows, format).toBe(count);
      expect(bytes).toBeGreaterThanOrEqual(count * 100);
      if (count > 1) expect(chunks).toBeGreaterThan(1);
    }
  }
  source.release();
});
