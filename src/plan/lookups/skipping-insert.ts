import type { InsertStmt, OnConflictClause } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import type { UniqueLookup } from '../../catalog/unique-lookup.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { relationAlias } from '../../sql/ast.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import type { Statement } from '../../sql/parse.ts';
import { conflictText } from './conflict-text.ts';
import { type ProposingInsert, proposingInsert } from './proposing-insert.ts';

/** An INSERT as shards get it, and the lookups whose keys, where they are taken, leave a row out. */
export interface SkippingInsert {
  readonly statement: Statement;
  readonly lookups: readonly UniqueLookup[];
}

/** Of INSERT … VALUES … ON CONFLICT DO NOTHING without columns, which means unique lookups as well as the shards' own constraints; undefined for any other. */
export function skippingInsert(statement: Statement, names: RelationNames): SkippingInsert | undefined {
  const { node } = statement;
  if (!('InsertStmt' in node) || names.snapshot.lookups.length === 0) return undefined;
  const { relation, onConflictClause: conflict, withClause, selectStmt } = node.InsertStmt;
  if (relation === undefined || conflict?.action !== 'ONCONFLICT_NOTHING' || conflict.infer !== undefined || withClause !== undefined || !isValues(selectStmt)) return undefined;
  const table = names.resolve(relation.schemaname, relation.relname ?? '');
  const own = table === undefined ? [] : names.snapshot.lookups.filter((lookup) => lookup.table === table.oid);
  return own.length === 0 ? undefined : { statement, lookups: own };
}

/** The same rows, as an INSERT that tells the columns of the lookups; and which these are. Undefined where policies may hide the rows that come back. */
export function untakenInsert({ statement, lookups }: SkippingInsert, table: CatalogTable): (ProposingInsert & { readonly columns: readonly string[] }) | undefined {
  const relation = 'InsertStmt' in statement.node ? statement.node.InsertStmt.relation : undefined;
  if (relation === undefined || table.rowSecurity) return undefined;
  const columns = [...new Set(lookups.flatMap((lookup) => lookup.columns))];
  return { columns, ...proposingInsert({ insert: conflictText(statement).insert, table, name: quoteIdentifier(relationAlias(relation)), columns }) };
}

/** The lookup that ON CONFLICT names by its columns, in any order, or by its name. */
export function lookupMeant({ infer }: OnConflictClause, lookups: readonly UniqueLookup[]): UniqueLookup | undefined {
  if (infer === undefined) return undefined;
  const columns = (infer.indexElems ?? []).map((element) => ('IndexElem' in element ? (element.IndexElem.name ?? '') : ''));
  return lookups.find(({ name, columns: keys }) => infer.conname === name || (keys.length === columns.length && keys.every((key) => columns.includes(key))));
}

export function isValues(select: InsertStmt['selectStmt']): boolean {
  return select !== undefined && 'SelectStmt' in select && select.SelectStmt.valuesLists !== undefined;
}
