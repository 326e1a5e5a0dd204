import type { RawRow } from '../../cluster/node-connection.ts';
import type { DeviationForm } from '../../plan/merge-plan.ts';
import { addFloat8, combineMoments, floatAverage, floatDeviation, type FloatMoments } from '../../sql/values/float-sum.ts';
import { formatFloat8, parseFloat8 } from '../../sql/values/float8-text.ts';
import type { Accumulator } from './accumulator.ts';

/** avg() of float8, from sums and counts. The last digits depend on the order of rows, as on the server. */
export class FloatAverage implements Accumulator {
  readonly #columns: { readonly sum: number; readonly count: number };
  #sum = 0;
  #count = 0;

  constructor(columns: { readonly sum: number; readonly count: number }) {
    this.#columns = columns;
  }

  add(row: RawRow): void {
    this.#sum = addFloat8(this.#sum, floatIn(row[this.#columns.sum]));
    this.#count += Number(row[this.#columns.count] ?? 0);
  }

  result(): string | null {
    return textOf(floatAverage(this.#sum, this.#count));
  }
}

interface DeviationColumns {
  readonly count: number;
  readonly sum: number;
  /** Sums of squared deviations from the mean. */
  readonly squares: number;
  readonly form: DeviationForm;
}

/** Variances and standard deviations of float8, likewise. */
export class FloatDeviation implements Accumulator {
  readonly #columns: DeviationColumns;
  #moments: FloatMoments = { count: 0, sum: 0, squares: 0 };

  constructor(columns: DeviationColumns) {
    this.#columns = columns;
  }

  add(row: RawRow): void {
    const { count, sum, squares } = this.#columns;
    this.#moments = combineMoments(this.#moments, { count: Number(row[count] ?? 0), sum: floatIn(row[sum]), squares: floatIn(row[squares]) });
  }

  result(): string | null {
    return textOf(floatDeviation(this.#moments, this.#columns.form));
  }
}

/** NULL, of no rows, does not count. */
function floatIn(text: string | null | undefined): number {
  return text === null || text === undefined ? 0 : parseFloat8(text);
}

function textOf(value: number | undefined): string | null {
  return value === undefined ? null : formatFloat8(value);
}
