import type { SubLink } from '@pgsql/types';
import { isFurtherAssignment } from '../sql/ast.ts';

/** The sublinks in expressions, not those inside other sublinks or in nested queries. */
export function sublinkNodes(expressions: unknown): SubLink[] {
  const found: SubLink[] = [];
  collect(expressions, found);
  return found;
}

function collect(tree: unknown, found: SubLink[]): void {
  if (Array.isArray(tree)) {
    for (const item of tree) collect(item, found);
    return;
  }
  if (typeof tree !== 'object' || tree === null) return;
  if ('SubLink' in tree) {
    const link = tree.SubLink as SubLink;
    found.push(link);
    collect(link.testexpr, found);
    return;
  }
  if ('RangeSubselect' in tree || isFurtherAssignment(tree)) return;
  for (const value of Object.values(tree)) collect(value, found);
}
