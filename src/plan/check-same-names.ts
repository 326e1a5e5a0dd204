import type { TableUse } from '../analyze/relation.ts';
import { walk } from '../sql/ast.ts';
import type { Statement } from '../sql/parse.ts';
import { unsupported } from './select/unsupported.ts';

/** PostgreSQL tells `a.t` and `b.t` in one FROM list apart, but not two aliases `t`. */
export function checkSameNames({ node }: Statement, uses: readonly TableUse[]): void {
  const bare = uses.filter(({ rangeVar }) => rangeVar.alias === undefined);
  if (bare.every((use) => bare.every((other) => other.table === use.table || other.table.name !== use.table.name))) return;
  walk(node, (_kind, body) => {
    const listed = ['relation', 'fromClause', 'usingClause'].flatMap((field) => (field in body ? rangeVarsOf(Reflect.get(body, field)) : []));
    const here = bare.filter(({ rangeVar }) => listed.includes(rangeVar));
    const twice = here.find((use, i) => here.findIndex(({ table }) => table.name === use.table.name) !== i);
    if (twice !== undefined) throw unsupported(`Two tables called "${twice.table.name}" stand in one FROM list without aliases.`, 'Give the two tables different aliases.');
    return undefined;
  });
}

/** The relations of a FROM list, those in joins included, those in subqueries not. */
function rangeVarsOf(item: unknown): unknown[] {
  if (Array.isArray(item)) return item.flatMap(rangeVarsOf);
  if (typeof item !== 'object' || item === null) return [];
  if ('relname' in item) return [item];
  if ('RangeVar' in item) return [item.RangeVar];
  if (!('JoinExpr' in item) || typeof item.JoinExpr !== 'object' || item.JoinExpr === null) return [];
  const { larg, rarg }: { larg?: unknown; rarg?: unknown } = item.JoinExpr;
  return [...rangeVarsOf(larg), ...rangeVarsOf(rarg)];
}
