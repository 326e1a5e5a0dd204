import type { InsertStmt } from '@pgsql/types';
import { namedRelations } from '../../analyze/analyze-statement.ts';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { present } from '../../base/assert.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import type { Statement } from '../../sql/parse.ts';
import { checkViews } from '../check-select.ts';
import type { InsertPlan } from '../insert/insert-plan.ts';
import { planInsert } from '../insert/plan-insert.ts';
import { refused } from '../insert/refused.ts';
import type { Named } from '../plan-select.ts';
import type { StatementPlan } from '../statement-plan.ts';
import { sharesParameters } from '../typed-parameters.ts';
import { checkNoView } from './check-no-view.ts';
import { planWriting } from './plan-writing.ts';

export async function planInsertStatement(statement: Statement, insert: InsertStmt, input: Named): Promise<StatementPlan> {
  const relation = present(insert.relation, 'target');
  const table = input.names.resolve(relation.schemaname, relation.relname ?? '');
  const select = insert.selectStmt !== undefined && 'SelectStmt' in insert.selectStmt ? insert.selectStmt.SelectStmt : undefined;
  if (table === undefined) {
    checkNoView(relation, input.names);
    if (readsCatalogTables([insert.selectStmt, insert.withClause, insert.onConflictClause, insert.returningClause], input.names)) {
      throw refused('A local table is written from distributed or reference tables.', 'Read the rows first, and insert them as values.');
    }
    checkViews({ foreign: namedRelations(insert).map((rangeVar) => ({ rangeVar })) }, input.names);
    return { kind: 'coordinator', text: statement.text, effect: 'write' };
  }
  if (insert.withClause !== undefined || (select !== undefined && select.valuesLists === undefined)) {
    if (table.kind === 'distributed') return planWriting(statement, { InsertStmt: insert }, input);
    throw refused('INSERT … SELECT, or INSERT with WITH, into a reference table.', 'Read the rows first, and insert them as values or with COPY.');
  }
  if (select !== undefined && (select.sortClause !== undefined || select.limitCount !== undefined || select.limitOffset !== undefined || select.withClause !== undefined)) {
    throw refused('VALUES with ORDER BY, LIMIT or WITH.', 'Write the rows in order.');
  }
  const plan = await planRows(statement, insert, { table, input });
  if (plan !== undefined) return plan;
  await input.describe.statement(statement.text);
  throw refused('The column list or the values have a form that cannot be distributed.', 'Name plain columns, each once, and give a value for each.');
}

/** Rows that are sent or computed apart from each other must not change a parameter's type, nor hide that a value does not fit its column. */
async function planRows(statement: Statement, insert: InsertStmt, { table, input }: { readonly table: CatalogTable; readonly input: Named }): Promise<InsertPlan | undefined> {
  const plan = planInsert(statement, insert, { table, snapshot: input.snapshot, parameterTypes: undefined });
  if (plan === undefined) return undefined;
  const computes = plan.computed.some(({ kind }) => kind === 'expression');
  if (!computes && !sharesParameters(insert)) return plan;
  const { parameterTypes } = await input.describe.statement(statement.text);
  return planInsert(statement, insert, { table, snapshot: input.snapshot, parameterTypes });
}

function readsCatalogTables(tree: unknown, names: RelationNames): boolean {
  return namedRelations(tree).some(({ schemaname, relname }) => names.resolve(schemaname, relname ?? '') !== undefined);
}
