import type { Node, SelectStmt } from '@pgsql/types';
import type { FunctionRules } from '../../analyze/function-calls.ts';
import type { ResultColumn } from '../../analyze/result-table.ts';
import { relationAlias } from '../../sql/ast.ts';
import { deparseChecked } from '../../sql/deparse.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import type { Statement } from '../../sql/parse.ts';
import { parseOne } from '../../sql/parse.ts';
import { unsupported } from '../select/unsupported.ts';
import { columnNode, targetNode } from '../select/made-nodes.ts';
import type { ColumnNeeds } from './needed-columns.ts';
import type { SourceTable } from './source-table.ts';
import { allOf, tableFilters } from './table-filters.ts';
import type { UsePlace } from './use-places.ts';

/** The rows and columns of one occurrence of a table that its statement needs, as a query of their own. */
export interface TableSource {
  readonly statement: Statement;
  readonly columns: readonly ResultColumn[];
  /** Conditions leave out some rows. */
  readonly reduced: boolean;
}

export interface SourceInput {
  readonly needs: ColumnNeeds;
  readonly rules: FunctionRules;
  /** Further conditions on the rows, in terms of the occurrence. */
  readonly reductions?: readonly Node[];
}

export function tableSource(table: SourceTable, place: UsePlace, { needs, rules, reductions = [] }: SourceInput): TableSource {
  const { rangeVar } = place;
  const names = needs.of(rangeVar, table.columns.map(({ name }) => name));
  const columns = table.columns.filter(({ name }) => names.includes(name));
  const own = tableFilters(place, rules);
  for (const filters of [[...own, ...reductions], own]) {
    const statement = filters.length === 0 ? undefined : filtered(place, { names, filters });
    if (statement !== undefined) return { statement, columns, reduced: true };
  }
  return { statement: wholeTable(table, place, names), columns, reduced: false };
}

/** Undefined where the conditions cannot be written faithfully: all rows are read then. */
function filtered({ rangeVar, sample }: UsePlace, { names, filters }: { readonly names: readonly string[]; readonly filters: readonly Node[] }): Statement | undefined {
  const alias = relationAlias(rangeVar);
  const shown = rangeVar.alias?.colnames ?? [];
  const select: SelectStmt = {
    targetList: names.map((name, i) => targetNode(columnNode(alias, nameOf(shown[i]) ?? name))),
    fromClause: [sample === undefined ? { RangeVar: rangeVar } : { RangeTableSample: { ...sample, relation: { RangeVar: rangeVar } } }],
    ...(filters.length === 0 ? {} : { whereClause: allOf(filters) }),
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  };
  return deparseChecked({ SelectStmt: select });
}

function nameOf(node: Node | undefined): string | undefined {
  return node !== undefined && 'String' in node ? node.String.sval : undefined;
}

function wholeTable({ sql }: SourceTable, place: UsePlace, columns: readonly string[]): Statement {
  if (place.sample !== undefined) {
    const sampled = filtered(place, { names: columns, filters: [] });
    if (sampled === undefined) throw unsupported('The arguments of TABLESAMPLE cannot be written as they were.', 'Pass them as parameters.');
    return sampled;
  }
  return parseOne(`SELECT ${columns.map(quoteIdentifier).join(', ')} FROM ${sql}`);
}
