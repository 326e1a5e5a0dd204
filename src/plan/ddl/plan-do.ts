import { collectCalls } from '../../analyze/function-calls.ts';
import { namedRelations } from '../../analyze/analyze-statement.ts';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { ClusterError } from '../../base/errors.ts';
import { type Code, readCode } from '../../sql/code-statements.ts';
import { nameParts } from '../../sql/ast.ts';
import type { Statement } from '../../sql/parse.ts';
import type { DefinitionPlan } from './definition-plan.ts';
import { everywhereOf, type ObjectScope } from './everywhere.ts';
import { readsShells } from './function-tables.ts';
import { planDefinition } from './plan-definition.ts';
import { distributedNamed, readsDistributed } from './reads-distributed.ts';
import { changesOfViews, relationsIn } from './relations-in.ts';

/**
 * The plan of a DO block that changes definitions, as migration tools wrap them so that they may be run twice; undefined for any other. What it does to tables shows in their shells. One
 * that changes objects beside tables is run by every node, so it must do nothing else. `unsupportedDdl` where it reads or writes distributed or reference tables, and for both together.
 */
export function planDo(statement: Statement, names: RelationNames): DefinitionPlan | undefined {
  const body = readCode(statement);
  if (body === undefined) return undefined;
  const statements = [...body.statements, ...body.made.flatMap((made) => made?.statements ?? [])];
  for (const { node } of statements) refuseRows(node, names);
  const inner = statements.filter(({ node }) => !isRows(node));
  const scopes = new Set(inner.flatMap((one) => everywhereOf(one)?.scope ?? []));
  const plans = inner.flatMap((one) => planDefinition(one, names) ?? []);
  const changesTables = plans.some(({ tables, reach }) => tables.length > 0 || reach === 'all') || inner.some(({ node }) => concernsViews(node, names)) || body.made.some(mayChangeTables);
  const makesTables = plans.some((plan) => plan.makesTables);
  if (scopes.size === 0 && !makesTables && (!changesTables || names.snapshot.tables.size === 0)) return undefined;
  const [scope] = scopes;
  const mixed = scopes.size > 1 || changesTables || inner.some((one) => everywhereOf(one) === undefined) || statements.some(({ node }) => isRows(node) && readsRows(node));
  if (scope !== undefined && mixed) throw mixedBlock();
  const droppedSchemas = plans.flatMap((plan) => plan.droppedSchemas);
  return { ...planOf(statement.text, scope, droppedSchemas), code: { isOpen: body.made.some(mayRead), functions: calledIn(statements) } };
}

function planOf(text: string, scope: ObjectScope | undefined, droppedSchemas: readonly string[]): Omit<DefinitionPlan, 'code'> {
  const everywhere = scope === undefined ? undefined : { scope, text, functions: [] };
  const reach = scope === undefined ? 'all' : droppedSchemas.length > 0 ? 'schemas' : 'named';
  return { kind: 'definition', text, tables: [], reach, droppedSchemas, conversions: new Map(), addedConstraints: new Set(), attached: undefined, isAlone: false, referenced: [], checksRows: false, makesTables: true, schemas: scope === 'database' ? 'made' : 'dropped', everywhere };
}

/** Of what a block makes at run time: nobody knows of which tables, unless it is of something else. */
function mayChangeTables(made: Code['made'][number]): boolean {
  return made === undefined || (!made.isWhole && made.statements.some((one) => everywhereOf(one) === undefined));
}

/** The same of reading them. */
function mayRead(made: Code['made'][number]): boolean {
  return made === undefined || (!made.isWhole && made.statements.some(({ node }) => isRows(node) || isOfShell(node)));
}

function calledIn(statements: readonly Statement[]): string[] {
  const names = new Set<string>();
  collectCalls(statements.map(({ node }) => node), ({ funcname }) => {
    names.add(nameParts(funcname).at(-1) ?? '');
    return true;
  }, true);
  return [...names];
}

/** Queries of views are read from the catalog, which is to be looked at again. */
function concernsViews(node: Inner, names: RelationNames): boolean {
  if ('ViewStmt' in node) return readsDistributed(node.ViewStmt.query, names) || names.dependentView(node.ViewStmt.view?.schemaname, node.ViewStmt.view?.relname ?? '') !== undefined;
  return changesOfViews.has(Object.keys(node)[0] ?? '') && relationsIn(node).some(({ schemaname, relname }) => names.dependentView(schemaname, relname ?? '') !== undefined);
}

type Inner = Statement['node'];

function isRows(node: Inner): boolean {
  return 'SelectStmt' in node || 'InsertStmt' in node || 'UpdateStmt' in node || 'DeleteStmt' in node || 'MergeStmt' in node;
}

/** Nor what has no plan but one of its own, as a statement by itself: it would be about the shell alone. */
function refuseRows(node: Inner, names: RelationNames): void {
  const table = isRows(node) || isOfShell(node) ? distributedNamed(node, names) : undefined;
  if (table !== undefined) throw readsShells('the DO block', table);
}

/** Whether it is about other rows than those of system catalogs, which every node has. */
function isOfShell(node: Inner): boolean {
  if ('CreateStmt' in node) return node.CreateStmt.inhRelations !== undefined && node.CreateStmt.partbound === undefined;
  return ofShells.has(Object.keys(node)[0] ?? '');
}

const ofShells: ReadonlySet<string> = new Set(['CreateTableAsStmt', 'TruncateStmt', 'CopyStmt', 'ExplainStmt', 'DeclareCursorStmt', 'PrepareStmt', 'ClusterStmt', 'RuleStmt']);

function readsRows(node: Inner): boolean {
  return namedRelations(node).some(({ schemaname, relname = '' }) => schemaname !== 'pg_catalog' && schemaname !== 'information_schema' && !(schemaname === undefined && relname.startsWith('pg_')));
}

function mixedBlock(): ClusterError {
  return new ClusterError('unsupportedDdl', 'a DO block cannot change types, functions, roles and the like together with other things', {
    detail: 'Every node would have to run it, and nodes have no tables of these names.', hint: 'Make it several blocks, or plain statements.',
  });
}
