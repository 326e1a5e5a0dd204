import type { DeleteStmt, InsertStmt, Node, RangeVar, SelectStmt, TruncateStmt, UpdateStmt } from '@pgsql/types';
import { present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { AnalyzedStatement } from '../analyze/analyze-statement.ts';
import { analyzeModify, analyzeSelect, namedRelations, namesSystemColumn } from '../analyze/analyze-statement.ts';
import { constantOf } from '../analyze/conditions.ts';
import { constantsOf } from '../analyze/facts.ts';
import type { FunctionRules } from '../analyze/function-calls.ts';
import { builtinRules, collectCalls } from '../analyze/function-calls.ts';
import type { TableUse } from '../analyze/relation.ts';
import { RelationNames } from '../analyze/relation-names.ts';
import type { CatalogSnapshot, CatalogTable, DistributedTable } from '../catalog/catalog-snapshot.ts';
import { builtinName, nameParts } from '../sql/ast.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import type { Statement } from '../sql/parse.ts';
import type { Describe } from './describe.ts';
import type { FanOut } from './fan-out.ts';
import { columnTypeName, planInsert, refused } from './insert/plan-insert.ts';
import type { InsertPlan } from './insert/insert-plan.ts';
import { placerOf } from './prune.ts';
import { evaluateOnce } from './select/evaluate-once.ts';
import { planFanOut } from './select/plan-fan-out.ts';
import { checkRowTypes } from './select/select-context.ts';
import type { Finishing } from './select/select-context.ts';
import { refusal, unsupported } from './select/unsupported.ts';
import { shardTemplate } from './shard-template.ts';
import { knownSets, parameterUses, sharesParameters, withTypedParameters } from './typed-parameters.ts';
import type { ModifyPlan, PrunableUse, SelectPlan, SpreadModify, StatementPlan } from './statement-plan.ts';
import { planUtilityCall } from './utility-call.ts';

export interface PlanInput {
  readonly snapshot: CatalogSnapshot;
  /** Schemas in order, without the implied pg_catalog. */
  readonly searchPath: readonly string[];
  readonly describe: Describe;
  /** `application` by default. */
  readonly finishing?: Finishing | undefined;
}

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
  return planOther(statement, names);
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
function checkTemporary({ relname, relpersistence, schemaname }: RangeVar, { tables }: CatalogSnapshot): void {
  if (relpersistence !== 't' && schemaname !== 'pg_temp') return;
  const hidden = [...tables.values()].find(({ name }) => name === relname);
  if (hidden === undefined) return;
  throw new ClusterError('unsupportedDdl', `a temporary table cannot be called "${hidden.name}"`, {
    detail: `It would hide "${hidden.schema}.${hidden.name}", which is distributed or a reference table.`,
    hint: 'Choose another name.',
  });
}

interface Named extends PlanInput {
  readonly names: RelationNames;
}

async function planSelect(statement: Statement, select: SelectStmt, input: Named): Promise<StatementPlan> {
  const analyzed = analyzeSelect(select, input.names);
  checkViews(analyzed, input.names);
  checkOverlooked(analyzed, input.names);
  checkSequenceCalls(select, input.snapshot);
  if (analyzed.uses.length === 0) return { kind: 'coordinator', text: statement.text, effect: analyzed.writesInside || select.intoClause !== undefined ? 'write' : 'read' };
  checkReadable(analyzed, select);
  if (select.intoClause !== undefined) throw unsupported('SELECT INTO reads a distributed table.', 'Create the table first, and fill it from the application.');
  const uses = await certainUses(prunableUses(analyzed, input.snapshot), statement, input.describe);
  if (analyzed.foreign.length > 0 || uses === undefined) throw obstacleOf(analyzed);
  let fanOut: Promise<FanOut> | undefined;
  const plan: SelectPlan = {
    kind: 'select',
    whole: shardTemplate(statement, analyzed.uses),
    tables: tablesOf(analyzed),
    uses,
    locks: select.lockingClause !== undefined,
    fanOut: () => {
      fanOut ??= makeFanOut(statement, select, input).catch((error: unknown) => {
        fanOut = undefined;
        throw error;
      });
      return fanOut;
    },
  };
  return plan;
}

function tablesOf({ uses }: AnalyzedStatement): CatalogTable[] {
  return [...new Set(uses.map(({ table }) => table))];
}

/** Values of these sequences are given out in blocks: no session has a last one. */
function checkSequenceCalls(select: SelectStmt, { tables }: CatalogSnapshot): void {
  collectCalls(select, (call) => {
    const name = builtinName(call.funcname);
    if (name !== 'currval' && name !== 'lastval') return true;
    const [argument] = call.args ?? [];
    const asked = argument !== undefined && 'A_Const' in argument ? argument.A_Const.sval?.sval : undefined;
    for (const { columns } of tables.values()) {
      for (const column of columns) {
        if (column.default?.kind !== 'sequence' || (asked !== undefined && !column.default.sequence.endsWith(asked.split('.').at(-1) ?? ''))) continue;
        throw unsupported(`Sequence ${column.default.sequence} fills a distributed or reference table: its values are taken in blocks.`, 'Use INSERT … RETURNING.');
      }
    }
    return true;
  }, true);
}

/** Where a use was not placed, nothing is known of it, so the statement cannot be sent anywhere. */
function prunableUses({ uses, restrictions }: AnalyzedStatement, snapshot: CatalogSnapshot): PrunableUse[] | undefined {
  const prunable: PrunableUse[] = [];
  for (const use of uses) {
    if (use.table.kind !== 'distributed') continue;
    const known = restrictions.get(use);
    if (known === undefined) return undefined;
    prunable.push({ table: use.table, placer: placerOf(use.table, snapshot), restrictions: known });
  }
  return prunable;
}

/**
 * What parameters say of a distribution column, where they are certainly read as its type. One that stands in several places may have got
 * another type there: only then is the server asked.
 */
async function certainUses(uses: readonly PrunableUse[] | undefined, { node, text }: Statement, describe: Describe): Promise<readonly PrunableUse[] | undefined> {
  const sets = uses?.flatMap(({ restrictions }) => restrictions) ?? [];
  const numbers = new Set(sets.flatMap(({ values, arrays }) => [...arrays, ...values.flatMap((value) => (value.kind === 'parameter' ? [value.number] : []))]));
  if (numbers.size === 0) return uses;
  const counts = parameterUses(node);
  if ([...numbers].every((number) => counts.get(number) === 1)) return uses;
  const { parameterTypes } = await describe.statement(text);
  return uses?.map((use) => ({ ...use, restrictions: knownSets(use.restrictions, parameterTypes, columnTypeName(use.table.distributionColumn)) }));
}

function obstacleOf({ placed }: AnalyzedStatement): ClusterError {
  if (placed.rows.kind === 'scattered') return refusal(placed.rows.obstacle);
  if (placed.whole.kind === 'scattered') return refusal(placed.whole.obstacle);
  return unsupported('The statement reads distributed tables in a place that cannot be distributed yet.', 'Filter by the distribution column, or split the statement.');
}

function checkViews({ foreign }: Pick<AnalyzedStatement, 'foreign'>, names: RelationNames): void {
  for (const { rangeVar } of foreign) {
    if (!names.isDependentView(rangeVar.schemaname, rangeVar.relname ?? '')) continue;
    throw unsupported(`View "${rangeVar.relname ?? ''}" reads distributed or reference tables.`, 'Write the view\'s query in its place.');
  }
}

/** What the analysis did not look at would be read from the empty shells. */
function checkOverlooked({ overlooked, writesInside }: AnalyzedStatement, names: RelationNames): void {
  checkViews({ foreign: overlooked.map((rangeVar) => ({ rangeVar })) }, names);
  const table = overlooked.find(({ schemaname, relname }) => names.resolve(schemaname, relname ?? '') !== undefined);
  if (table === undefined) return;
  if (writesInside) throw unsupported('A common table expression writes.', 'Run it as a statement of its own.');
  throw unsupported(`Table "${table.relname ?? ''}" is named in a clause that cannot be distributed yet.`, 'Run the clause as a statement of its own, and pass its result as parameters.');
}

const shardColumns: ReadonlySet<string> = new Set(['tableoid']);
const positionColumns: ReadonlySet<string> = new Set(['tableoid', 'ctid', 'xmin', 'xmax', 'cmin', 'cmax']);

function checkReadable({ writesInside }: AnalyzedStatement, tree: unknown): void {
  if (writesInside) throw unsupported('A common table expression writes.', 'Run it as a statement of its own.');
  if (namesSystemColumn(tree, shardColumns)) throw unsupported('System column "tableoid" would show shards.', 'Leave it out.');
}

async function makeFanOut(original: Statement, select: SelectStmt, input: Named): Promise<FanOut> {
  const description = await input.describe.statement(original.text);
  const rules = await functionRules(select, input.describe);
  const typed = withTypedParameters(select, description.parameterTypes);
  const { query, placed, uses } = analyzeSelect(typed, input.names, rules);
  if (namesSystemColumn(select, positionColumns)) throw unsupported('A system column means something else on each shard.', 'Leave it out, or filter by the distribution column.');
  const rowTypes = rowTypesOf(uses);
  checkRowTypes(description.columns, rowTypes);
  const draft = await planFanOut({ original, statement: typed, query, placed, description, describe: input.describe, rules, rowTypes, finishing: input.finishing ?? 'application' });
  const parameters = description.parameterTypes.length;
  const { statement, evaluated } = await evaluateOnce(draft.shard, parameters, input.describe);
  const made = 'SelectStmt' in statement.node ? analyzeSelect(statement.node.SelectStmt, input.names, rules) : undefined;
  return {
    shardQuery: shardTemplate(statement, present(made).uses),
    shardOrder: draft.shardOrder,
    merge: draft.merge,
    columns: draft.columns,
    parameters,
    rules: evaluated.length > 0 ? [...draft.rules, 'evaluate_once'] : draft.rules,
    evaluated,
  };
}

/** As a server may print their names, quoted or not. */
function rowTypesOf(uses: readonly TableUse[]): Set<string> {
  return new Set(uses.flatMap(({ table: { kind, schema, name } }) => {
    if (kind === 'reference') return [];
    const names = [name, quoteIdentifier(name)];
    return [schema, quoteIdentifier(schema)].flatMap((prefix) => names.map((last) => `${prefix}.${last}`));
  }));
}

/** Functions of users and extensions are asked for; PostgreSQL's own are known by name. */
async function functionRules(tree: unknown, describe: Describe): Promise<FunctionRules> {
  const names = new Set<string>();
  collectCalls(tree, (call) => {
    const name = nameParts(call.funcname).at(-1);
    if (name !== undefined) names.add(name);
    return true;
  }, true);
  const facts = await describe.functions([...names]);
  const factOf = (funcname: Node[] | undefined): ReturnType<typeof facts.get> => facts.get(nameParts(funcname).at(-1) ?? '');
  return {
    isAggregate: (call) => builtinRules.isAggregate(call) || factOf(call.funcname)?.aggregate === true,
    isBuiltin: ({ funcname }) => nameParts(funcname)[0] === 'pg_catalog' || factOf(funcname) === undefined,
    isVolatile: (call) => builtinRules.isVolatile(call) || factOf(call.funcname)?.volatility === 'volatile',
  };
}

async function planInsertStatement(statement: Statement, insert: InsertStmt, input: Named): Promise<StatementPlan> {
  const relation = present(insert.relation, 'target');
  const table = input.names.resolve(relation.schemaname, relation.relname ?? '');
  const select = insert.selectStmt !== undefined && 'SelectStmt' in insert.selectStmt ? insert.selectStmt.SelectStmt : undefined;
  if (table === undefined) {
    if (readsCatalogTables([insert.selectStmt, insert.withClause, insert.onConflictClause, insert.returningClause], input.names)) {
      throw refused('A local table is written from distributed or reference tables.', 'Read the rows first, and insert them as values.');
    }
    checkViews({ foreign: namedRelations(insert).map((rangeVar) => ({ rangeVar })) }, input.names);
    return { kind: 'coordinator', text: statement.text, effect: 'write' };
  }
  if (select !== undefined && select.valuesLists === undefined) {
    throw refused('INSERT … SELECT into a distributed or reference table.', 'Read the rows first, and insert them as values or with COPY.');
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

async function planModify(statement: Statement, kind: 'update' | 'delete', modify: UpdateStmt | DeleteStmt, input: Named): Promise<StatementPlan> {
  const analyzed = analyzeModify(kind, modify, input.names);
  checkViews(analyzed, input.names);
  checkOverlooked(analyzed, input.names);
  if (analyzed.uses.length === 0) return { kind: 'coordinator', text: statement.text, effect: 'write' };
  checkReadable(analyzed, modify);
  const relation = present(modify.relation, 'target');
  const target = input.names.resolve(relation.schemaname, relation.relname ?? '');
  const uses = await certainUses(prunableUses(analyzed, input.snapshot), statement, input.describe);
  if (target === undefined) throw refused('A local table is written from distributed or reference tables.', 'Read the rows first, then write.');
  if (analyzed.foreign.length > 0 || uses === undefined) throw obstacleOf(analyzed);
  if (kind === 'update' && target.kind === 'distributed') checkKeyAssignment(modify, target, analyzed);
  const everywhere = target.kind === 'reference';
  if (everywhere && uses.length > 0) throw refused('A reference table is written from distributed tables.', 'Read the rows first, then write.');
  let spread: Promise<SpreadModify> | undefined;
  const plan: ModifyPlan = {
    kind: 'modify',
    command: kind === 'update' ? 'UPDATE' : 'DELETE',
    whole: shardTemplate(statement, analyzed.uses),
    tables: tablesOf(analyzed),
    uses,
    everywhere,
    spread: () => {
      spread ??= makeSpread(statement, kind, modify, input).catch((error: unknown) => {
        spread = undefined;
        throw error;
      });
      return spread;
    },
  };
  return plan;
}

/** An UPDATE may set the distribution column only to the value that its WHERE says it has. */
function checkKeyAssignment(modify: UpdateStmt | DeleteStmt, table: DistributedTable, { uses, placed }: AnalyzedStatement): void {
  const column = table.distributionColumn;
  const assigned = 'targetList' in modify ? (modify.targetList ?? []) : [];
  for (const node of assigned) {
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

async function makeSpread(original: Statement, kind: 'update' | 'delete', modify: UpdateStmt | DeleteStmt, input: Named): Promise<SpreadModify> {
  const description = await input.describe.statement(original.text);
  const rules = await functionRules(modify, input.describe);
  const analyzed = analyzeModify(kind, modify, input.names, rules);
  if (namesSystemColumn(modify, positionColumns)) throw unsupported('A system column means something else on each shard.', 'Filter by the distribution column.');
  const { rows } = analyzed.placed;
  if (rows.kind === 'scattered') throw refusal(rows.obstacle);
  const target = present(analyzed.uses[0]).table;
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

/** Utility statements: for the coordinator database, unless they name a distributed or reference table. */
function planOther(statement: Statement, names: RelationNames): StatementPlan {
  const { node } = statement;
  const kind = Object.keys(node)[0] ?? '';
  const named = namedRelations(node).find(({ schemaname, relname }) => names.resolve(schemaname, relname ?? '') !== undefined);
  const dropped = droppedNames(node).find((parts) => names.resolve(parts.at(-2), parts.at(-1) ?? '') !== undefined);
  if (harmless.has(kind) && kind !== 'ExplainStmt') return { kind: 'coordinator', text: statement.text, effect: 'session' };
  if (named !== undefined || dropped !== undefined) {
    const instead = insteadOf[kind];
    if (instead !== undefined) throw unsupported(`The statement is not understood as SQL text yet, since "${named?.relname ?? ''}" is not a local table.`, instead);
    throw new ClusterError('unsupportedDdl', `this statement is not carried to the shards of "${named?.relname ?? dropped?.at(-1) ?? ''}" yet`, {
      detail: 'The table is distributed or a reference table.',
      hint: 'Call undistribute_table() first, or make the change before create_distributed_table().',
    });
  }
  return { kind: 'coordinator', text: statement.text, effect: kind === 'VariableShowStmt' ? 'read' : 'write' };
}

/** Statements that have a method of the cluster in their place. */
const insteadOf: Readonly<Record<string, string>> = {
  ExplainStmt: 'Call cluster.explain() with the statement.',
  DeclareCursorStmt: 'Call cluster.stream() with the query.',
  PrepareStmt: 'Give the query a name: query({ name, text, values }).',
  CopyStmt: 'Call cluster.copyFrom() or cluster.copyTo() with the statement.',
};

const harmless: ReadonlySet<string> = new Set(['ListenStmt', 'UnlistenStmt', 'NotifyStmt', 'CheckPointStmt']);

function droppedNames(node: Node): string[][] {
  if (!('DropStmt' in node)) return [];
  return (node.DropStmt.objects ?? []).flatMap((object) => ('List' in object ? [nameParts(object.List.items)] : []));
}
