import type { Node, SelectStmt } from '@pgsql/types';
import type { FuncCall } from '@pgsql/types';
import type { PlacedQuery } from '../../analyze/place-query.ts';
import type { SelectQuery } from '../../analyze/query-level.ts';
import { deparseChecked } from '../../sql/deparse.ts';
import { closeParameterGaps } from '../../sql/parameters.ts';
import type { Statement } from '../../sql/parse.ts';
import { parseOne } from '../../sql/parse.ts';
import type { Describe, DescribedColumn, StatementDescription } from '../describe.ts';
import type { MergePlan } from '../merge-plan.ts';
import { unsupported } from './unsupported.ts';

/**
 * Who compares and combines values above the gather. The application reads PostgreSQL's default text formats only; where a session has
 * others (DateStyle, bytea_output …), a server does it.
 */
export type Finishing =
  | 'application'
  | 'server'
  /** As `server`, but floats come rounded (extra_float_digits below 1): they cannot be finished anywhere. */
  | 'server_rounded_floats';

/** What the rules for a SELECT over many shard groups work on. */
export interface SelectContext {
  readonly original: Statement;
  readonly statement: SelectStmt;
  /** Undefined for set operations. */
  readonly query: SelectQuery | undefined;
  readonly placed: PlacedQuery;
  /** Of the whole statement: its names and types are what the caller gets. */
  readonly description: StatementDescription;
  readonly describe: Describe;
  /** Names of the row types of the distributed tables: each shard has one of its own. */
  readonly rowTypes: ReadonlySet<string>;
  isAggregate(call: FuncCall): boolean;
  /** As in `FunctionRules`. */
  isBuiltin(call: FuncCall): boolean;
  readonly finishing: Finishing;
}

/** What a rule yields: a statement for the shard groups, still with the tables' own names, and the merge above. */
export interface FanOutDraft {
  readonly shard: Statement;
  readonly shardOrder: string | undefined;
  readonly merge: MergePlan;
  readonly columns: readonly DescribedColumn[];
  readonly rules: readonly string[];
}

/** The text of a SELECT that we made, with a LIMIT clause of ours behind it. Refused when it cannot be written faithfully. */
export function madeStatement(select: SelectStmt, limitSql: string): Statement {
  const node: Node = { SelectStmt: select };
  const statement = deparseChecked(node);
  if (statement === undefined) {
    throw unsupported('The statement uses a rare clause that cannot be rewritten faithfully.', 'Filter by the distribution column, so that it need not be rewritten.');
  }
  return limitSql === '' ? statement : parseOne(`${statement.text}${limitSql}`);
}

export async function describeMade(context: SelectContext, statement: Statement, options: { readonly collations: boolean }): Promise<StatementDescription> {
  if (statement === context.original && !options.collations) return context.description;
  const description = await context.describe.statement(closeParameterGaps(statement.text).text, options);
  checkRowTypes(description.columns, context.rowTypes);
  return description;
}

/** Whole rows of a distributed table have another type on every shard, which no two statements have in common. */
export function checkRowTypes(columns: readonly DescribedColumn[], rowTypes: ReadonlySet<string>): void {
  if (!columns.some(({ typeSql }) => rowTypes.has(typeSql.replace(/\[\]$/, '')))) return;
  throw unsupported('A whole row of a distributed table stands as a value in a statement over several shard groups.', 'Name its columns, or use to_jsonb().');
}
