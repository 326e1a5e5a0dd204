import type { RawRow } from '../../cluster/node-connection.ts';
import type { DeviationForm } from '../../plan/merge-plan.ts';
import { addDecimal, type Decimal, formatDecimal, parseDecimal, zero } from '../../sql/values/decimal.ts';
import { averageOf, deviationOf } from '../../sql/values/divide-decimal.ts';
import type { Accumulator } from './accumulator.ts';

/** The exact sum of numerics. */
export class NumericSum implements Accumulator {
  readonly #column: number;
  readonly #empty: string | null;
  #total: Decimal | undefined;

  constructor(column: number, empty: string | null) {
    this.#column = column;
    this.#empty = empty;
  }

  add(row: RawRow): void {
    const text = row[this.#column] ?? null;
    if (text === null) return;
    const summand = parseDecimal(text);
    this.#total = this.#total === undefined ? summand : addDecimal(this.#total, summand);
  }

  result(): string | null {
    return this.#total === undefined ? this.#empty : formatDecimal(this.#total);
  }
}

/** avg() of exact types, from sums (bigint or numeric) and counts. */
export class NumericAverage implements Accumulator {
  readonly #columns: { readonly sum: number; readonly count: number };
  #sum: Decimal = zero;
  #count = 0n;

  constructor(columns: { readonly sum: number; readonly count: number }) {
    this.#columns = columns;
  }

  add(row: RawRow): void {
    this.#sum = addText(this.#sum, row[this.#columns.sum]);
    this.#count += BigInt(row[this.#columns.count] ?? 0);
  }

  result(): string | null {
    return this.#count === 0n ? null : formatDecimal(averageOf(this.#sum, this.#count));
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
  #count = 0n;
  #sum: Decimal = zero;
  #squares: Decimal = zero;

  constructor(columns: DeviationColumns) {
    this.#columns = columns;
  }

  add(row: RawRow): void {
    const { count, sum, squares } = this.#columns;
    this.#count += BigInt(row[count] ?? 0);
    this.#sum = addText(this.#sum, row[sum]);
    this.#squares = addText(this.#squares, row[squares]);
  }

  result(): string | null {
    const deviation = deviationOf({ count: this.#count, sum: this.#sum, squares: this.#squares }, this.#columns.form);
    return deviation === undefined ? null : formatDecimal(deviation);
  }
}

function addText(total: Decimal, text: string | null | undefined): Decimal {
  return text === null || text === undefined ? total : addDecimal(total, parseDecimal(text));
}
