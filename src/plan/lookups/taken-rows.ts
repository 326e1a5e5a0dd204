import type { Column } from '../../catalog/catalog-snapshot.ts';

/** The rows of an upsert whose keys are taken, as a statement about all of a shard's has them: for each of `columns` an array of texts, which are parameters in that order, and behind them the rows' places. */
export class TakenRows {
  readonly #columns: readonly Column[];

  constructor(columns: readonly Column[]) {
    this.#columns = columns;
  }

  /** For FROM. */
  get source(): string {
    const values = this.#columns.map((_, i) => `pg_catalog.unnest($${i + 1}::pg_catalog.text[])`);
    const names = this.#columns.map((_, i) => `${prefix}${i + 1}`);
    return `ROWS FROM (${[...values, `pg_catalog.unnest($${this.parameters}::pg_catalog.int4[])`].join(', ')}) AS ${alias} (${[...names, place].join(', ')})`;
  }

  /** How many there are. */
  get parameters(): number {
    return this.#columns.length + 1;
  }

  get place(): string {
    return `${alias}.${place}`;
  }

  /** A value of the row, of its column's type. */
  value(i: number): string {
    return `CAST(${alias}.${prefix}${i + 1} AS ${this.#columns[i]?.type.sql ?? ''})`;
  }
}

/** Whether a name of the caller's might be taken for one of these. */
export function namesTakenRows(name: string): boolean {
  return name.startsWith(prefix);
}

const prefix = 'shardwright_taken_';
const alias = `${prefix}rows`;
const place = `${prefix}place`;
