import type { InsertStmt } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import type { DistributedTable } from '../../catalog/catalog-snapshot.ts';
import type { UniqueLookup } from '../../catalog/unique-lookup.ts';
import type { Statement } from '../../sql/parse.ts';
import { lookupMeant } from './skipping-insert.ts';

/** An INSERT whose ON CONFLICT may mean unique lookups of its table. */
export interface ConflictInsert {
  readonly insert: InsertStmt;
  readonly table: DistributedTable;
  /** The one that its columns or its name mean; without these, all of the table's. */
  readonly lookups: readonly UniqueLookup[];
}

export function conflictInsert({ node }: Pick<Statement, 'node'>, names: RelationNames): ConflictInsert | undefined {
  if (!('InsertStmt' in node) || names.snapshot.lookups.length === 0) return undefined;
  const insert = node.InsertStmt;
  const { relation, onConflictClause: conflict } = insert;
  const table = relation === undefined || conflict === undefined ? undefined : names.resolve(relation.schemaname, relation.relname ?? '');
  if (conflict === undefined || table?.kind !== 'distributed') return undefined;
  const own = names.snapshot.lookups.filter((lookup) => lookup.table === table.oid);
  if (conflict.infer === undefined) return own.length === 0 || conflict.action !== 'ONCONFLICT_NOTHING' ? undefined : { insert, table, lookups: own };
  const meant = conflict.infer.whereClause === undefined ? lookupMeant(conflict, own) : undefined;
  return meant === undefined ? undefined : { insert, table, lookups: [meant] };
}
