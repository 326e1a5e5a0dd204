import type { UpdateStmt } from '@pgsql/types';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { relationAlias } from '../../sql/ast.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';

export interface ComparedCopies {
  readonly statement: Statement;
  /** So many columns at the end of RETURNING are not the caller's: they must be the same on every node. */
  readonly compared: number;
}

/**
 * UPDATE … FROM of a reference table: a row that several rows of FROM match gets the values of any of them, and on another node of another. So the written rows are
 * returned, to be compared before anything is committed.
 */
export function withCopiesCompared(statement: Statement, update: UpdateStmt, { columns }: CatalogTable): ComparedCopies {
  if (update.fromClause === undefined || update.relation === undefined) return { statement, compared: 0 };
  const alias = quoteIdentifier(relationAlias(update.relation));
  const list = columns.map(({ name }) => `${alias}.${quoteIdentifier(name)}`).join(', ');
  // On a line of its own: the statement may end in a comment.
  return { statement: parseOne(`${statement.text}\n${update.returningClause === undefined ? 'RETURNING ' : ', '}${list}`), compared: columns.length };
}
