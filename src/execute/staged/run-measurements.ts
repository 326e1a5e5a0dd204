import type { ResultTable } from '../../analyze/result-table.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { NodeConnection, NodeQuery, RawRow } from '../../cluster/node-connection.ts';
import type { ShardTemplate } from '../../plan/shard-template.ts';

/** What was seen of rows on their way; `ms` from asking for the first to having the last one that was wanted, with all waiting in between. */
export interface Measured {
  readonly rows: number;
  readonly bytes: number;
  readonly ms: number;
}

export interface MeasuredTask extends Measured {
  readonly node: NodeId;
  readonly sql: string;
  /** The node's own EXPLAIN, where it was asked for. */
  readonly plan: readonly string[] | undefined;
}

type Batches = AsyncIterable<readonly RawRow[]>;

/** Measures one run of a query, for EXPLAIN ANALYZE. */
export class RunMeasurements {
  readonly results = new Map<ResultTable, Measured>();
  readonly #tasks = new Map<ShardTemplate, MeasuredTask[]>();
  readonly #explained = new Set<ShardTemplate>();

  /** `explains`: one node of each statement is asked for its own plan. */
  constructor(private readonly options: { readonly explains: boolean; readonly now: () => number }) {}

  tasks(template: ShardTemplate): readonly MeasuredTask[] {
    return (this.#tasks.get(template) ?? []).toSorted((a, b) => a.node - b.node);
  }

  result(result: ResultTable, rows: Batches): AsyncGenerator<readonly RawRow[]> {
    return this.measured(rows, (measured) => this.results.set(result, measured));
  }

  /** The rows of a statement that is about to run on a connection in a transaction. */
  async *task(template: ShardTemplate, { connection, query }: { readonly connection: NodeConnection; readonly query: NodeQuery }, rows: () => Batches): AsyncGenerator<readonly RawRow[]> {
    let plan: string[] | undefined;
    if (this.options.explains && !this.#explained.has(template)) {
      this.#explained.add(template);
      plan = (await connection.query({ ...query, text: `EXPLAIN (VERBOSE) ${query.text}` })).rows.map(([line]) => line ?? '');
    }
    yield* this.measured(rows(), (measured) => {
      const task = { ...measured, node: connection.node, sql: query.text, plan };
      this.#tasks.set(template, [...this.tasks(template), task]);
    });
  }

  async *measured(batches: Batches, done: (measured: Measured) => void): AsyncGenerator<readonly RawRow[]> {
    const started = this.options.now();
    let rows = 0;
    let bytes = 0;
    try {
      for await (const batch of batches) {
        rows += batch.length;
        for (const row of batch) for (const value of row) bytes += value === null ? 0 : Buffer.byteLength(value);
        yield batch;
      }
    } finally {
      done({ rows, bytes, ms: this.options.now() - started });
    }
  }
}
