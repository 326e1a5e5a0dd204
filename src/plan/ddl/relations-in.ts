import type { Node, RangeVar } from '@pgsql/types';
import { namedRelations } from '../../analyze/analyze-statement.ts';
import { nameParts } from '../../sql/ast.ts';

/** What may be done to a view over shells, and reads no rows. */
export const changesOfViews: ReadonlySet<string> = new Set([
  'DropStmt', 'RenameStmt', 'AlterObjectSchemaStmt', 'AlterOwnerStmt', 'AlterTableStmt', 'CommentStmt', 'GrantStmt',
]);

/** Every relation that a statement names, those of DROP too. */
export function relationsIn(node: Node): readonly Pick<RangeVar, 'schemaname' | 'relname'>[] {
  const dropped = 'DropStmt' in node ? (node.DropStmt.objects ?? []).flatMap((object) => ('List' in object ? [nameParts(object.List.items)] : [])) : [];
  return [...namedRelations(node), ...dropped.map((parts) => {
    const schemaname = parts.at(-2);
    return { relname: parts.at(-1) ?? '', ...(schemaname === undefined ? {} : { schemaname }) };
  })];
}
