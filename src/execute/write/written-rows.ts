import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import { at, present } from '../../base/assert.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import type { ComputedValue } from '../../plan/insert/insert-plan.ts';
import type { WrittenRows } from '../../plan/statement-plan.ts';
import { memoryBytesMax, ResultSize } from '../staged/hold-rows.ts';
import type { StagedOptions } from '../staged/run-staged.ts';
import type { SteadyScope } from '../statement-scope.ts';
import { placeValues } from './place-values.ts';
import type { InsertServices } from './run-insert.ts';
import type { ValueBlocks } from './value-blocks.ts';

/** How a write that takes in rows of a query is run. */
export interface WriteHow extends StagedOptions, InsertServices {
  readonly blocks: ValueBlocks;
}

/** Rows of one statement, and which of the query's they are. */
export interface RowBatch {
  readonly rows: readonly RawRow[];
  readonly slots: readonly number[];
}

/** The rows, all of them before the first is written: what is read must not see what is written. Throws `resultTooLarge` beyond what the application may hold. */
export async function takeRows(steady: SteadyScope, { rows: batches, written }: { readonly rows: AsyncIterable<readonly RawRow[]>; readonly written: WrittenRows }, how: WriteHow): Promise<readonly RawRow[]> {
  const size = new ResultSize(written.result.label, { limit: Math.min(how.options.maxIntermediateBytes, memoryBytesMax), memoryOf: 'block' });
  const rows: RawRow[] = [];
  for await (const batch of batches) {
    size.add(batch);
    for (const row of batch) rows.push(row);
  }
  // One after the other: the last column's sequence is the one that was used last.
  const supplied: (readonly (string | null)[])[] = [];
  for (const value of written.supplies) supplied.push(await suppliedValues(steady, value, { count: rows.length, how }));
  return supplied.length === 0 ? rows : rows.map((row, i) => [...row, ...supplied.map((values) => at(values, i))]);
}

/** One value for each row. */
async function suppliedValues(steady: SteadyScope, value: ComputedValue, { count, how }: { readonly count: number; readonly how: WriteHow }): Promise<readonly (string | null)[]> {
  if (value.kind === 'sequence') return how.sequences.next(value.sequence, count);
  if (count === 0) return [];
  const { rows } = await steady.run(coordinatorNodeId, { text: `SELECT ${value.sql} FROM pg_catalog.generate_series(1, ${count})` }, 'read');
  return rows.map(([one]) => one ?? null);
}

/** Rows by the ordinal of the shard group that they belong to. */
export async function rowsByShard(steady: SteadyScope, { key }: WrittenRows, rows: readonly RawRow[]): Promise<ReadonlyMap<number, RowBatch>> {
  const byOrdinal = new Map<number, { rows: RawRow[]; slots: number[] }>();
  if (key === undefined || rows.length === 0) return byOrdinal;
  const { position } = key;
  if (position === undefined) return byOrdinal.set(0, { rows: [...rows], slots: [...rows.keys()] });
  const values = rows.map((row) => row[position]);
  const given = key.nulls === undefined ? values : values.filter((value) => value !== null && value !== undefined);
  const placed = (await placeValues(steady, key, given)).values();
  for (const [slot, row] of rows.entries()) {
    const isNull = key.nulls !== undefined && (values[slot] ?? null) === null;
    const ordinal = isNull ? 0 : present(placed.next().value, 'place of a row');
    const batch = byOrdinal.get(ordinal) ?? { rows: [], slots: [] };
    byOrdinal.set(ordinal, batch);
    batch.rows.push(row);
    batch.slots.push(slot);
  }
  return byOrdinal;
}
