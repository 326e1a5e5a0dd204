import { closeParameterGaps } from '../../sql/parameters.ts';
import type { DescribedColumn } from '../describe.ts';
import type { MergePlan, Residual } from '../merge-plan.ts';
import { unsupported } from './unsupported.ts';

/** The rows below a residual as a relation `r` with columns `c1`, `c2` … of the given types. */
export interface GatheredRelation {
  readonly columns: Residual['columns'];
  columnSql(index: number): string;
}

export const gatheredAlias = 'shardwright_r';
/** Stands for the gathered rows in a residual's text until it is cut out. */
export const gatheredName = 'shardwright_gathered_rows';

export function gatheredColumn(index: number): string {
  return `c${index + 1}`;
}

/** record and record[]: values that no server reads back. */
const rowTypeOids: ReadonlySet<number> = new Set([2249, 2287]);

export function gatheredRelation(columns: readonly DescribedColumn[]): GatheredRelation {
  if (columns.some(({ typeOid }) => rowTypeOids.has(typeOid))) {
    throw unsupported('Rows of several shard groups are compared or aggregated by a row value.', 'Name the columns one by one, without ROW or parentheses.');
  }
  return {
    columns: columns.map(({ typeSql, collation }, i) => ({ name: gatheredColumn(i), typeSql, collation: collation?.sql })),
    columnSql: (index) => `${gatheredAlias}.${gatheredColumn(index)}`,
  };
}

/** A residual of the form SELECT … FROM rows …; parameters in it are the caller's. */
export function residualOver(
  input: MergePlan,
  relation: GatheredRelation,
  { select, rest }: { readonly select: string; readonly rest: string },
): MergePlan {
  return { kind: 'residual', input, residual: residualOf(`SELECT ${select} FROM ${gatheredName} ${gatheredAlias}${rest}`, relation.columns) };
}

/** Cuts the gathered relation's name out of a statement and closes gaps in its parameter numbers. */
export function residualOf(made: string, columns: Residual['columns']): Residual {
  const { text, numbers } = closeParameterGaps(made);
  const at = text.indexOf(gatheredName);
  return { before: text.slice(0, at), after: text.slice(at + gatheredName.length), parameters: numbers, columns };
}
