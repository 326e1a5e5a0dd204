import type { RawRow } from '../../cluster/node-connection.ts';
import type { DeviationForm } from '../../plan/merge-plan.ts';
import { type Decimal, formatDecimal, zero } from '../../sql/values/decimal.ts';
import { DecimalTotal } from '../../sql/values/decimal-total.ts';
import { averageOf, deviationOf } from '../../sql/values/divide-decimal.ts';
import type { Accumulator } from './accumulator.ts';

/** The exact sum of numerics. */
export class NumericSum implements Accumulator {
  readonly #column: number;
  readonly #empty: string | null;
  readonly #total = new DecimalTotal();

  constructor(column: number, empty: string | null) {
    this.#column = column;
    this.#empty = empty;
  }

  add(row: RawRow): void {
    const text = row[this.#column] ?? null;
    if (text !== null) this.#total.add(text);
  }

  result(): string | null {
    const total = this.#total.value();
    return total === undefined ? this.#empty : formatDecimal(total);
  }
}

/** avg() of exact types, from sums (bigint or numeric) and counts. */
export class NumericAverage implements Accumulator {
  readonly #columns: { readonly sum: number; readonly count: number };
  readonly #sum = new DecimalTotal();
  readonly #count = new DecimalTotal();

  constructor(columns: { readonly sum: number; readonly count: number }) {
    this.#columns = columns;
  }

  add(row: RawRow): void {
    addText(this.#sum, row[this.#columns.sum]);
    addText(this.#count, row[this.#columns.count]);
  }

  result(): string | null {
    const count = wholeOf(this.#count);
    return count === 0n ? null : formatDecimal(averageOf(this.#sum.value() ?? zero, count));
  }
}

interface DeviationColumns {
  readonly count: number;
  readonly sum: number;
  /** Sums of x². */
  readonly squares: number;
  readonly form: DeviationForm;
}

/** Variances and standard deviations of exact types. */
export class NumericDeviation implements Accumulator {
  readonly #columns: DeviationColumns;
  readonly #count = new DecimalTotal();
  readonly #sum = new DecimalTotal();
  readonly #squares = new DecimalTotal();

  constructor(columns: DeviationColumns) {
    this.#columns = columns;
  }

  add(row: RawRow): void {
    const { count, sum, squares } = this.#columns;
    addText(this.#count, row[count]);
    addText(this.#sum, row[sum]);
    addText(this.#squares, row[squares]);
  }

  result(): string | null {
    const deviation = deviationOf({ count: wholeOf(this.#count), sum: this.#sum.value() ?? zero, squares: this.#squares.value() ?? zero }, this.#columns.form);
    return deviation === undefined ? null : formatDecimal(deviation);
  }
}

function addText(total: DecimalTotal, text: string | null | undefined): void {
  if (text !== null && text !== undefined) total.add(text);
}

/** The total of counts. */
function wholeOf(total: DecimalTotal): bigint {
  const value: Decimal = total.value() ?? zero;
  return value.kind === 'finite' ? value.coefficient : 0n;
}
