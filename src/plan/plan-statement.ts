import type { Node, RangeVar, TruncateStmt } from '@pgsql/types';
import { analyzeAny, namedRelations } from '../analyze/analyze-statement.ts';
import { RelationNames } from '../analyze/relation-names.ts';
import { assert, present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';
import { isLookupTable } from '../catalog/unique-lookup.ts';
import { quoteIdentifier, quoteName } from '../sql/identifiers.ts';
import { writesRows } from '../sql/ast.ts';
import type { Statement } from '../sql/parse.ts';
import { takenSequences } from './computed/taken-sequences.ts';
import { type RewrittenStatement, withComputed } from './computed/with-computed.ts';
import type { InsertPlan } from './insert/insert-plan.ts';
import { refused } from './insert/refused.ts';
import { expandViews } from './expand-views.ts';
import { queriedInsert } from './lookups/queried-insert.ts';
import { type SkippingInsert, skippingInsert, untakenInsert } from './lookups/skipping-insert.ts';
import type { UntakenPlan } from './lookups/untaken-plan.ts';
import type { TakenPlan, TakenSetPlan } from './lookups/upsert-plan.ts';
import { type TakenKey, type UpsertingInsert, upsertingInsert } from './lookups/upserting-insert.ts';
import { withLookup } from './lookups/with-lookup.ts';
import { planExplain } from './plan-explain.ts';
import { checkView, planMaterialized } from './plan-materialized.ts';
import type { Named, PlanInput } from './plan-select.ts';
import { planSelect, stagedInput } from './plan-select.ts';
import { planUtility } from './plan-utility.ts';
import { selectIntoAsCreate } from './select-into.ts';
import { unsupported } from './select/unsupported.ts';
import { selectOf } from './staged/staged-state.ts';
import type { ModifyPlan, SelectPlan, StatementPlan } from './statement-plan.ts';
import { namesTablesAsValues } from './tables-as-values.ts';
import { planTimePartitions, withTimePartitionCalls } from './time-partitions/time-partition-calls.ts';
import { planUtilityCall } from './utility-call.ts';
import { checkConflicts } from './write/check-conflicts.ts';
import { checkFloats } from './write/check-floats.ts';
import { planInsertStatement } from './write/plan-insert-statement.ts';
import { planMerge } from './write/plan-merge.ts';
import { planModify } from './write/plan-modify.ts';
import { targetOfWrite } from './write/target-of-write.ts';

/** Plans any statement. Refuses what has no distributed plan; what PostgreSQL itself would refuse is left to a server. */
export async function planStatement(statement: Statement, input: PlanInput): Promise<StatementPlan> {
  const { node } = statement;
  const named: Named = { ...input, names: new RelationNames(input.snapshot, input.searchPath), planPart: planRows };
  const timed = await withTimePartitionCalls(statement, named.describe);
  if (timed !== undefined) return planStatement(timed, input);
  const partitions = planTimePartitions(statement, named.names);
  if (partitions !== undefined) return partitions;
  const call = 'SelectStmt' in node ? planUtilityCall(node.SelectStmt) : undefined;
  if (call !== undefined) return call;
  await checkNames(node, named);
  const create = selectIntoAsCreate(statement, named.names);
  if (create !== undefined) return planStatement(create, input);
  const queried = await planQueried(statement, named);
  if (queried !== undefined) return queried;
  const upserting = upsertingInsert(statement, named.names);
  if (upserting !== undefined) return planUpserting(upserting, named);
  const skipping = skippingInsert(statement, named.names);
  if (skipping !== undefined) return planSkipping(skipping, named);
  // What EXPLAIN is of is planned, and checked, by itself.
  if (!('ExplainStmt' in node)) checkConflicts(node, named.names);
  const computed = await withComputed(statement, named);
  if (computed !== undefined) return planComputed(statement, computed, named);
  if ('SelectStmt' in node) return planLookedUp(statement, named);
  if ('TruncateStmt' in node) return planTruncate(statement, node.TruncateStmt, named);
  if ('ExplainStmt' in node) return planExplain(statement, node.ExplainStmt, (inner) => planStatement(inner, input));
  if (writesRows(node)) return planLookedUp(statement, named);
  if ('ViewStmt' in node && node.ViewStmt.query !== undefined && 'SelectStmt' in node.ViewStmt.query) await checkView(statement, node.ViewStmt.query.SelectStmt, named);
  return (await planMaterialized(statement, named)) ?? planUtility(statement, named.names);
}

/** A write whose rows are not VALUES alone, after all, has no rows that could be left out one by one. */
async function planSkipping(skipping: SkippingInsert, named: Named): Promise<StatementPlan> {
  const plan = await planRows(skipping.statement, named);
  if (plan.kind === 'insert') return { ...plan, skips: skipping.lookups.map(({ name }) => name), untaken: await planUntaken(skipping, plan, named) };
  throw refused('ON CONFLICT means a unique lookup, and the rows are not VALUES alone.', 'Compute what the rows need first, and pass it as parameters.');
}

/** Of a single row it is enough to try it. */
async function planUntaken(skipping: SkippingInsert, { table, rows }: InsertPlan, named: Named): Promise<UntakenPlan | undefined> {
  const parts = rows.length === 1 ? undefined : untakenInsert(skipping, table);
  if (parts === undefined) return undefined;
  const lookups = skipping.lookups.map((lookup) => ({ lookup, positions: lookup.columns.map((column) => parts.columns.indexOf(column)) }));
  return { lookups, proposed: await planInParts(parts.proposed, named), refused: await planRefused(parts.refused, named) };
}

async function planRefused(refusedBy: ReadonlyMap<string, Statement>, named: Named): Promise<ReadonlyMap<string, InsertPlan>> {
  const plans = new Map<string, InsertPlan>();
  for (const [name, again] of refusedBy) plans.set(name, await planInParts(again, named));
  return plans;
}

function planQueried(statement: Statement, named: Named): Promise<StatementPlan | undefined> {
  return queriedInsert(statement, named, {
    query: (query) => planRows(query, named),
    insert: async (insert) => {
      const upserting = upsertingInsert(insert, named.names);
      const skipping = upserting === undefined ? skippingInsert(insert, named.names) : undefined;
      const plan = upserting !== undefined ? await planUpserting(upserting, named) : await planSkipping(present(skipping), named);
      assert(plan.kind === 'insert', 'VALUES');
      return plan;
    },
  });
}

/** PostgreSQL is asked first: what the parts alone would let pass is an error in the whole. */
async function planUpserting(parts: UpsertingInsert, named: Named): Promise<StatementPlan> {
  const { lookup, columns } = parts;
  const { parameterTypes, columns: returned } = await named.describe.statement(parts.described);
  const insert = await planInParts(parts.insert, named);
  const refusedBy = await planRefused(parts.refused, named);
  const taken = parts.taken === undefined ? undefined : await planTaken(parts.taken, parameterTypes, named);
  return { ...insert, skips: [lookup.name], upsert: { lookup, columns, returned, proposed: await planInParts(parts.proposed, named), refused: refusedBy, taken } };
}

async function planTaken(taken: TakenKey, types: readonly string[], named: Named): Promise<TakenPlan> {
  checkFloats(named);
  const { statement, numbers } = taken.update(types);
  const [lock, update] = [await planRows(taken.lock, named), await planRows(statement, named)];
  assert(lock.kind === 'select' && update.kind === 'modify', 'a query and an update');
  return { lock: { statement: taken.lock, plan: lock }, update: { statement, plan: update }, numbers, set: await planTakenSet(taken.set(types), named) };
}

/** Undefined for what cannot be done to all rows of a shard by one statement of its own. */
async function planTakenSet(set: ReturnType<TakenKey['set']>, named: Named): Promise<TakenSetPlan | undefined> {
  if (set === undefined) return undefined;
  try {
    const [lock, update] = [await planRows(set.lock, named), await planRows(set.update, named)];
    if (lock.kind !== 'select' || update.kind !== 'modify' || !isOfOneShard(lock) || !isOfOneShard(update) || update.sequences.length + update.whole.draws.length > 0) return undefined;
    return { lock: { statement: set.lock, plan: lock }, update: { statement: set.update, plan: update } };
  } catch (error) {
    if (error instanceof ClusterError && error.code === '0A000') return undefined;
    throw error;
  }
}

function isOfOneShard({ routable, uses }: Pick<SelectPlan | ModifyPlan, 'routable' | 'uses'>): boolean {
  return routable && uses.length === 1;
}

/** The text is not the caller's: it may have parameters less, which only rows that are put together leave out. */
async function planInParts(statement: Statement, named: Named): Promise<InsertPlan> {
  const plan = await planRows(statement, named);
  if (plan.kind !== 'insert') throw refused('ON CONFLICT means a unique lookup, and the rows are not VALUES alone.', 'Compute what the rows need first, and pass it as parameters.');
  return { ...plan, verbatim: false, groups: false };
}

async function planLookedUp(statement: Statement, named: Named): Promise<StatementPlan> {
  return withLookup(await planRows(statement, named), { statement, names: named.names, plan: (rewritten) => planRows(rewritten, named) });
}

/** Without anything to compute, it is the statement that was made of it: PostgreSQL's catalogs without what is the cluster's own. */
async function planComputed(asked: Statement, { statement, numbers, inputs }: RewrittenStatement, named: Named): Promise<StatementPlan> {
  const plan = await planRows(statement, named);
  return inputs.length === 0 ? plan : { kind: 'computed', asked, statement, plan, numbers, inputs, takes: inputs.some(({ kind }) => kind === 'current_value') ? takenSequences(asked.node, named.names) : [] };
}

/** A write that reads views over distributed or reference tables, with their queries in their places; the target stays. */
async function withoutViews(statement: Statement, named: Named): Promise<Statement | undefined> {
  const target = targetOfWrite(statement);
  const foreign = analyzeAny(statement.node, named.names).foreign.filter(({ rangeVar }) => rangeVar !== target);
  return (await expandViews(statement, { foreign }, named))?.statement;
}

/** Nodes, which run a write, have shards. */
function refuseTablesAsValues(node: Node, names: RelationNames): void {
  if (!namesTablesAsValues(node, names) || !namedRelations(node).some(({ schemaname, relname }) => names.resolve(schemaname, relname ?? '') !== undefined)) return;
  throw unsupported('A write names a table by a value or a type, and nodes have shards.', 'Ask in a statement of its own, and pass the value as a parameter.');
}

/** Plans a statement that reads or writes rows. */
async function planRows(statement: Statement, named: Named): Promise<StatementPlan> {
  const { node } = statement;
  const expanded = writesRows(node) && named.snapshot.dependentViews.size > 0 ? await withoutViews(statement, named) : undefined;
  if (expanded !== undefined) return planRows(expanded, named);
  // Values of an INSERT may be computed by the coordinator database.
  if (writesRows(node) && !('InsertStmt' in node)) refuseTablesAsValues(node, named.names);
  const staged = stagedInput(named);
  if ('InsertStmt' in node) return planInsertStatement(statement, node.InsertStmt, staged);
  if ('UpdateStmt' in node) return planModify(statement, node.UpdateStmt, staged);
  if ('DeleteStmt' in node) return planModify(statement, node.DeleteStmt, staged);
  if ('MergeStmt' in node) return planMerge(statement, node.MergeStmt, staged);
  return planSelect(statement, selectOf(statement), named);
}

/** Names must mean what they mean to PostgreSQL: no local table may stand before a distributed one, no function before PostgreSQL's own. */
async function checkNames(node: Node, { names, searchPath, describe }: Named): Promise<void> {
  const relations = namedRelations(node);
  for (const relation of relations) {
    checkTemporary(relation, names.snapshot);
    checkLookupTable(relation, names);
    if (relation.inh !== true && !definesParts(node) && names.resolve(relation.schemaname, relation.relname ?? '')?.partitioned === true) {
      throw unsupported(`ONLY stands before "${relation.relname ?? ''}", which is partitioned: there are no rows in it alone.`, 'Leave ONLY out, or name a partition.');
    }
  }
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

/** What of a partitioned table can be defined for it ONLY, shards get for theirs only. */
function definesParts(node: Node): boolean {
  return 'AlterTableStmt' in node || 'IndexStmt' in node;
}

/** Its rows are the cluster's own to write, and tell of rows that a role may not read. */
function checkLookupTable({ schemaname, relname = '' }: RangeVar, names: RelationNames): void {
  const table = names.snapshot.lookups.length === 0 ? undefined : names.resolve(schemaname, relname);
  if (table === undefined || !isLookupTable(names.snapshot, table.oid)) return;
  throw unsupported(`"${relname}" has the keys of a unique lookup, which only the cluster reads and writes.`, 'Read the table of the lookup: a condition on its columns goes to one shard.');
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

async function planTruncate(statement: Statement, truncate: TruncateStmt, { names, describe }: Named): Promise<StatementPlan> {
  const relations = (truncate.relations ?? []).flatMap((node) => ('RangeVar' in node ? [node.RangeVar] : []));
  const tables = relations.map(({ schemaname, relname }) => names.resolve(schemaname, relname ?? ''));
  const known = tables.filter((table): table is CatalogTable => table !== undefined);
  if (known.length === 0) return { kind: 'coordinator', text: statement.text, effect: 'write' };
  if (known.length < tables.length) await checkThere(relations.filter((_, i) => tables[i] === undefined), describe);
  if (known.length < tables.length) throw refused('TRUNCATE names local and distributed tables together.', 'Truncate them in separate statements.');
  return { kind: 'truncate', tables: known, restartIdentity: truncate.restart_seqs === true, cascade: truncate.behavior === 'DROP_CASCADE' };
}

/** `undefinedTable` where one of them is none. */
async function checkThere(relations: readonly RangeVar[], describe: Named['describe']): Promise<void> {
  for (const { schemaname, relname = '' } of relations) {
    await describe.statement(`SELECT FROM ${quoteName(schemaname, relname)}`).catch((error: unknown) => {
      if (!(error instanceof Error) || !('code' in error) || error.code !== '42P01') throw error;
      throw new ClusterError('undefinedTable', error.message, { cause: error });
    });
  }
}
