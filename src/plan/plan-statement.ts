import type { DeleteStmt, InsertStmt, Node, RangeVar, TruncateStmt, UpdateStmt } from '@pgsql/types';
import { present } from '../base/assert.ts';
import { once } from '../base/once.ts';
import { ClusterError } from '../base/errors.ts';
import type { AnalyzedStatement } from '../analyze/analyze-statement.ts';
import { analyzeModify, namedRelations, namesSystemColumn } from '../analyze/analyze-statement.ts';
import { constantOf } from '../analyze/conditions.ts';
import { constantsOf } from '../analyze/facts.ts';
import type { FunctionRules } from '../analyze/function-calls.ts';
import { collectCalls } from '../analyze/function-calls.ts';
import { RelationNames } from '../analyze/relation-names.ts';
import type { CatalogSnapshot, CatalogTable, DistributedTable } from '../catalog/catalog-snapshot.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import type { Statement } from '../sql/parse.ts';
import { checkOverlooked, checkReadable, checkViews, obstacleOf, positionColumns } from './check-select.ts';
import { functionRules } from './function-rules.ts';
import { columnTypeName, planInsert } from './insert/plan-insert.ts';
import { refused } from './insert/refused.ts';
import type { InsertPlan } from './insert/insert-plan.ts';
import type { Named, PlanInput } from './plan-select.ts';
import { planSelect } from './plan-select.ts';
import { planWriting } from './plan-writing.ts';
import { certainUses, prunableUses, tablesOf } from './prunable-uses.ts';
import { evaluateOnce } from './select/evaluate-once.ts';
import { refusal, unsupported } from './select/unsupported.ts';
import { shardTemplate } from './shard-template.ts';
import { sharesParameters } from './typed-parameters.ts';
import type { ModifyPlan, SpreadModify, StatementPlan } from './statement-plan.ts';
import { refuseDefaults, refuseSequences } from './sequence-use.ts';
import { planExplain } from './plan-explain.ts';
import { planMaterialized } from './plan-materialized.ts';
import { planUtility } from './plan-utility.ts';
import { planUtilityCall } from './utility-call.ts';

/** Plans any statement. Refuses what has no distributed plan; what PostgreSQL itself would refuse is left to a server. */
export async function planStatement(statement: Statement, input: PlanInput): Promise<StatementPlan> {
  const { node } = statement;
  const names = new RelationNames(input.snapshot, input.searchPath);
  await checkNames(node, { ...input, names });
  if ('SelectStmt' in node) return planUtilityCall(node.SelectStmt) ?? planSelect(statement, node.SelectStmt, { ...input, names });
  if ('InsertStmt' in node) return planInsertStatement(statement, node.InsertStmt, { ...input, names });
  if ('UpdateStmt' in node) return planModify(statement, 'update', node.UpdateStmt, { ...input, names });
  if ('DeleteStmt' in node) return planModify(statement, 'delete', node.DeleteStmt, { ...input, names });
  if ('TruncateStmt' in node) return planTruncate(statement, node.TruncateStmt, names);
  if ('ExplainStmt' in node) return planExplain(statement, node.ExplainStmt, (inner) => planStatement(inner, input));
  return (await planMaterialized(statement, { ...input, names })) ?? planUtility(statement, names);
}

/** Names must mean what they mean to PostgreSQL: no local table may stand before a distributed one, no function before PostgreSQL's own. */
async function checkNames(node: Node, { names, searchPath, describe }: Named): Promise<void> {
  const relations = namedRelations(node);
  for (const relation of relations) checkTemporary(relation, names.snapshot);
  const isKnown = ({ schemaname, relname }: RangeVar): boolean => names.resolve(schemaname, relname ?? '') !== undefined;
  if (searchPath.indexOf('pg_catalog') > 0 && relations.some(isKnown)) {
    throw unsupported('Other schemas stand before pg_catalog in search_path.', 'Leave pg_catalog out of search_path, so that it is searched first.');
  }
  const unqualified = relations.flatMap(({ schemaname, relname }) => (schemaname === undefined ? [relname ?? ''] : []));
  for (const name of new Set(unqualified)) {
    const table = names.resolve(undefined, name);
    if (table === undefined || table.schema === searchPath[0]) continue;
    const { columns } = await describe.statement(`SELECT * FROM ${quoteIdentifier(name)}`);
    if (columns.every(({ tableOid }) => tableOid === table.oid)) continue;
    throw unsupported(`A local table "${name}" hides "${table.schema}.${name}" in search_path.`, 'Name the table with its schema.');
  }
}

/** A temporary table stands before every schema of the search path. */
function checkTemporary({ relname, relpersistence, schemaname }: RangeVar, { tables, dependentViews }: CatalogSnapshot): void {
  if (relpersistence !== 't' && schemaname !== 'pg_temp') return;
  const hidden = [...tables.values(), ...dependentViews.values()].find(({ name }) => name === relname);
  if (hidden === undefined) return;
  throw new ClusterError('unsupportedDdl', `a temporary table cannot be called "${hidden.name}"`, {
    detail: `It would hide "${hidden.schema}.${hidden.name}", which is a distributed or reference table, or a view over one.`,
    hint: 'Choose another name.',
  });
}


async function planInsertStatement(statement: Statement, insert: InsertStmt, input: Named): Promise<StatementPlan> {
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

function checkNoView({ schemaname, relname }: RangeVar, names: RelationNames): void {
  if (names.dependentView(schemaname, relname ?? '') === undefined) return;
  throw refused(`View "${relname ?? ''}" over distributed or reference tables is written to.`, 'Write to the tables themselves.');
}

function readsCatalogTables(tree: unknown, names: RelationNames): boolean {
  return namedRelations(tree).some(({ schemaname, relname }) => names.resolve(schemaname, relname ?? '') !== undefined);
}

async function planModify(statement: Statement, kind: 'update' | 'delete', modify: UpdateStmt | DeleteStmt, input: Named): Promise<StatementPlan> {
  checkNoView(present(modify.relation, 'target'), input.names);
  const analyzed = analyzeModify(kind, modify, input.names);
  checkViews(analyzed, input.names);
  checkOverlooked(analyzed, input.names);
  if (analyzed.uses.length === 0) return { kind: 'coordinator', text: statement.text, effect: 'write' };
  checkReadable(modify);
  refuseSequences(modify);
  if (analyzed.writesInside) return planWriting(statement, kind === 'update' ? { UpdateStmt: modify } : { DeleteStmt: modify }, input);
  const relation = present(modify.relation, 'target');
  const target = input.names.resolve(relation.schemaname, relation.relname ?? '');
  const uses = await certainUses(prunableUses(analyzed, input.snapshot), statement, input.describe);
  if (target === undefined) throw refused('A local table is written from distributed or reference tables.', 'Read the rows first, then write.');
  if (analyzed.foreign.length > 0 || uses === undefined) throw obstacleOf(analyzed);
  refuseDefaults(assignedBy(modify), target, 'one_node');
  if (kind === 'update' && target.kind === 'distributed') checkKeyAssignment(modify, target, analyzed);
  const everywhere = target.kind === 'reference';
  if (everywhere && uses.length > 0) throw refused('A reference table is written from distributed tables.', 'Read the rows first, then write.');
  const plan: ModifyPlan = {
    kind: 'modify',
    command: kind === 'update' ? 'UPDATE' : 'DELETE',
    whole: shardTemplate(statement, analyzed.uses),
    tables: tablesOf(analyzed),
    uses,
    everywhere,
    sequences: [],
    spread: once(() => makeSpread(statement, kind, modify, input)),
  };
  return plan;
}

/** An UPDATE may set the distribution column only to the value that its WHERE says it has. */
function checkKeyAssignment(modify: UpdateStmt | DeleteStmt, table: DistributedTable, { uses, placed }: AnalyzedStatement): void {
  const column = table.distributionColumn;
  for (const node of assignedBy(modify)) {
    const item = 'ResTarget' in node ? node.ResTarget : undefined;
    if (item?.name !== column.name) continue;
    const value = item.val === undefined ? undefined : constantOf(item.val, columnTypeName(column));
    const key = uses[0]?.key;
    const known = key === undefined ? [] : constantsOf(placed.facts, key);
    const same = value !== undefined && known.some(({ values, arrays }) => arrays.length === 0 && values.length === 1 && JSON.stringify(values[0]) === JSON.stringify(value));
    if (!same) {
      throw refused(`UPDATE sets the distribution column "${column.name}", which may move rows to other shards.`, 'Delete the row and insert it again, or leave the column out.');
    }
  }
}

function assignedBy(modify: UpdateStmt | DeleteStmt): readonly Node[] {
  return 'targetList' in modify ? (modify.targetList ?? []) : [];
}

async function makeSpread(original: Statement, kind: 'update' | 'delete', modify: UpdateStmt | DeleteStmt, input: Named): Promise<SpreadModify> {
  const description = await input.describe.statement(original.text);
  const rules = await functionRules(modify, input.describe);
  const analyzed = analyzeModify(kind, modify, input.names, rules);
  if (namesSystemColumn(modify, positionColumns)) throw unsupported('A system column means something else on each shard.', 'Filter by the distribution column.');
  const { rows } = analyzed.placed;
  if (rows.kind === 'scattered') throw refusal(rows.obstacle);
  const target = present(analyzed.uses[0]).table;
  refuseDefaults(assignedBy(modify), target, target.kind === 'reference' ? 'copies' : 'shard_groups');
  if (target.kind === 'reference' && callsVolatile(modify, rules)) {
    throw refused('A write to a reference table calls a volatile function, which would differ from node to node.', 'Compute the values first, and pass them as parameters.');
  }
  const parameters = description.parameterTypes.length;
  const { statement, evaluated } = await evaluateOnce(original, parameters, input.describe);
  const body = 'UpdateStmt' in statement.node ? statement.node.UpdateStmt : 'DeleteStmt' in statement.node ? statement.node.DeleteStmt : modify;
  const again = analyzeModify(kind, body, input.names, rules);
  return { template: shardTemplate(statement, again.uses), evaluated, parameters, columns: description.columns };
}

function callsVolatile(tree: unknown, rules: FunctionRules): boolean {
  let found = false;
  collectCalls(tree, (call) => {
    found ||= rules.isVolatile(call);
    return true;
  }, true);
  return found;
}

function planTruncate(statement: Statement, truncate: TruncateStmt, names: RelationNames): StatementPlan {
  const tables = (truncate.relations ?? []).map((node) => ('RangeVar' in node ? names.resolve(node.RangeVar.schemaname, node.RangeVar.relname ?? '') : undefined));
  const known = tables.filter((table): table is CatalogTable => table !== undefined);
  if (known.length === 0) return { kind: 'coordinator', text: statement.text, effect: 'write' };
  if (known.length < tables.length) throw refused('TRUNCATE names local and distributed tables together.', 'Truncate them in separate statements.');
  if (truncate.behavior === 'DROP_CASCADE') throw refused('TRUNCATE … CASCADE of a distributed or reference table.', 'Name all the tables, without CASCADE.');
  return { kind: 'truncate', tables: known, restartIdentity: truncate.restart_seqs === true, cascade: false };
}
