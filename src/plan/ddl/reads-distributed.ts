import type { Node } from '@pgsql/types';
import { namedRelations } from '../../analyze/analyze-statement.ts';
import type { RelationNames } from '../../analyze/relation-names.ts';

/** Whether a query names a distributed or reference table, or a view over one. */
export function readsDistributed(query: Node | undefined, names: RelationNames): boolean {
  return distributedNamed(query, names) !== undefined;
}

/** The first such name. */
export function distributedNamed(query: Node | undefined, names: RelationNames): string | undefined {
  return namedRelations(query).find(({ schemaname, relname = '' }) => names.resolve(schemaname, relname) !== undefined || names.dependentView(schemaname, relname) !== undefined)?.relname;
}
