import type { FuncCall, Node } from '@pgsql/types';
import { builtinName } from '../../sql/ast.ts';
import { comparatorFor } from '../../sql/values/comparator.ts';
import { equalityKeyFor } from '../../sql/values/equality-key.ts';
import type { DescribedColumn } from '../describe.ts';
import type { Combine, DeviationForm } from '../merge-plan.ts';
import { callNode, castNode, integerNode, operatorNode } from './made-nodes.ts';

/**
 * How one aggregate call is computed in two steps. `partials` are columns of the shard query; `finer` are columns it must
 * group by as well (for DISTINCT). The combining step is done by the application or, where that is not exact, by a PostgreSQL.
 */
export interface SplitAggregate {
  readonly partials: readonly Node[];
  readonly finer: readonly Node[];
  /** Given the described partial and finer columns and the number of the first of each; undefined when only a PostgreSQL can. */
  combine(columns: CombineColumns): Combine | undefined;
  /** The same as SQL over the gathered rows, but for a cast to the call's type; undefined when SQL cannot do it exactly. */
  combineSql(reference: { readonly partial: (i: number) => Node; readonly finer: (i: number) => Node }): Node | undefined;
}

export interface CombineColumns {
  readonly partial: (i: number) => number;
  readonly finer: (i: number) => number;
  readonly described: (column: number) => DescribedColumn | undefined;
}

/** Undefined for aggregates that cannot be split: all rows must then be seen by one PostgreSQL. `result`: the call's own type. */
export function splitAggregate(call: FuncCall, result: DescribedColumn): SplitAggregate | undefined {
  const name = builtinName(call.funcname);
  if (name === undefined || call.agg_order !== undefined || call.agg_within_group === true || call.func_variadic === true) return undefined;
  if (call.agg_distinct === true) return splitDistinct(name, call);
  switch (name) {
    case 'count':
      return sumOf(call, true);
    case 'sum':
      return sumOf(call, false);
    case 'avg':
      return average(call, result);
    case 'min':
    case 'max':
      return extreme(call, name);
    case 'bool_and':
    case 'every':
      return simple(call, 'bool_and', 'bool_and');
    case 'bool_or':
      return simple(call, 'bool_or', 'bool_or');
    case 'bit_and':
    case 'bit_or':
    case 'bit_xor':
      return bitwise(call, name);
    case 'any_value':
      return simple(call, 'any_value', 'any');
    default:
      return deviation(name, call, result);
  }
}

const summable: ReadonlySet<number> = new Set([20, 1700, 700, 701]);

function sumOf(call: FuncCall, zero: boolean): SplitAggregate {
  return {
    partials: [{ FuncCall: call }],
    finer: [],
    combine: ({ partial, described }) => {
      const typeOid = described(partial(0))?.typeOid ?? 0;
      return summable.has(typeOid) ? { kind: 'sum', column: partial(0), typeOid, zero } : undefined;
    },
    combineSql: ({ partial }) => {
      const sum = callNode('sum', [partial(0)]);
      return zero ? { CoalesceExpr: { args: [sum, integerNode(0)] } } : sum;
    },
  };
}

function average(call: FuncCall, { typeOid }: DescribedColumn): SplitAggregate | undefined {
  const [argument] = call.args ?? [];
  if (argument === undefined || (typeOid !== 1700 && typeOid !== 701)) return undefined;
  const summed = typeOid === 701 ? castNode(argument, 'float8') : argument;
  return {
    partials: [again(call, 'sum', [summed]), again(call, 'count', [argument])],
    finer: [],
    combine: ({ partial }) => ({ kind: typeOid === 701 ? 'float_average' : 'numeric_average', sum: partial(0), count: partial(1) }),
    combineSql: ({ partial }) => operatorNode('/', callNode('sum', [partial(0)]), callNode('sum', [partial(1)])),
  };
}

function extreme(call: FuncCall, name: 'min' | 'max'): SplitAggregate {
  return {
    partials: [{ FuncCall: call }],
    finer: [],
    combine: ({ partial, described }) => {
      const column = described(partial(0));
      if (column === undefined) return undefined;
      const collationIsC = column.collation?.isC ?? true;
      if (comparatorFor(column.typeOid, collationIsC) === undefined) return undefined;
      return { kind: name === 'min' ? 'least' : 'greatest', column: partial(0), typeOid: column.typeOid, collationIsC };
    },
    combineSql: ({ partial }) => callNode(name, [partial(0)]),
  };
}

function simple(call: FuncCall, sqlName: string, kind: 'bool_and' | 'bool_or' | 'any'): SplitAggregate {
  return {
    partials: [{ FuncCall: call }],
    finer: [],
    combine: ({ partial }) => ({ kind, column: partial(0) }),
    combineSql: ({ partial }) => callNode(sqlName, [partial(0)]),
  };
}

const integers: ReadonlySet<number> = new Set([20, 21, 23]);

function bitwise(call: FuncCall, kind: 'bit_and' | 'bit_or' | 'bit_xor'): SplitAggregate {
  return {
    partials: [{ FuncCall: call }],
    finer: [],
    combine: ({ partial, described }) => (integers.has(described(partial(0))?.typeOid ?? 0) ? { kind, column: partial(0) } : undefined),
    combineSql: ({ partial }) => callNode(kind, [partial(0)]),
  };
}

const deviationForms: Readonly<Record<string, DeviationForm>> = {
  stddev: 'stddev_samp', stddev_samp: 'stddev_samp', stddev_pop: 'stddev_pop',
  variance: 'var_samp', var_samp: 'var_samp', var_pop: 'var_pop',
};

/** numeric: exact sums of x and x². float8: count, sum and the sum of squared deviations, as float8_combine takes them. */
function deviation(name: string, call: FuncCall, { typeOid }: DescribedColumn): SplitAggregate | undefined {
  const form = deviationForms[name];
  const [argument] = call.args ?? [];
  if (form === undefined || argument === undefined || (typeOid !== 1700 && typeOid !== 701)) return undefined;
  const isFloat = typeOid === 701;
  const value = castNode(argument, isFloat ? 'float8' : 'numeric');
  const squares = isFloat ? again(call, 'regr_sxx', [value, value]) : again(call, 'sum', [operatorNode('*', value, value)]);
  return {
    partials: [again(call, 'count', [argument]), again(call, 'sum', [value]), squares],
    finer: [],
    combine: ({ partial }) => ({
      kind: isFloat ? 'float_deviation' : 'numeric_deviation',
      count: partial(0), sum: partial(1), squares: partial(2), form,
    }),
    combineSql: () => undefined,
  };
}

/** min and max do not care; the others need the distinct values themselves. */
function splitDistinct(name: string, call: FuncCall): SplitAggregate | undefined {
  const { agg_distinct: _distinct, ...plain } = call;
  if (name === 'min' || name === 'max') return extreme(plain, name);
  const args = call.args ?? [];
  const [argument] = args;
  if (argument === undefined || args.length !== 1 || !distinctAggregates.has(name)) return undefined;
  const filter = call.agg_filter;
  return {
    partials: [],
    finer: filter === undefined ? [argument] : [argument, filter],
    combine: ({ finer, described }) => {
      const column = described(finer(0));
      if (name !== 'count' || column === undefined || equalityKeyFor(column.typeOid) === undefined) return undefined;
      if (!(column.collation?.deterministic ?? true)) return undefined;
      return { kind: 'count_distinct', column: finer(0), typeOid: column.typeOid, filter: filter === undefined ? undefined : finer(1) };
    },
    combineSql: ({ finer }) =>
      callNode(name, [finer(0)], { agg_distinct: true, ...(filter === undefined ? {} : { agg_filter: finer(1) }) }),
  };
}

const distinctAggregates: ReadonlySet<string> = new Set(['count', 'sum', 'avg', 'stddev', 'stddev_samp', 'stddev_pop', 'variance', 'var_samp', 'var_pop']);

/** Another aggregate under the same FILTER. */
function again(call: FuncCall, name: string, args: readonly Node[]): Node {
  return callNode(name, args, call.agg_filter === undefined ? {} : { agg_filter: call.agg_filter });
}

