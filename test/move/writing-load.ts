import type { Cluster } from '../../src/index.ts';

/** Writers, and what they were told: every row that was acknowledged, and each statement that failed. */
export interface WritingLoad {
  readonly failures: unknown[];
  readonly writes: () => number;
  /** Stops the writers and resolves to what must be there: a line for each row of `orders`. */
  stop(): Promise<string[]>;
}

export interface LoadOptions {
  readonly tenants: number;
  readonly writers: number;
  /** Keys of this load begin here, so that loads one after the other do not meet. */
  readonly from: number;
  /** Of a writer's rows, in order: all tenants in turn by default. */
  readonly tenantOf?: ((row: number) => number) | undefined;
}

/** Each writer has rows of its own, so it knows what became of each. Foreign keys with ON DELETE CASCADE hang on them. */
export function startLoad(clusters: readonly Cluster[], { tenants, writers, from, tenantOf = (row) => row % tenants }: LoadOptions): WritingLoad {
  const rows = new Map<string, number>();
  const failures: unknown[] = [];
  let writes = 0;
  let isOver = false;
  const acknowledged = async (work: () => Promise<unknown>): Promise<boolean> => {
    try {
      await work();
      writes += 1;
      return true;
    } catch (error) {
      failures.push(error);
      return false;
    }
  };
  const write = async (cluster: Cluster, number: number): Promise<void> => {
    for (let i = 0; ; i += 1) {
      if (isOver) return;
      const tenant = tenantOf(i);
      const id = from + number * 1e6 + i;
      const key = `${tenant}/${id}`;
      if (!(await acknowledged(() => cluster.query('INSERT INTO orders VALUES ($1, $2, 0, $3, $4)', [tenant, id, i % 20 === 0 ? 'large '.repeat(2_000) : 'sm\\all\t', 'free'])))) continue;
      rows.set(key, 0);
      await acknowledged(() => cluster.query('INSERT INTO items VALUES ($1, $2, 1), ($1, $2, 1)', [tenant, id]));
      if (i % 2 === 0 && (await acknowledged(() => cluster.query('UPDATE orders SET total = total + 1 WHERE tenant = $1 AND id = $2', [tenant, id])))) rows.set(key, 1);
      if (i % 5 === 0 && (await acknowledged(() => cluster.query('DELETE FROM orders WHERE tenant = $1 AND id = $2', [tenant, id])))) rows.delete(key);
      // Of several nodes: committed in two phases.
      if (i % 9 === 0 && (await acknowledged(() => cluster.query('UPDATE orders SET total = total + 10 WHERE id = $1', [id]))) && rows.has(key)) rows.set(key, (rows.get(key) ?? 0) + 10);
      if (i % 7 === 0) await acknowledged(() => cluster.query('SELECT count(*) FROM orders o JOIN items i USING (tenant, id) WHERE o.id = $1', [id]));
    }
  };
  const running = Array.from({ length: writers }, (_, number) => write(clusters[number % clusters.length] as Cluster, number));
  return {
    failures,
    writes: () => writes,
    stop: async () => {
      isOver = true;
      await Promise.all(running);
      return [...rows].map(([key, total]) => `${key}: ${total}`).sort();
    },
  };
}

/** What is there of it, in the same form; and the items, which must be those of the orders. */
export async function rowsThere(cluster: Cluster, from: number): Promise<{ readonly orders: string[]; readonly items: number; readonly orphans: number }> {
  const orders = await cluster.query<{ line: string }>(`SELECT tenant || '/' || id || ': ' || total AS line FROM orders WHERE id >= $1 AND id < $1 + 100000000`, [from]);
  const items = await cluster.query<{ count: string; orphans: string }>(`SELECT count(*), count(*) FILTER (WHERE o.id IS NULL) AS orphans FROM items i LEFT JOIN orders o USING (tenant, id) WHERE i.id >= $1 AND i.id < $1 + 100000000`, [from]);
  return { orders: orders.rows.map(({ line }) => line).sort(), items: Number(items.rows[0]?.count), orphans: Number(items.rows[0]?.orphans) };
}
