import { AssertionError, present, unreachable } from '../../base/assert.ts';
import type { Combine } from '../../plan/merge-plan.ts';
import { comparatorFor } from '../../sql/values/comparator.ts';
import { equalityKeyFor } from '../../sql/values/equality-key.ts';
import { typeOid } from '../../sql/values/type-oid.ts';
import type { Accumulator } from './accumulator.ts';
import { CountDistinct } from './count-distinct.ts';
import { FloatAverage, FloatDeviation } from './float-aggregates.ts';
import { Fold, type Merge } from './fold.ts';
import { sumFloat4, sumFloat8, sumInterval } from './fold-sums.ts';
import { NumericAverage, NumericDeviation, NumericSum } from './numeric-aggregates.ts';
import { WholeSum } from './whole-sum.ts';

/** Makes the state of an aggregate for a new group. Types that the kind has no arithmetic for are a bug of the plan. */
export function accumulatorFor(combine: Combine): () => Accumulator {
  switch (combine.kind) {
    case 'sum':
      return sumOf(combine);
    case 'least':
    case 'greatest':
      return folding(combine.column, extremeOf(combine));
    case 'bool_and':
      return folding(combine.column, (a, b) => (a === 't' && b === 't' ? 't' : 'f'));
    case 'bool_or':
      return folding(combine.column, (a, b) => (a === 't' || b === 't' ? 't' : 'f'));
    case 'bit_and':
      return folding(combine.column, (a, b) => String(BigInt(a) & BigInt(b)));
    case 'bit_or':
      return folding(combine.column, (a, b) => String(BigInt(a) | BigInt(b)));
    case 'bit_xor':
      return folding(combine.column, (a, b) => String(BigInt(a) ^ BigInt(b)));
    case 'any':
      return folding(combine.column, (first) => first);
    case 'numeric_average':
      return () => new NumericAverage(combine);
    case 'numeric_deviation':
      return () => new NumericDeviation(combine);
    case 'float_average':
      return () => new FloatAverage(combine);
    case 'float_deviation':
      return () => new FloatDeviation(combine);
    case 'count_distinct': {
      const keyOf = present(equalityKeyFor(combine.typeOid), `equality key of type ${combine.typeOid}`);
      return () => new CountDistinct(combine, keyOf);
    }
    default:
      return unreachable(combine);
  }
}

function folding(column: number, merge: Merge): () => Accumulator {
  return () => new Fold(column, merge);
}

function sumOf(combine: Combine & { readonly kind: 'sum' }): () => Accumulator {
  const empty = combine.zero ? '0' : null;
  switch (combine.typeOid) {
    case typeOid.int8:
      return () => new WholeSum(combine.column, empty);
    case typeOid.numeric:
      return () => new NumericSum(combine.column, empty);
    case typeOid.float4:
      return folding(combine.column, sumFloat4);
    case typeOid.float8:
      return folding(combine.column, sumFloat8);
    case typeOid.interval:
      return folding(combine.column, sumInterval);
    default:
      throw new AssertionError(`no sum of type ${combine.typeOid}`);
  }
}

/** Of equal values the first one. */
function extremeOf({ kind, typeOid: oid, collationIsC }: Combine & { readonly kind: 'least' | 'greatest' }): Merge {
  const compare = present(comparatorFor(oid, collationIsC), `comparator of type ${oid}`);
  return kind === 'least' ? (a, b) => (compare(b, a) < 0 ? b : a) : (a, b) => (compare(b, a) > 0 ? b : a);
}
