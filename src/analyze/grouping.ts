import type { SelectStmt } from '@pgsql/types';

export function hasGroupingSets(statement: SelectStmt): boolean {
  return (statement.groupClause ?? []).some((item) => 'GroupingSet' in item);
}
