import type { CreateStmt, Node, ViewStmt } from '@pgsql/types';
import { namedRelations } from '../analyze/analyze-statement.ts';
import type { RelationNames } from '../analyze/relation-names.ts';
import { present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { holds, walk } from '../sql/ast.ts';
import type { Statement } from '../sql/parse.ts';
import { planConcurrentIndex } from './ddl/plan-concurrent-index.ts';
import { planMaintenance } from './ddl/plan-maintenance.ts';
import { planDefinition } from './ddl/plan-definition.ts';
import { refuseReaderOfShells } from './ddl/function-tables.ts';
import { readsDistributed } from './ddl/reads-distributed.ts';
import { changesOfViews, relationsIn } from './ddl/relations-in.ts';
import { referencedByLocal } from './ddl/local-keys.ts';
import { mayMakeTables } from './ddl/schema-tables.ts';
import { planDo } from './ddl/plan-do.ts';
import { unsupported } from './select/unsupported.ts';
import type { StatementPlan } from './statement-plan.ts';

/** Utility statements: for the coordinator database, unless they name a distributed or reference table, or a view over one. */
export function planUtility(statement: Statement, names: RelationNames): StatementPlan {
  const { node, text } = statement;
  const kind = Object.keys(node)[0] ?? '';
  if (harmless.has(kind)) return { kind: 'coordinator', text, effect: 'session' };
  if ('ViewStmt' in node) return planView(statement, node.ViewStmt, names);
  // Its foreign keys may refer to any table: it is likely to be distributed next.
  if ('CreateStmt' in node && node.CreateStmt.inhRelations === undefined && !mayMakeTables(node, names) && referencedByLocal(node, names).length === 0) return { kind: 'coordinator', text, effect: 'write', ...codeChange(node) };
  if ('DoStmt' in node) return planDo(statement, names) ?? { kind: 'coordinator', text, effect: 'write' };
  if ('CreateFunctionStmt' in node) refuseReaderOfShells(statement, names);
  const named = relationsIn(node);
  const table = named.find(({ schemaname, relname }) => names.resolve(schemaname, relname ?? '') !== undefined);
  const view = named.find(({ schemaname, relname }) => names.dependentView(schemaname, relname ?? '') !== undefined);
  const distributed = table ?? view;
  if (distributed !== undefined && 'RefreshMatViewStmt' in node) throw notFilledByUs(distributed.relname ?? '');
  const definition = planConcurrentIndex(statement, names) ?? planMaintenance(statement, names) ?? planDefinition(statement, names);
  const refers = 'AlterTableStmt' in node && refersOnly(node, names);
  // About a local table it is for the sake of those that it refers to, and says nothing else of them.
  if (definition !== undefined && (refers || !isOfLocal(node, definition))) return definition;
  if (refers) return { kind: 'coordinator', text, effect: 'write', ...codeChange(node) };
  if (table !== undefined) throw refusedFor(kind, table.relname ?? '');
  const filled = named.some(({ schemaname, relname }) => names.filledView(schemaname, relname ?? '') !== undefined);
  if (view === undefined && filled && changesOfViews.has(kind)) return { kind: 'coordinator', text, effect: 'write', changesViews: { created: undefined } };
  if (view === undefined) return { kind: 'coordinator', text, effect: kind === 'VariableShowStmt' ? 'read' : 'write', ...codeChange(node) };
  if (!changesOfViews.has(kind)) throw refusedFor(kind, view.relname ?? '');
  return { kind: 'coordinator', text, effect: 'write', changesViews: { created: undefined } };
}

/** Of what gives a local relation triggers, rules, policies, defaults and checks, whose code runs when the relation is named, or a name to one that may have them. */
function codeChange(node: Node): { readonly changesCode?: true } {
  return givesCode(node) ? { changesCode: true } : {};
}

function givesCode(node: Node): boolean {
  if ('AlterTableStmt' in node) return (node.AlterTableStmt.cmds ?? []).some(commandGives);
  if ('CreateStmt' in node) return tableGives(node.CreateStmt);
  if ('IndexStmt' in node) return holds(node, 'FuncCall');
  if ('RenameStmt' in node) return namesRelations.test(node.RenameStmt.renameType ?? '');
  if ('AlterObjectSchemaStmt' in node) return namesRelations.test(node.AlterObjectSchemaStmt.objectType ?? '');
  return givers.has(Object.keys(node)[0] ?? '');
}

function commandGives(command: Node): boolean {
  const subtype = 'AlterTableCmd' in command ? (command.AlterTableCmd.subtype ?? '') : '';
  return alwaysGives.test(subtype) || (mayGive.test(subtype) && holds(command, 'FuncCall'));
}

/** Its name may have been another's, or hide another's. */
function tableGives({ relation, ...body }: CreateStmt): boolean {
  return relation?.relpersistence !== 't' && holds(body, 'FuncCall', 'TableLikeClause');
}

const alwaysGives = /^AT_(AttachPartition|AddInherit|(Enable|Force)RowSecurity)$/;
const mayGive = /^AT_(ColumnDefault|AddColumn|AddConstraint|SetExpression)$/;
const givers: ReadonlySet<string> = new Set(['CreateTrigStmt', 'RuleStmt', 'CreatePolicyStmt', 'AlterPolicyStmt']);
const namesRelations = /^OBJECT_(TABLE|VIEW|FOREIGN_TABLE)$/;

/** A view stays in the coordinator database, over the shells; statements that read it get its query in its place. */
function planView({ text }: Statement, { view: named, query }: ViewStmt, names: RelationNames): StatementPlan {
  const view = present(named, 'name of a view');
  const reads = readsDistributed(query, names);
  const replaces = names.dependentView(view.schemaname, view.relname ?? '') !== undefined;
  if (!reads && !replaces) return { kind: 'coordinator', text, effect: 'write', ...(view.relpersistence === 't' ? {} : { changesCode: true }) };
  if (reads && (view.relpersistence === 't' || view.schemaname === 'pg_temp')) throw temporaryView(view.relname ?? '');
  return { kind: 'coordinator', text, effect: 'write', changesViews: { created: reads ? view : undefined } };
}

/** Other processes could not know of it. */
export function temporaryView(name: string): ClusterError {
  return new ClusterError('unsupportedDdl', `view "${name}" cannot be temporary`, {
    detail: 'It reads distributed or reference tables, and nobody but one connection to the coordinator database would know it.',
    hint: 'Make an ordinary view, over tables that are not temporary.',
  });
}

/** The coordinator database would fill it from the shells. */
function notFilledByUs(name: string): ClusterError {
  return new ClusterError('unsupportedDdl', `materialized view "${name}" was not made through the cluster`, {
    detail: 'It reads distributed or reference tables, and its definition does not say where their rows come from.',
    hint: 'Drop it, and create it again through the cluster.',
  });
}

function refusedFor(kind: string, name: string): ClusterError {
  const instead = insteadOf[kind];
  if (instead !== undefined) return unsupported(`The statement is not understood as SQL text yet, since "${name}" is not a local table.`, instead);
  if (kind === 'RuleStmt') return noRules(name);
  return new ClusterError('unsupportedDdl', `this statement is not carried to the shards of "${name}" yet`, {
    detail: 'It is a distributed or reference table, or a view over one.',
    hint: 'Call undistribute_table() first, or make the change before create_distributed_table().',
  });
}

function noRules(name: string): ClusterError {
  return new ClusterError('unsupportedDdl', `a rule cannot be of "${name}", or write to it`, {
    detail: 'A rule rewrites statements where they arrive. Those for distributed and reference tables, and views over them, are planned by the cluster, and sent to shards, which have no rules.',
    hint: 'Use a trigger, which runs where the row is, or a view.',
  });
}

function isOfLocal(node: Node, definition: StatementPlan): boolean {
  return 'AlterTableStmt' in node && definition.kind === 'definition' && definition.tables.length === 0 && definition.everywhere === undefined;
}

/** A local table gets foreign keys to others, as in its CREATE TABLE: it is likely to be distributed next. */
function refersOnly(node: Node, names: RelationNames): boolean {
  const referenced = new Set<object>();
  walk(node, (kind, body) => {
    if (kind === 'Constraint' && 'pktable' in body && typeof body.pktable === 'object' && body.pktable !== null) referenced.add(body.pktable);
    return undefined;
  });
  return namedRelations(node).every((relation) => referenced.has(relation) || (names.resolve(relation.schemaname, relation.relname ?? '') ?? names.dependentView(relation.schemaname, relation.relname ?? '')) === undefined);
}

/** Statements that have a method of the cluster in their place. */
const insteadOf: Readonly<Record<string, string>> = {
  DeclareCursorStmt: 'Call cluster.stream() with the query.',
  CopyStmt: 'Call cluster.copyFrom() or cluster.copyTo() with the statement.',
};

const harmless: ReadonlySet<string> = new Set(['ListenStmt', 'UnlistenStmt', 'NotifyStmt', 'CheckPointStmt']);
