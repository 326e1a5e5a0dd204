import type { Node, SelectStmt } from '@pgsql/types';
import { nameParts, walk } from '../sql/ast.ts';
import { collectCalls, type FunctionRules } from './function-calls.ts';
import { hasGroupingSets } from './grouping.ts';
import type { Query, SelectQuery } from './query-level.ts';
import { namesLaterRelation, queriesIn } from './reads-around.ts';
import { type Scope, resolveColumn } from './scope.ts';

/**
 * Whether a level computes over all of its rows in a way that neither groups nor windows show: an aggregate that stands in a query within it, but is of its own rows
 * (`SELECT (SELECT max(t.id)) FROM t`), one of SQL/JSON's, or grouping() without grouping sets; or whether a condition of a join names a relation outside that one of its own hides. Its rows
 * have to be in one place.
 */
export function isUnusual(query: SelectQuery, rules: FunctionRules): boolean {
  const { statement, scope } = query;
  if (holds(statement, jsonAggregates) || (!hasGroupingSets(statement) && holds(statement, groupingCalls))) return true;
  if (namesLaterRelation(statement.fromClause ?? [], scope.relations)) return true;
  return query.sublinks.some(({ query: inner }) => holdsOuterAggregate(inner, rules));
}

const jsonAggregates: ReadonlySet<string> = new Set(['JsonArrayAgg', 'JsonObjectAgg']);
const groupingCalls: ReadonlySet<string> = new Set(['GroupingFunc']);

/** At this level, not in queries within it. */
function holds({ targetList, havingClause, sortClause, distinctClause, windowClause }: SelectStmt, wanted: ReadonlySet<string>): boolean {
  let found = false;
  walk([targetList, havingClause, sortClause, distinctClause, windowClause] as Node[][], (kind) => {
    found ||= wanted.has(kind);
    return found || kind === 'SelectStmt' ? false : undefined;
  });
  return found;
}

function holdsOuterAggregate(inner: Query, rules: FunctionRules): boolean {
  const queries = queriesIn(inner);
  const inside = new Set(queries.flatMap((query) => (query.kind === 'select' ? [query.scope] : [])));
  return queries.some((query) => {
    const { fromClause: _from, withClause: _with, larg: _left, rarg: _right, ...own } = query.statement;
    const scope = query.kind === 'select' ? query.scope : undefined;
    return aggregatesIn(own, rules).some((aggregate) => isOfOuterRows(aggregate, scope, inside));
  });
}

/** What each aggregate at this level is computed from. */
function aggregatesIn(tree: unknown, rules: FunctionRules): unknown[] {
  const found: unknown[] = [];
  collectCalls(tree, (call) => {
    if (call.over === undefined && rules.isAggregate(call)) found.push([call.args, call.agg_filter]);
    return true;
  });
  walk(tree, (kind, body) => {
    if (jsonAggregates.has(kind)) found.push(body);
    return kind === 'SubLink' || kind === 'RangeSubselect' ? false : undefined;
  });
  return found;
}

/** An aggregate is of the innermost level that it names a column of; without columns, of the one it stands in. */
function isOfOuterRows(aggregate: unknown, scope: Scope | undefined, inside: ReadonlySet<Scope>): boolean {
  let names = 0;
  let own = 0;
  walk(aggregate, (kind, body) => {
    if (kind !== 'ColumnRef' || !('fields' in body)) return undefined;
    names += 1;
    if (scope !== undefined && isInside(scope, body.fields as Node[], inside)) own += 1;
    return undefined;
  });
  return names > 0 && own === 0;
}

function isInside(scope: Scope, fields: readonly Node[], inside: ReadonlySet<Scope>): boolean {
  for (let level: Scope | undefined = scope; level !== undefined && inside.has(level); level = level.outer) {
    const here = { ...level, outer: undefined };
    if (resolveColumn(here, fields) !== undefined) return true;
    // A relation whose columns only a server knows may have it.
    const qualifier = nameParts(fields).at(-2);
    if (level.relations.some(({ alias, columns }) => alias === qualifier || (qualifier === undefined && columns === undefined))) return true;
  }
  return false;
}
