import type { TypeCast } from '@pgsql/types';
import type { RelationNames } from '../analyze/relation-names.ts';
import { nameParts, walk } from '../sql/ast.ts';
import { nextOf } from './sequence-use.ts';

/**
 * Whether an expression names a table by a value or a type: `'orders'::regclass`, `NULL::orders`. Nodes have shards instead, so it must be computed in the coordinator
 * database, which has all names.
 */
export function namesTablesAsValues(tree: unknown, names: RelationNames): boolean {
  let found = false;
  walk(tree, (kind, body) => {
    // Of the coordinator database's sequences a node takes values by blocks.
    if (kind === 'FuncCall' && nextOf({ FuncCall: body }) !== undefined) return false;
    if (kind === 'TypeCast') found ||= namesTable((body as TypeCast).typeName?.names, names);
    return !found;
  });
  return found;
}

function namesTable(typeName: Parameters<typeof nameParts>[0], names: RelationNames): boolean {
  const parts = nameParts(typeName);
  const name = parts.at(-1) ?? '';
  return name === 'regclass' || names.resolve(parts.at(-2), name) !== undefined;
}
