import type { DeleteStmt, InsertStmt, MergeMatchKind, MergeStmt, Node, RangeVar, SelectStmt, UpdateStmt } from '@pgsql/types';
import { present } from '../base/assert.ts';
import type { WriteCommand, WriteSources, Surroundings } from './build-query.ts';
import { constantOf, factsOfCondition } from './conditions.ts';
import type { ConstantSet } from './constant-set.ts';
import type { Fact } from './facts.ts';
import { outputConstants } from './place-query.ts';
import type { FromTree, OutputColumn, Query, SelectQuery, Sublink } from './query-level.ts';
import type { TableUse } from './relation.ts';
import type { Scope } from './scope.ts';

/** What `buildWriteQuery` asks of the query builder. */
export interface WriteBuilder {
  build(statement: SelectStmt, around: Surroundings): Query;
  buildWrite(target: RangeVar, from: readonly Node[], parts: { readonly withClause: UpdateStmt['withClause']; readonly statement: object; readonly around: Surroundings }): WriteSources;
  buildSublinks(expressions: readonly unknown[], sources: WriteSources): Sublink[];
  outputsOf(targets: readonly Node[], scope: Scope): OutputColumn[] | undefined;
  /** An output whose value is not that of the column that it names. */
  detached(output: OutputColumn): OutputColumn;
  noteInsert(use: TableUse, rows: 'values' | 'select'): void;
  noteTarget(target: RangeVar | undefined, command: WriteCommand): void;
}

/**
 * A write as a query that joins the target with what FROM or USING adds, and gives the rows of RETURNING. The rows of an INSERT are one of
 * its subqueries; what is certain of their distribution value is certain of the target's. A MERGE is an outer join where it does something with rows that do not match.
 * Undefined for other statements.
 */
export function buildWriteQuery(builder: WriteBuilder, node: Node, around: Surroundings): SelectQuery | undefined {
  if ('UpdateStmt' in node) builder.noteTarget(node.UpdateStmt.relation, 'update');
  if ('DeleteStmt' in node) builder.noteTarget(node.DeleteStmt.relation, 'delete');
  if ('MergeStmt' in node) builder.noteTarget(node.MergeStmt.relation, 'merge');
  if ('InsertStmt' in node) builder.noteTarget(node.InsertStmt.relation, 'insert');
  if ('UpdateStmt' in node) return buildModify(builder, node.UpdateStmt, { from: node.UpdateStmt.fromClause ?? [], assigned: node.UpdateStmt.targetList ?? [], around });
  if ('DeleteStmt' in node) return buildModify(builder, node.DeleteStmt, { from: node.DeleteStmt.usingClause ?? [], assigned: [], around });
  if ('MergeStmt' in node) return buildMerge(builder, node.MergeStmt, around);
  return 'InsertStmt' in node ? buildInsert(builder, node.InsertStmt, around) : undefined;
}

interface Modifying {
  readonly from: readonly Node[];
  readonly assigned: readonly Node[];
  readonly around: Surroundings;
}

function buildModify(builder: WriteBuilder, statement: UpdateStmt | DeleteStmt, { from, assigned, around }: Modifying): SelectQuery {
  const { relation, withClause, whereClause, returningClause } = statement;
  const sources = builder.buildWrite(present(relation, 'target'), from, { withClause, statement, around });
  const { facts, strict } = factsOfCondition(whereClause, sources.scope);
  const outputs = builder.outputsOf(returningClause?.exprs ?? [], sources.scope);
  const changed = changedColumns(sources.target, assigned);
  return {
    kind: 'select', statement: { fromClause: [...from], ...(whereClause === undefined ? {} : { whereClause }) }, ids: undefined, common: sources.common, scope: sources.scope, facts, strict,
    outputs: outputs?.map((output) => (changed.has(output.id) ? builder.detached(output) : output)),
    from: { kind: 'join', type: 'inner', left: sources.target, right: sources.from, facts: [], strict: new Set(), merged: [] },
    sublinks: builder.buildSublinks([assigned, whereClause, returningClause], sources),
  };
}

function buildMerge(builder: WriteBuilder, statement: MergeStmt, around: Surroundings): SelectQuery {
  const { relation, sourceRelation, joinCondition, mergeWhenClauses = [], withClause, returningClause } = statement;
  const source = present(sourceRelation, 'source');
  const sources = builder.buildWrite(present(relation, 'target'), [source], { withClause, statement, around });
  const { facts, strict } = factsOfCondition(joinCondition, sources.scope);
  const type = joinOfMerge(statement);
  return {
    kind: 'select', statement: { fromClause: [source] }, ids: undefined, common: sources.common, scope: sources.scope, facts: type === 'inner' ? facts : [], strict: type === 'inner' ? strict : new Set(),
    outputs: builder.outputsOf(returningClause?.exprs ?? [], sources.scope)?.map((output) => builder.detached(output)),
    from: { kind: 'join', type, left: sources.target, right: sources.from, facts, strict, merged: [] },
    sublinks: builder.buildSublinks([joinCondition, mergeWhenClauses, returningClause], sources),
  };
}

/** The target is the left side. A side is kept when something is done with its rows that do not match. */
function joinOfMerge(statement: MergeStmt): 'inner' | 'left' | 'right' | 'full' {
  const target = actsOn(statement, 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE');
  const source = actsOn(statement, 'MERGE_WHEN_NOT_MATCHED_BY_TARGET');
  return target ? (source ? 'full' : 'left') : source ? 'right' : 'inner';
}

/** Whether a MERGE does something with rows of this kind. */
export function actsOn({ mergeWhenClauses = [] }: MergeStmt, kind: MergeMatchKind): boolean {
  return mergeWhenClauses.some((node) => 'MergeWhenClause' in node && node.MergeWhenClause.matchKind === kind && node.MergeWhenClause.commandType !== 'CMD_NOTHING');
}

/** Columns of the target that may not have in RETURNING what WHERE has seen in them. */
function changedColumns(target: FromTree, assigned: readonly Node[]): Set<number> {
  if (target.kind !== 'table' || assigned.length === 0) return new Set();
  const names = new Set(assigned.flatMap((item) => ('ResTarget' in item ? [item.ResTarget.name] : [])));
  return new Set(target.use.table.columns.flatMap(({ name, generated }, i) => (generated || names.has(name) ? [target.relation.firstColumn + i] : [])));
}

function buildInsert(builder: WriteBuilder, statement: InsertStmt, around: Surroundings): SelectQuery {
  const { relation, withClause, selectStmt, onConflictClause, returningClause } = statement;
  const sources = builder.buildWrite(present(relation, 'target'), [], { withClause, statement, around });
  const rows = selectStmt !== undefined && 'SelectStmt' in selectStmt ? builder.build(selectStmt.SelectStmt, sources.around) : undefined;
  const { target } = sources;
  const use = target.kind === 'table' ? target.use : undefined;
  if (use !== undefined) builder.noteInsert(use, rows === undefined || rows.kind === 'values' ? 'values' : 'select');
  const outputs = builder.outputsOf(returningClause?.exprs ?? [], sources.scope);
  // The value stored may be a rounded one.
  const rounds = use?.table.kind === 'distributed' && (use.table.distributionColumn?.type.modifier ?? -1) >= 0;
  return {
    kind: 'select', statement: {}, ids: undefined, common: sources.common, scope: sources.scope, strict: new Set(), from: target,
    facts: use === undefined || rows === undefined ? [] : insertedFacts(use, rows, statement),
    outputs: rounds ? outputs?.map((output) => builder.detached(output)) : outputs,
    sublinks: [...(rows === undefined ? [] : [{ query: rows, test: undefined }]), ...builder.buildSublinks([onConflictClause, returningClause], sources)],
  };
}

function insertedFacts({ table, key }: TableUse, rows: Query, { cols }: InsertStmt): Fact[] {
  if (table.kind !== 'distributed' || table.distributionColumn === undefined || key === undefined) return [];
  const { name } = table.distributionColumn;
  const names = cols === undefined ? table.columns.map((column) => column.name) : cols.map((item) => ('ResTarget' in item && item.ResTarget.indirection === undefined ? item.ResTarget.name : undefined));
  const place = names.indexOf(name);
  if (place < 0) return [];
  const sets = valuesAt(rows, place, table.distributionColumn.type.sql.replace(/\(.*\)/, ''));
  return sets.map((set): Fact => ({ kind: 'among', column: key, set }));
}

/** What is known of a column of rows to be inserted into a column of `type`. */
function valuesAt(rows: Query, place: number, type: string): readonly ConstantSet[] {
  if (rows.kind === 'values') {
    const nodes = (rows.statement.valuesLists ?? []).map((row) => ('List' in row ? row.List.items?.[place] : undefined));
    return constants(nodes, type);
  }
  const output = rows.outputs?.[place];
  if (rows.kind !== 'select' || output === undefined) return [];
  if (output.plain) return output.type === type ? outputConstants(rows, output) : [];
  const targets = rows.statement.targetList ?? [];
  const target = targets.length === rows.outputs?.length ? targets[place] : undefined;
  return constants([target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined], type);
}

function constants(nodes: readonly (Node | undefined)[], type: string): ConstantSet[] {
  const values = nodes.map((node) => (node === undefined ? undefined : constantOf(node, type)));
  const known = values.filter((value) => value !== undefined);
  return known.length === values.length ? [{ values: known, arrays: [] }] : [];
}
