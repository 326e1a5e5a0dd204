import type { Node, RangeVar } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import type { DefinitionPlan } from './definition-plan.ts';

/** Whether the statement may put a table into a distributed schema, where it becomes a single-shard table. */
export function mayMakeTables(node: Node, names: RelationNames): boolean {
  if ('CreateStmt' in node) return isInDistributedSchema(node.CreateStmt.relation, names);
  if ('CreateTableAsStmt' in node) return node.CreateTableAsStmt.objtype === 'OBJECT_TABLE' && isInDistributedSchema(node.CreateTableAsStmt.into?.rel, names);
  if ('CreateSchemaStmt' in node) return node.CreateSchemaStmt.schemaElts !== undefined;
  if (!('AlterObjectSchemaStmt' in node) || node.AlterObjectSchemaStmt.objectType !== 'OBJECT_TABLE') return false;
  return names.snapshot.distributedSchemas.has(node.AlterObjectSchemaStmt.newschema ?? '');
}

export function schemasOf(node: Node): DefinitionPlan['schemas'] {
  if ('CreateSchemaStmt' in node) return 'made';
  return 'DropOwnedStmt' in node || ('DropStmt' in node && node.DropStmt.removeType === 'OBJECT_SCHEMA') ? 'dropped' : undefined;
}

/** Of a name without schema only a server knows where it goes: any schema of the search path may be it. */
export function isInDistributedSchema(table: RangeVar | undefined, { snapshot: { distributedSchemas }, searchPath }: RelationNames): boolean {
  if (table === undefined || distributedSchemas.size === 0 || table.relpersistence === 't') return false;
  return table.schemaname === undefined ? searchPath.some((schema) => distributedSchemas.has(schema)) : distributedSchemas.has(table.schemaname);
}
