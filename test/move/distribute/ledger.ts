import type { Cluster } from '../../../src/index.ts';

/** Writers on one table, and what they were told. */
export interface Ledger {
  /** Statements that failed, and answers that were not what had been acknowledged before. */
  readonly objections: unknown[];
  readonly writes: () => number;
  readonly longestMs: () => number;
  /** Stops the writers and resolves to what must be there: a line for each row. */
  stop(): Promise<string[]>;
}

export const ledgerTable = (name: string): string => `CREATE TABLE ${name} (tenant bigint NOT NULL, id bigint, total int NOT NULL DEFAULT 0, note text, PRIMARY KEY (tenant, id))`;

interface LedgerOptions {
  readonly writers: number;
  /** Between two rows of a writer, in ms. */
  readonly pauseMs?: number;
}

/** Each writer has rows of its own, so it knows what became of each; it writes through one process and reads through the next. */
export function startLedger(clusters: readonly Cluster[], table: string, { writers, pauseMs = 0 }: LedgerOptions): Ledger {
  const rows = new Map<string, number>();
  const objections: unknown[] = [];
  let [writes, longestMs, isOver] = [0, 0, false];
  const acknowledged = async (work: () => Promise<unknown>): Promise<boolean> => {
    const began = performance.now();
    try {
      await work();
      writes += 1;
      return true;
    } catch (error) {
      objections.push(error);
      return false;
    } finally {
      longestMs = Math.max(longestMs, performance.now() - began);
    }
  };
  const write = async (number: number): Promise<void> => {
    for (let i = 0; ; i += 1) {
      if (isOver || objections.length > 20) return;
      const [one, other] = [clusters[(number + i) % clusters.length] as Cluster, clusters[(number + i + 1) % clusters.length] as Cluster];
      const [tenant, id] = [i % 23, (number + 1) * 1e6 + i];
      const key = `${tenant}/${id}`;
      if (!(await acknowledged(() => one.query(`INSERT INTO ${table} VALUES ($1, $2, 0, $3)`, [tenant, id, i % 20 === 0 ? 'large '.repeat(2_000) : 'sm\\all\t'])))) continue;
      rows.set(key, 0);
      if (i % 2 === 0 && (await acknowledged(() => one.query(`UPDATE ${table} SET total = total + 1 WHERE tenant = $1 AND id = $2`, [tenant, id])))) rows.set(key, 1);
      if (i % 3 === 0) await acknowledged(async () => {
        const { rows: found } = await other.query<{ total: number }>(`SELECT total FROM ${table} WHERE id = $1`, [id]);
        if (found.length !== 1 || found[0]?.total !== rows.get(key)) objections.push(`${key} was read as ${JSON.stringify(found)}, not ${rows.get(key)}`);
      });
      if (i % 5 === 0 && (await acknowledged(() => other.query(`DELETE FROM ${table} WHERE tenant = $1 AND id = $2`, [tenant, id])))) rows.delete(key);
      if (i % 9 === 0 && (await acknowledged(() => other.query(`UPDATE ${table} SET total = total + 10 WHERE id = $1`, [id]))) && rows.has(key)) rows.set(key, (rows.get(key) ?? 0) + 10);
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  const running = Array.from({ length: writers }, (_, number) => write(number));
  return {
    objections,
    writes: () => writes,
    longestMs: () => longestMs,
    stop: async () => {
      isOver = true;
      await Promise.all(running);
      return [...rows].map(([key, total]) => `${key}: ${total}`).sort();
    },
  };
}

/** What is there of the writers, in the same form. */
export async function ledgerRows(cluster: Cluster, table: string): Promise<string[]> {
  const { rows } = await cluster.query<{ line: string }>(`SELECT tenant || '/' || id || ': ' || total AS line FROM ${table} WHERE id >= 1000000`);
  return rows.map(({ line }) => line).sort();
}
