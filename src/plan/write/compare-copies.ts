import type { DeleteStmt, UpdateStmt } from '@pgsql/types';
import { namedRelations } from '../../analyze/analyze-statement.ts';
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
 * A write to a reference table that reads rows: one that several rows of FROM match gets the values of any of them, a LIMIT takes any rows, an aggregate takes them in any order,
 * and on another node in another. So the written rows are returned, to be compared before anything is committed.
 */
export function withCopiesCompared(statement: Statement, write: UpdateStmt | DeleteStmt, { columns }: CatalogTable): ComparedCopies {
  if (namedRelations(write).length < 2 || write.relation === undefined) return { statement, compared: 0 };
  const alias = quoteIdentifier(relationAlias(write.relation));
  const list = columns.map(({ name }) => `${alias}.${quoteIdentifier(name)}`).join(', ');
  // On a line of its own: the statement may end in a comment.
  return { statement: parseOne(`${statement.text}\n${write.returningClause === undefined ? 'RETURNING ' : ', '}${list}`), compared: columns.length };
}
