import { namedRelations } from '../../analyze/analyze-statement.ts';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { ClusterError } from '../../base/errors.ts';
import { readCode } from '../../sql/code-statements.ts';
import type { Statement } from '../../sql/parse.ts';
import type { DefinitionPlan } from './definition-plan.ts';
import { everywhereOf, type ObjectScope } from './everywhere.ts';
import { readsShells } from './function-tables.ts';
import { planDefinition } from './plan-definition.ts';
import { distributedNamed } from './reads-distributed.ts';

/**
 * The plan of a DO block that changes definitions, as migration tools wrap them so that they may be run twice; undefined for any other. What it does to tables shows in their shells. One
 * that changes objects beside tables is run by every node, so it must do nothing else. `unsupportedDdl` where it reads or writes distributed or reference tables, and for both together.
 */
export function planDo(statement: Statement, names: RelationNames): DefinitionPlan | undefined {
  const body = readCode(statement);
  if (body === undefined) return undefined;
  for (const { node } of body.statements) refuseRows(node, names);
  const inner = body.statements.filter(({ node }) => !isRows(node));
  const scopes = new Set(inner.flatMap((one) => everywhereOf(one)?.scope ?? []));
  const plans = inner.flatMap((one) => planDefinition(one, names) ?? []);
  const changesTables = plans.some(({ tables, reach }) => tables.length > 0 || reach === 'all') || body.isDynamic;
  const makesTables = plans.some((plan) => plan.makesTables);
  if (scopes.size === 0 && !makesTables && (!changesTables || names.snapshot.tables.size === 0)) return undefined;
  const [scope] = scopes;
  const mixed = scopes.size > 1 || changesTables || inner.some((one) => everywhereOf(one) === undefined) || body.statements.some(({ node }) => isRows(node) && readsRows(node));
  if (scope !== undefined && mixed) throw mixedBlock();
  return planOf(statement.text, scope);
}

function planOf(text: string, scope: ObjectScope | undefined): DefinitionPlan {
  const everywhere = scope === undefined ? undefined : { scope, text, functions: [] };
  return { kind: 'definition', text, tables: [], reach: scope === undefined ? 'all' : 'named', droppedSchemas: [], conversions: new Map(), addedConstraints: new Set(), attached: undefined, isAlone: false, referenced: [], checksRows: false, makesTables: true, schemas: scope === 'database' ? 'made' : 'dropped', everywhere };
}

type Inner = Statement['node'];

function isRows(node: Inner): boolean {
  return 'SelectStmt' in node || 'InsertStmt' in node || 'UpdateStmt' in node || 'DeleteStmt' in node || 'MergeStmt' in node;
}

function refuseRows(node: Inner, names: RelationNames): void {
  const table = isRows(node) ? distributedNamed(node, names) : undefined;
  if (table !== undefined) throw readsShells('the DO block', table);
}

/** Whether it is about other rows than those of system catalogs, which every node has. */
function readsRows(node: Inner): boolean {
  return namedRelations(node).some(({ schemaname, relname = '' }) => schemaname !== 'pg_catalog' && schemaname !== 'information_schema' && !(schemaname === undefined && relname.startsWith('pg_')));
}

function mixedBlock(): ClusterError {
  return new ClusterError('unsupportedDdl', 'a DO block cannot change types, functions, roles and the like together with other things', {
    detail: 'Every node would have to run it, and nodes have no tables of these names.', hint: 'Make it several blocks, or plain statements.',
  });
}
