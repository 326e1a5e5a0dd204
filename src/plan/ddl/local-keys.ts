import type { Node } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import type { CatalogTable, ReferenceTable } from '../../catalog/catalog-snapshot.ts';
import { walk } from '../../sql/ast.ts';

/** Reference tables to which a statement makes foreign keys of a local table, or of a reference table that has its rows in the coordinator database. Those that have theirs there already are among them: the last key, for which they do, may be on its way out. */
export function referencedByLocal(node: Node, names: RelationNames): ReferenceTable[] {
  if (!('CreateStmt' in node) && !('AlterTableStmt' in node) && !('CreateSchemaStmt' in node)) return [];
  const altered = 'AlterTableStmt' in node ? node.AlterTableStmt.relation : undefined;
  const own = altered === undefined ? undefined : names.resolve(altered.schemaname, altered.relname ?? '');
  if (own !== undefined && !hasCopy(own)) return [];
  const found = new Set<ReferenceTable>();
  walk(node, (kind, body) => {
    if (kind !== 'Constraint' || !('pktable' in body)) return undefined;
    const { schemaname, relname = '' } = body.pktable as { schemaname?: string; relname?: string };
    const table = names.resolve(schemaname, relname);
    if (table?.kind === 'reference') found.add(table);
    return undefined;
  });
  return [...found];
}

/** Whether a statement about local tables may take away the last foreign key for which the coordinator database has a copy of a reference table. */
export function mayReleaseCopies(node: Node, { snapshot }: RelationNames): boolean {
  const drops = ('DropStmt' in node && node.DropStmt.removeType === 'OBJECT_TABLE') || ('AlterTableStmt' in node && (node.AlterTableStmt.cmds ?? []).some(isDrop));
  return drops && [...snapshot.tables.values()].some(hasCopy);
}

function isDrop(command: Node): boolean {
  return 'AlterTableCmd' in command && (command.AlterTableCmd.subtype === 'AT_DropConstraint' || command.AlterTableCmd.subtype === 'AT_DropColumn');
}

function hasCopy(table: CatalogTable): boolean {
  return table.kind === 'reference' && table.shellIsCopy;
}
