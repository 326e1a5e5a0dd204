import type { Pool, PoolClient } from 'pg';
import type { Change, Cluster } from '../src/index.ts'; // 'shardwright' in a program of yours

interface Order {
  readonly tenant_id: string;
  readonly id: string;
  readonly total: string;
}

/** Few transactions for many events; what waits is applied at the latest when so many have come. */
const batchMax = 500;

/**
 * Keeps a warehouse, any PostgreSQL, in step with the table `orders` of a cluster: a copy of its rows, and each tenant's total, to which changes are added. Adding twice would be wrong, so each change must count exactly once: the feed's cursor is
 * stored by the transaction that applies what lies before it, and the next run goes on from there. Runs until the signal is aborted, and may be killed at any moment.
 *
 * `orders` has REPLICA IDENTITY FULL, so that updates and deletes bring the old total along. A sink that has no transactions, such as a search index, takes the row's key as the document's, and is given again what it did not
 * acknowledge; events that come again have the same `id`.
 */
export async function keepInStep(cluster: Cluster, warehouse: Pool, signal: AbortSignal): Promise<void> {
  await warehouse.query(`
    CREATE TABLE IF NOT EXISTS order_copy (tenant_id bigint, id bigint, total numeric NOT NULL, PRIMARY KEY (tenant_id, id));
    CREATE TABLE IF NOT EXISTS tenant_total (tenant_id bigint PRIMARY KEY, total numeric NOT NULL);
    CREATE TABLE IF NOT EXISTS feed_cursor (feed text PRIMARY KEY, cursor text NOT NULL)`);
  const { rows: [stored] } = await warehouse.query<{ cursor: string }>(`SELECT cursor FROM feed_cursor WHERE feed = 'warehouse'`);
  await using changes = cluster.changes<Order>('orders', { name: 'warehouse', from: stored?.cursor, snapshot: true, signal });
  let batch: Change<Order>[] = [];
  for await (const change of changes) {
    batch.push(change);
    // A transaction's events come together; those of the snapshot are as good as one.
    const isWhole = change.kind === 'snapshot_end' || ('endsTransaction' in change && change.endsTransaction);
    if (!isWhole && batch.length < batchMax) continue;
    await apply(warehouse, batch);
    batch = [];
    // Only now: what is confirmed does not come again.
    if (change.cursor !== undefined) changes.confirm(change.cursor);
  }
}

async function apply(warehouse: Pool, batch: readonly Change<Order>[]): Promise<void> {
  const client = await warehouse.connect();
  try {
    await client.query('BEGIN');
    for (const change of batch) await applyOne(client, change);
    const cursor = batch.at(-1)?.cursor;
    if (cursor !== undefined) await client.query(`INSERT INTO feed_cursor VALUES ('warehouse', $1) ON CONFLICT (feed) DO UPDATE SET cursor = excluded.cursor`, [cursor]);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

async function applyOne(client: PoolClient, change: Change<Order>): Promise<void> {
  switch (change.kind) {
    case 'snapshot_begin':
      // What is there is of a snapshot that was not finished.
      await client.query('TRUNCATE order_copy, tenant_total');
      return;
    case 'snapshot_end':
      return;
    case 'insert':
      return put(client, change.row);
    case 'update':
      if (change.old !== undefined) await take(client, change.old);
      return put(client, { ...change.old, ...change.row } as Order);
    case 'delete':
      if (change.old !== undefined) await take(client, change.old);
      return;
    case 'truncate':
      throw new Error('orders were truncated: their hashes would have to be stored beside them');
  }
}

async function put(client: PoolClient, { tenant_id, id, total }: Order): Promise<void> {
  await client.query('INSERT INTO order_copy VALUES ($1, $2, $3)', [tenant_id, id, total]);
  await client.query('INSERT INTO tenant_total VALUES ($1, $2) ON CONFLICT (tenant_id) DO UPDATE SET total = tenant_total.total + excluded.total', [tenant_id, total]);
}

async function take(client: PoolClient, { tenant_id, id, total }: Order): Promise<void> {
  await client.query('DELETE FROM order_copy WHERE tenant_id = $1 AND id = $2', [tenant_id, id]);
  await client.query('UPDATE tenant_total SET total = total - $2 WHERE tenant_id = $1', [tenant_id, total]);
}
