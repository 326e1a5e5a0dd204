import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';

/** An INSERT that only tells what its rows would be. */
export interface ProposingInsert {
  /** Returns `columns` of the rows and nothing else. */
  readonly proposed: Statement;
  /** See `UpsertPlan.refused`. */
  readonly refused: ReadonlyMap<string, Statement>;
}

export interface Proposed {
  /** The INSERT up to ON CONFLICT. */
  readonly insert: string;
  readonly table: CatalogTable;
  /** What the table's columns are qualified with. */
  readonly name: string;
  /** Names. */
  readonly columns: readonly string[];
}

export function proposingInsert({ insert, table, name, columns }: Proposed): ProposingInsert {
  const returning = ` RETURNING ${columns.map((column) => `${name}.${quoteIdentifier(column)}`).join(', ')}`;
  const set = columns.map((column) => `${quoteIdentifier(column)} = excluded.${quoteIdentifier(column)}`).join(', ');
  const known = columns.every((column) => table.columns.some((one) => one.name === column && !one.generated));
  const refused = known ? constraints(table).map((one): [string, Statement] => [one.name, parseOne(`${insert} ON CONFLICT (${one.columns.join(', ')}) DO UPDATE SET ${set}${returning}`)]) : [];
  return { proposed: parseOne(`${insert}${returning}`), refused: new Map(refused) };
}

/** What the shell's own unique constraints are of, quoted. */
export function constraints({ indexes }: CatalogTable): { readonly name: string; readonly columns: readonly string[] }[] {
  return indexes.flatMap(({ name, unique, partial, columns }) => {
    const named = columns.filter((column) => column !== undefined);
    return unique && !partial && named.length === columns.length ? [{ name, columns: named.map(quoteIdentifier) }] : [];
  });
}
