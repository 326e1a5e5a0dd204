import { setTimeout as delay } from 'node:timers/promises';
import type { Queryable } from '../harness/side.ts';
import { quantile } from '../harness/statistics.ts';

/** One client that updates rows by their key, one after the other, with a pause between two: a moment without an answer is a stall, not a queue. */
export interface PacedWriter {
  /** Latencies in milliseconds since the last call, sorted by time. */
  take(): number[];
  /** Rejects with the first error that the application would have seen. */
  stop(): Promise<void>;
}

const pauseMs = 2;

/** `tenants`: keys of the distribution column that it writes to, in turn; each has rows 1 to `rowsPerTenant`. */
export function startPacedWriter(database: Queryable, { table, tenants, rowsPerTenant }: { readonly table: string; readonly tenants: readonly number[]; readonly rowsPerTenant: number }): PacedWriter {
  let latencies: number[] = [];
  let isOver = false;
  const sql = `UPDATE ${table} SET counter = counter + 1 WHERE tenant_id = $1 AND id = $2`;
  const run = async (): Promise<void> => {
    for (let i = 0; ; i += 1) {
      if (isOver) return;
      const start = performance.now();
      const { rowCount } = await database.query({ name: `update ${table}`, text: sql, values: [tenants[i % tenants.length], 1 + ((i * 7_919) % rowsPerTenant)] });
      if (rowCount !== 1) throw new Error(`an update changed ${String(rowCount)} rows`);
      latencies.push(performance.now() - start);
      await delay(pauseMs);
    }
  };
  const running = run();
  // Told by stop().
  running.catch(() => undefined);
  return {
    take: () => latencies.splice(0),
    stop: () => {
      isOver = true;
      return running;
    },
  };
}

/** Of latencies, in milliseconds. */
export function p99(latencies: readonly number[]): number {
  return quantile(latencies, 0.99);
}
