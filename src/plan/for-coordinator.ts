import type { RelationNames } from '../analyze/relation-names.ts';
import { changesSequence } from './sequence-use.ts';
import { namesTablesAsValues } from './tables-as-values.ts';

/** Whether a query, or an expression of one, needs what the coordinator database alone has: names of tables as values, and sequences. It is computed there, over gathered rows. */
export function isForCoordinator(tree: unknown, names: RelationNames): boolean {
  return namesTablesAsValues(tree, names) || changesSequence(tree);
}
