import type { InsertStmt } from '@pgsql/types';
import { analyzeAny, namedRelations } from '../../analyze/analyze-statement.ts';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { present } from '../../base/assert.ts';
import { once } from '../../base/once.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import type { Statement } from '../../sql/parse.ts';
import { refuseSessionCalls } from '../check-select.ts';
import { drawnPlaces } from '../drawn-values.ts';
import type { InsertPlan } from '../insert/insert-plan.ts';
import { planInsert } from '../insert/plan-insert.ts';
import { refused } from '../insert/refused.ts';
import { tablesOf } from '../prunable-uses.ts';
import { shardTemplate } from '../shard-template.ts';
import { ResultNames } from '../staged/result-names.ts';
import type { StagedInput } from '../staged/staged-state.ts';
import type { StatementPlan } from '../statement-plan.ts';
import { sharesParameters } from '../typed-parameters.ts';
import { checkedConflicts } from './compare-copies.ts';
import { checkNoView } from './check-no-view.ts';
import { differsAround, triggeredInsert } from './led-insert.ts';
import { planInsertSelect } from './plan-insert-select.ts';
import { planRoutedOrUndefined, planWriting } from './plan-writing.ts';
import { valuesAsQuery, valuesReturnSets } from './sets-in-values.ts';

export async function planInsertStatement(statement: Statement, insert: InsertStmt, input: StagedInput): Promise<StatementPlan> {
  const relation = present(insert.relation, 'target');
  const table = input.names.resolve(relation.schemaname, relation.relname ?? '');
  if (table === undefined) {
    checkNoView(relation, input.names);
    if (!readsCatalogTables([insert.selectStmt, insert.withClause, insert.onConflictClause, insert.returningClause], input.names)) return { kind: 'coordinator', text: statement.text, effect: 'write' };
    return planQueryRows(statement, insert, { table, input });
  }
  refuseSessionCalls(insert);
  if (takesQuery(insert) || drawsAround(statement, insert, table) || (table.kind === 'reference' && (await differsAround(insert, table, input.describe))) || (isSingleShard(table) && namedRelations([insert.onConflictClause, insert.returningClause]).length > 0)) return planQueryRows(statement, insert, { table, input });
  const leading = table.kind === 'reference' && table.rowTriggers ? triggeredInsert(statement, insert, { target: table, input }) : undefined;
  const { statement: checked, check } = leading ?? checkedConflicts(statement, insert, table);
  const plan = await planRows(checked, present('InsertStmt' in checked.node ? checked.node.InsertStmt : undefined, 'INSERT'), { table, input });
  if (plan?.verbatim === false && (await valuesReturnSets(insert, input.describe))) {
    const query = valuesAsQuery(statement, insert);
    return planInsertStatement(query, present('InsertStmt' in query.node ? query.node.InsertStmt : undefined, 'INSERT'), input);
  }
  if (plan !== undefined) return { ...plan, check, follow: leading?.followed(input.part ?? new ResultNames()) };
  await input.describe.statement(statement.text);
  throw refused('The column list or the values have a form that cannot be distributed.', 'Name plain columns, each once, and give a value for each.');
}

/** Whether ON CONFLICT or RETURNING takes values of sequences. */
function drawsAround({ text }: Statement, { relation, onConflictClause, returningClause }: InsertStmt, table: CatalogTable): boolean {
  if (onConflictClause === undefined && returningClause === undefined) return false;
  const around = { InsertStmt: { ...(relation === undefined ? {} : { relation }), ...(onConflictClause === undefined ? {} : { onConflictClause }), ...(returningClause === undefined ? {} : { returningClause }) } };
  return drawnPlaces({ node: around, text }, new Map(relation === undefined ? [] : [[relation, table]])).draws.length > 0;
}

/** Its one node can do all of SQL. */
function isSingleShard(table: CatalogTable): boolean {
  return table.kind === 'distributed' && table.distributionColumn === undefined;
}

/** Whether its rows are not just VALUES whose items each row's own shard could compute. */
export function takesQuery({ withClause, selectStmt }: InsertStmt): boolean {
  const select = selectStmt !== undefined && 'SelectStmt' in selectStmt ? selectStmt.SelectStmt : undefined;
  if (withClause !== undefined) return true;
  if (select === undefined) return false;
  const { valuesLists, sortClause, limitCount, limitOffset, withClause: inner } = select;
  return valuesLists === undefined || sortClause !== undefined || limitCount !== undefined || limitOffset !== undefined || inner !== undefined || namedRelations(valuesLists).length > 0;
}

interface Target {
  readonly table: CatalogTable | undefined;
  readonly input: StagedInput;
}

/** To one node as it is where all is about one tenant, which its parameters may decide; else in parts. */
async function planQueryRows(statement: Statement, insert: InsertStmt, { table, input }: Target): Promise<StatementPlan> {
  const analyzed = analyzeAny(statement.node, input.names);
  if (analyzed.writesInside) return planWriting(statement, statement.node, input);
  const routed = table?.kind === 'distributed' ? await planRoutedOrUndefined(statement, statement.node, input) : undefined;
  const spread = once(() => planInsertSelect(statement, { insert, table, input }));
  if (routed !== undefined) return { ...routed, spread };
  const whole = shardTemplate(statement, analyzed.uses, analyzed.results);
  return { kind: 'modify', command: 'INSERT', whole, tables: tablesOf(analyzed), uses: [], routable: false, everywhere: table?.kind === 'reference' ? table : undefined, sequences: [], spread };
}

/** Rows that are sent or computed apart from each other must not change a parameter's type, nor hide that a value does not fit its column. */
async function planRows(statement: Statement, insert: InsertStmt, { table, input }: { readonly table: CatalogTable; readonly input: StagedInput }): Promise<InsertPlan | undefined> {
  const plan = planInsert(statement, insert, { table, snapshot: input.snapshot, parameterTypes: undefined });
  if (plan === undefined) return undefined;
  const computes = plan.computed.some(({ kind }) => kind === 'expression');
  if (!computes && !sharesParameters(insert)) return plan;
  const { parameterTypes } = await input.describe.statement(statement.text);
  return planInsert(statement, insert, { table, snapshot: input.snapshot, parameterTypes });
}

function readsCatalogTables(tree: unknown, names: RelationNames): boolean {
  return namedRelations(tree).some(({ schemaname, relname }) => names.resolve(schemaname, relname ?? '') !== undefined || names.result(schemaname, relname ?? '') !== undefined || names.dependentView(schemaname, relname ?? '') !== undefined);
}
