import { at, present } from '../../base/assert.ts';
import type { DistributedTable } from '../../catalog/catalog-snapshot.ts';
import { closeParameterGaps } from '../../sql/parameters.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import type { DescribedColumn } from '../describe.ts';
import { assignableType, withoutLength } from '../insert/assignable-type.ts';
import type { InsertPlan } from '../insert/insert-plan.ts';
import { refused } from '../insert/refused.ts';
import { type Named, stagedInput } from '../plan-select.ts';
import { withCommonContext } from '../staged/common-context.ts';
import { describeParts } from '../staged/describe-parts.ts';
import { unheldTypes } from '../staged/query-source.ts';
import { typedStatement } from '../staged/typed-statement.ts';
import { withoutUnusedCommon } from '../staged/unused-common.ts';
import type { QueriedInsertPlan, StatementPlan } from '../statement-plan.ts';
import { readsAlike } from '../typed-parameters.ts';
import { checkFloats } from '../write/check-floats.ts';
import { styledTypes } from '../write/plan-insert-select.ts';
import { type InsertText, insertText } from '../write/insert-text.ts';
import { takesQuery } from '../write/plan-insert-statement.ts';
import { conflictInsert } from './conflict-insert.ts';
import { describableText } from './upserting-insert.ts';

/** Rows that are written by one statement: its text has each value of theirs. */
const rowsMax = 128;
const valuesMax = 4_096;

/** Plans the parts: the query by itself, and an INSERT … VALUES … ON CONFLICT that means a lookup. */
export interface PlanParts {
  query(statement: Statement): Promise<StatementPlan>;
  insert(statement: Statement): Promise<InsertPlan>;
}

/**
 * INSERT of a query's rows with an ON CONFLICT that may mean a unique lookup: the query is run first, and its rows, in its order, are then written as VALUES are, some at a time, by a statement with a parameter for each value.
 * Undefined for any other statement. `unsupportedWrite` for a query that cannot be run by itself.
 */
export async function queriedInsert(statement: Statement, named: Named, plan: PlanParts): Promise<QueriedInsertPlan | undefined> {
  const found = conflictInsert(statement, named.names);
  if (found === undefined || found.insert.selectStmt === undefined || !takesQuery(found.insert)) return undefined;
  const { table, insert } = found;
  if (insert.override === 'OVERRIDING_USER_VALUE') throw refused('INSERT … OVERRIDING USER VALUE.', 'Leave the identity column out of the column list.');
  const input = { ...named, describe: describeParts(named.describe, named.names.results) };
  const { columns: returned, parameterTypes } = await input.describe.statement(describableText(statement, named.names));
  checkFloats(named);
  checkStyle(table, named);
  const typed = typedStatement(statement, parameterTypes);
  const written = await insertText(typed, { table, input: stagedInput(input) });
  const text = withCommonContext(typed, written.select, written.query);
  if (text === undefined) throw refused('The query of the INSERT reads common table expressions that cannot be put in front of it.', 'Write them in the query itself.');
  const { columns } = await input.describe.statement(text);
  if (columns.length === 0 || columns.some(({ typeOid }) => unheldTypes.has(typeOid))) throw refused('The query of the INSERT gives whole rows, or none.', 'Select their columns.');
  const query = closeParameterGaps(text);
  const source = await plan.query(parseOne(query.text));
  if (source.kind !== 'select' && source.kind !== 'coordinator') throw refused('ON CONFLICT means a unique lookup, and the query of the INSERT writes.', 'Run what it writes as a statement of its own, in a transaction.');
  const taken = takingValues(written, { table, columns, parameters: parameterTypes.length });
  return {
    kind: 'queried_insert', table, returned, width: columns.length, parameters: parameterTypes.length,
    source: { statement: parseOne(query.text), plan: source, numbers: query.numbers },
    insert: { ...taken, plan: await plan.insert(taken.statement) },
  };
}

interface Taking {
  readonly table: DistributedTable;
  readonly columns: readonly DescribedColumn[];
  /** Of the caller's statement. */
  readonly parameters: number;
}

/** The INSERT with rows of parameters behind the caller's in the place of its query. */
function takingValues(written: InsertText, { table, columns, parameters }: Taking): { readonly statement: Statement; readonly numbers: readonly number[] } {
  const given = written.columns.slice(0, columns.length);
  const types = columns.map(({ typeSql }, i) => {
    const column = table.columns.find(({ name }) => name === at(given, i).name);
    return typeOfValue(typeSql, { table, column: present(column, 'column') });
  });
  const count = Math.max(1, Math.min(rowsMax, Math.floor(valuesMax / columns.length)));
  const item = (number: number, type: string | undefined): string => (type === undefined ? `$${number}` : `CAST($${number} AS ${type})`);
  const row = (r: number): string => `(${types.map((type, i) => item(parameters + r * columns.length + i + 1, type)).join(', ')})`;
  const values = `VALUES ${Array.from({ length: count }, (_, r) => row(r)).join(', ')}`;
  const { text, numbers } = closeParameterGaps(withoutUnusedCommon(parseOne(written.with(given.map(({ name }) => name), values))).text);
  return { statement: parseOne(text), numbers };
}

interface Assigned {
  readonly table: DistributedTable;
  readonly column: DistributedTable['columns'][number];
}

function checkStyle({ distributionColumn: column }: DistributedTable, { finishing }: Named): void {
  if (column === undefined || finishing === undefined || finishing === 'application' || !styledTypes.test(assignableType(column))) return;
  throw refused('Values of the distribution column would be written in a style of this session.', 'RESET DateStyle, IntervalStyle and bytea_output.');
}

/** What a value of the query has to be cast to, so that it is assigned as in PostgreSQL; undefined where that reads it as the column's type. The distribution value must be known as it is sent. */
function typeOfValue(typeSql: string, { table, column }: Assigned): string | undefined {
  const to = assignableType(column);
  const from = withoutLength(typeSql);
  if (from === to) return undefined;
  if (column !== table.distributionColumn) return typeSql;
  if (readsAlike(from, to)) return undefined;
  throw refused(`The query of the INSERT gives the distribution column a value of type ${typeSql}.`, `Cast it to ${to} in the query.`);
}

