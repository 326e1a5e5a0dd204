import type { RawRow } from '../../cluster/node-connection.ts';
import type { Combine } from '../../plan/merge-plan.ts';
import { combineMoments, floatAverage, floatDeviation, type FloatMoments } from '../../sql/values/float-sum.ts';
import { formatFloat8, parseFloat8 } from '../../sql/values/float8-text.ts';
import type { Accumulator } from './accumulator.ts';

type FloatCombine = Combine & { readonly kind: 'float_average' | 'float_deviation' };

/** Averages, variances and standard deviations of float8. The last digits depend on the order of rows, as on the server. */
export class FloatMomentsAccumulator implements Accumulator {
  readonly #combine: FloatCombine;
  #moments: FloatMoments = { count: 0, sum: 0, squares: 0 };

  constructor(combine: FloatCombine) {
    this.#combine = combine;
  }

  add(row: RawRow): void {
    const { count, sum } = this.#combine;
    const squares = this.#combine.kind === 'float_deviation' ? floatIn(row[this.#combine.squares]) : 0;
    this.#moments = combineMoments(this.#moments, { count: Number(row[count] ?? 0), sum: floatIn(row[sum]), squares });
  }

  result(): string | null {
    const { count, sum } = this.#moments;
    const value = this.#combine.kind === 'float_average' ? floatAverage(sum, count) : floatDeviation(this.#moments, this.#combine.form);
    return value === undefined ? null : formatFloat8(value);
  }
}

/** NULL, of no rows, does not count. */
function floatIn(text: string | null | undefined): number {
  return text === null || text === undefined ? 0 : parseFloat8(text);
}
