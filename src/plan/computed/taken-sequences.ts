import type { InsertStmt, Node } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { holds, walk } from '../../sql/ast.ts';

/** The sequences (qualified and quoted) of which a statement may take values for the rows that it writes to distributed and reference tables. */
export function takenSequences(node: Node, names: RelationNames): string[] {
  const taken = new Set<string>();
  walk(node, (kind, body) => {
    if (kind !== 'InsertStmt' && kind !== 'MergeStmt') return undefined;
    const { relation, cols, selectStmt }: Pick<InsertStmt, 'relation' | 'cols' | 'selectStmt'> = body;
    const given = kind === 'MergeStmt' || holds(selectStmt, 'SetToDefault') ? [] : (cols ?? []).map((item) => ('ResTarget' in item ? item.ResTarget.name : undefined));
    for (const { name, default: value } of names.resolve(relation?.schemaname, relation?.relname ?? '')?.columns ?? []) {
      if (value?.kind === 'sequence' && !given.includes(name)) taken.add(value.sequence);
    }
    return undefined;
  });
  return [...taken];
}
