import { expression } from '../query-tree.ts';
import type { Select } from '../query-tree.ts';

/** The query without its first condition p; and the same rows as those where p is true, false, and unknown. Undefined without condition. */
export function partitioned(select: Select): { readonly whole: Select; readonly parts: Select } | undefined {
  const [condition, ...where] = select.where;
  if (condition === undefined) return undefined;
  const part = (before: string, after: string): Select => ({ ...select, ctes: [], where: [...where, expression('bool', before, condition, after)] });
  const rest: Select = { ...part('NOT (', ')'), setOperation: { operator: 'UNION ALL', right: part('(', ') IS NULL') } };
  return { whole: { ...select, where }, parts: { ...select, setOperation: { operator: 'UNION ALL', right: rest } } };
}
