import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';

/** About how many rows, and their width in bytes. */
export interface RowEstimate {
  readonly rows: number;
  readonly width: number;
}

/** What choosing a plan asks of the servers' planners. A wrong estimate makes a slower plan, never another answer. */
export interface Statistics {
  /** The rows of a query over one table; `sqlFor` gives it for one shard. Undefined where no server could tell. */
  table(table: CatalogTable, sqlFor: (ordinal: number) => string): Promise<RowEstimate | undefined>;
  /** Those of a query of the coordinator database. */
  local(sql: string): Promise<RowEstimate | undefined>;
  /** How many bytes a part of a query once sent that was believed to be much smaller, by its text. */
  seen(part: string): number | undefined;
}

/** Nothing is known. */
export const noStatistics: Statistics = { table: () => Promise.resolve(undefined), local: () => Promise.resolve(undefined), seen: () => undefined };
