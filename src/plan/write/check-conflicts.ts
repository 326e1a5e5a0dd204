import type { InsertStmt, Node } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import type { UniqueLookup } from '../../catalog/unique-lookup.ts';
import { walk } from '../../sql/ast.ts';
import { lookupMeant } from '../lookups/skipping-insert.ts';
import { refused } from '../insert/refused.ts';

/** `unsupportedWrite` for ON CONFLICT that means the key of a unique lookup: a shard does not know it, and would insert the row. */
export function checkConflicts(node: Node, names: RelationNames): void {
  const { lookups } = names.snapshot;
  if (lookups.length === 0) return;
  walk(node, (kind, body) => {
    if (kind === 'InsertStmt') checkInsert(body, { names, lookups });
    return undefined;
  });
}

interface Known {
  readonly names: RelationNames;
  readonly lookups: readonly UniqueLookup[];
}

function checkInsert({ relation, onConflictClause }: InsertStmt, { names, lookups }: Known): void {
  const table = relation === undefined || onConflictClause === undefined ? undefined : names.resolve(relation.schemaname, relation.relname ?? '');
  const own = table === undefined ? [] : lookups.filter(({ tables }) => tables.has(table.oid));
  const [first] = own;
  if (first === undefined || table === undefined) return;
  if (first.table !== table.oid && (onConflictClause?.infer === undefined || lookupMeant(onConflictClause, own) !== undefined)) {
    throw refused(`ON CONFLICT means the unique lookup "${first.name}", and "${table.name}" is a partition of the table that has it.`, 'Insert into that table.');
  }
  if (onConflictClause?.infer === undefined) {
    throw refused(`ON CONFLICT without columns means the unique lookup "${first.name}" as well, of which the rows' own shard knows nothing.`, 'Use VALUES in a statement of its own. Or name the columns of the primary key or constraint that is meant: ON CONFLICT (…). A key of the lookup that is taken is then an error.');
  }
  const meant = lookupMeant(onConflictClause, own);
  if (meant === undefined) return;
  throw refused(`ON CONFLICT means the unique lookup "${meant.name}", of which the rows' own shard knows nothing.`, 'INSERT … VALUES can. Else look for the key first, and update or insert the row in the same transaction; where another inserts it at the same moment, that fails with 23505.');
}
