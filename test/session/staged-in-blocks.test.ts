import type { Pool } from 'pg';
import { expect, test } from 'vitest';
import { startCluster } from '../coordinator/start-cluster.ts';

const counted = 'SELECT o.id, count(*) AS n FROM orders o JOIN notes n ON n.id = o.id GROUP BY 1';
const byKey = 'SELECT o.tenant_id, o.id, o.note, count(*) AS n FROM orders o JOIN notes n ON n.id = o.id GROUP BY o.tenant_id, o.id';
/** What is planned in stages over shards and a local table, with texts of ours that the coordinator database says an error of. */
const statements = [
  `UPDATE orders SET note = s.n FROM (${counted}) s WHERE s.id = orders.id`,
  `DELETE FROM orders USING (${byKey}) s WHERE s.id = orders.id AND s.note LIKE '%5'`,
  `MERGE INTO orders USING (${byKey}) s ON s.id = orders.id AND s.tenant_id = orders.tenant_id WHEN MATCHED THEN UPDATE SET note = s.note || s.n`,
  `INSERT INTO orders (tenant_id, id, note) SELECT tenant_id, 100 + id, note FROM (${byKey}) s`,
  `${byKey} ORDER BY 1, 2`,
];
/** After each the block's own connection to the coordinator database describes statements. */
const beginnings = ['SELECT count(*) FROM notes', 'INSERT INTO notes VALUES (77)', 'SET LOCAL search_path = public, pg_temp'];

test.for(statements)('in a block that has used the coordinator database: %s', async (statement) => {
  await using pair = await startCluster();
  const outcome = async (pool: Pool): Promise<unknown[]> => {
    const client = await pool.connect();
    const outcomes: unknown[] = [];
    try {
      for (const beginning of beginnings) {
        await client.query('BEGIN');
        await client.query(beginning);
        const { rowCount, rows } = await client.query(statement);
        outcomes.push([rowCount, rows, (await client.query('SELECT tenant_id, id, note FROM orders ORDER BY 1, 2')).rows, (await client.query('SELECT count(*) FROM notes')).rows]);
        await client.query('ROLLBACK');
      }
      return outcomes;
    } finally {
      client.release();
    }
  };
  expect(await outcome(pair.cluster as unknown as Pool)).toEqual(await outcome(pair.plain));
});
