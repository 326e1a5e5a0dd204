import type { ObjectNames, Outcome, Queryable } from './outcome.ts';
import { runRaw } from './outcome.ts';
import { restoreWriteTables, type WriteTable, writeTableNames } from './write-seed.ts';

interface Side {
  readonly pool: Queryable;
  readonly names: ObjectNames;
}

/** Knows which write tables hold their seed on both sides: most cases write none or one of them, and restoring all takes longer than the case. */
export class WriteTables {
  #touched: ReadonlySet<WriteTable> = new Set(writeTableNames);
  readonly #seeds = new Map<WriteTable, string>();

  constructor(
    private readonly plain: Side,
    private readonly cluster: Side,
  ) {}

  /** Brings those that may hold anything else back to their seed. Until they are seen again, all may. */
  async restore(): Promise<void> {
    const touched = this.#touched;
    this.#touched = new Set(writeTableNames);
    await Promise.all([this.plain, this.cluster].map(({ pool }) => restoreWriteTables(pool, touched)));
    for (const table of writeTableNames) if (!this.#seeds.has(table)) this.#seeds.set(table, contentOf(await runRaw(this.plain.pool, this.plain.names, `SELECT * FROM ${table}`)));
  }

  /** What a case has left in a table, on both sides. */
  seen(table: WriteTable, outcomes: readonly Outcome[]): void {
    const seed = this.#seeds.get(table);
    if (outcomes.every((outcome) => contentOf(outcome) === seed)) this.#touched = new Set([...this.#touched].filter((other) => other !== table));
  }
}

/** The rows in any order; what no seed is equal to for an error. */
function contentOf(outcome: Outcome): string {
  if (outcome.kind === 'failed') return 'failed';
  return JSON.stringify(outcome.results.flatMap(({ rows }) => rows.map((row) => JSON.stringify(row)).sort()));
}
