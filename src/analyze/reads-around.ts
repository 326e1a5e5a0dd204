import type { JoinExpr, Node } from '@pgsql/types';
import { nameParts, walk } from '../sql/ast.ts';
import type { FromTree, Query, SelectQuery } from './query-level.ts';
import type { Scope } from './scope.ts';
import { resolveColumn, resolveRelation } from './scope.ts';

/**
 * Whether a query may depend on rows around it: some column in it is not certainly one of its own. Then it cannot be run by itself. LATERAL items
 * count as dependent, also where they only look at neighbours inside.
 */
export function readsAround(query: Query): boolean {
  const queries = queriesIn(query);
  if (queries.some(({ kind, statement }) => kind === 'values' && columnRefs(statement.valuesLists ?? []).length > 0)) return true;
  const levels = queries.filter((inner) => inner.kind === 'select');
  const inside = new Set(levels.map(({ scope }) => scope));
  return levels.some((level) => {
    const { sortClause = [], groupClause = [], distinctClause = [], ...rest } = level.statement;
    const scope = within(level.scope, inside);
    const keys = [...sortClause.map((key) => ('SortBy' in key ? (key.SortBy.node ?? key) : key)), ...groupClause, ...distinctClause];
    const others = keys.filter((key) => !('ColumnRef' in key && isOutput(key.ColumnRef.fields ?? [], level)));
    return !columnRefs([rest, others]).every((fields) => isOwn(fields, scope)) || (level.statement.fromClause ?? []).some(joinLooksOut);
  });
}

/** The SELECTs of a query, itself included. */
export function levelsIn(query: Query): SelectQuery[] {
  return queriesIn(query).filter((inner) => inner.kind === 'select');
}

/** A query and all queries in it. */
export function queriesIn(query: Query): Query[] {
  const seen = new Set<Query>();
  const visit = (inner: Query): void => {
    if (seen.has(inner)) return;
    seen.add(inner);
    for (const { query: once, shared } of inner.common) {
      const named = once ?? shared?.query;
      if (named !== undefined) visit(named);
    }
    if (inner.kind === 'set') for (const side of [inner.left, inner.right]) visit(side);
    else for (const sublink of inner.sublinks) visit(sublink.query);
    if (inner.kind === 'select') visitTree(inner.from);
  };
  const visitTree = (tree: FromTree): void => {
    if (tree.kind === 'join') for (const side of [tree.left, tree.right]) visitTree(side);
    if (tree.kind === 'sample') visitTree(tree.input);
    if (tree.kind === 'query') visit(tree.query);
    if (tree.kind === 'computed') for (const sublink of tree.sublinks) visit(sublink.query);
  };
  visit(query);
  return [...seen];
}

/** A scope that ends where the query does. */
function within(scope: Scope, inside: ReadonlySet<Scope>): Scope {
  const { outer } = scope;
  return { ...scope, outer: outer !== undefined && inside.has(outer) ? within(outer, inside) : undefined };
}

/** Whether a join's condition names a relation that is none of the join's: there it means one outside, also where a later one of the level has its name. */
function joinLooksOut(item: Node): boolean {
  if (!('JoinExpr' in item)) return false;
  return item.JoinExpr.join_using_alias !== undefined || sidesOf(item.JoinExpr).some(joinLooksOut) || namesOutside(item.JoinExpr).length > 0;
}

/** Whether a join's condition names a relation that is none of the join's, but has the name of a later one of the level: there it means one outside. */
export function namesLaterRelation(items: readonly Node[], relations: Scope['relations']): boolean {
  return items.some((item) => {
    if (!('JoinExpr' in item)) return false;
    if (namesLaterRelation(sidesOf(item.JoinExpr), relations)) return true;
    return namesOutside(item.JoinExpr).some((qualifier) => relations.some(({ alias }) => alias === qualifier));
  });
}

function sidesOf({ larg, rarg }: JoinExpr): Node[] {
  return [larg, rarg].filter((side) => side !== undefined);
}

/** The names of relations in a join's condition that are neither the join's nor of a query in the condition. */
function namesOutside(join: JoinExpr): string[] {
  const aliases = new Set([...sidesOf(join).flatMap(aliasesIn), ...aliasesWithin(join.quals)]);
  return qualifiersIn(join.quals).filter((qualifier) => !aliases.has(qualifier));
}

/** What stands before the dot of column references, those of queries within, too. */
function qualifiersIn(quals: Node | undefined): string[] {
  const found: string[] = [];
  walk(quals === undefined ? [] : [quals], (kind, body) => {
    const parts = kind === 'ColumnRef' && 'fields' in body ? nameParts(body.fields as Node[]) : [];
    if (parts.length > 1) found.push(parts.at(-2) ?? '');
    return undefined;
  });
  return found;
}

/** Of relations in queries within a condition. */
function aliasesWithin(quals: Node | undefined): string[] {
  const found: string[] = [];
  walk(quals === undefined ? [] : [quals], (kind, body) => {
    if (kind === 'SelectStmt' && 'fromClause' in body) found.push(...(body.fromClause as Node[]).flatMap(aliasesIn));
    return undefined;
  });
  return found;
}

function aliasesIn(item: Node): string[] {
  const body: unknown = Object.values(item)[0];
  const alias = typeof body === 'object' && body !== null && 'alias' in body ? (body.alias as { aliasname?: string }).aliasname : undefined;
  if (alias !== undefined) return [alias];
  if ('RangeVar' in item) return [item.RangeVar.relname ?? ''];
  if ('RangeTableSample' in item && item.RangeTableSample.relation !== undefined) return aliasesIn(item.RangeTableSample.relation);
  if ('JoinExpr' in item) return sidesOf(item.JoinExpr).flatMap(aliasesIn);
  // A function without alias: only a server knows the name that it gives.
  return [];
}

/** What is sorted or grouped by may be named as it is in the result. */
function isOutput(fields: readonly Node[], { outputs }: SelectQuery): boolean {
  const [name, ...more] = nameParts(fields);
  return more.length === 0 && outputs?.some((output) => output.name === name) === true;
}

function isOwn(fields: readonly Node[], scope: Scope): boolean {
  const parts = nameParts(fields);
  const last = parts.at(-1) ?? '';
  if (last === '*') return parts.length === 1 || resolveRelation(scope, parts.slice(0, -1)) !== undefined;
  if (resolveColumn(scope, fields) !== undefined) return true;
  // A bare name is a whole row only where no level around has a column of that name.
  return parts.length > 1 && [parts, parts.slice(0, -1)].some((name) => resolveRelation(scope, name) !== undefined);
}

/** The column references of one level, not those of queries in it. */
function columnRefs(statement: object): (readonly Node[])[] {
  const found: (readonly Node[])[] = [];
  const visit = (tree: unknown): void => {
    if (Array.isArray(tree)) {
      for (const item of tree) visit(item);
      return;
    }
    if (typeof tree !== 'object' || tree === null) return;
    for (const [key, value] of Object.entries(tree)) {
      if (key === 'ColumnRef') found.push((value as { fields?: Node[] }).fields ?? []);
      else if (!nested.has(key)) visit(value);
    }
  };
  visit(statement);
  return found;
}

const nested: ReadonlySet<string> = new Set(['subselect', 'RangeSubselect', 'withClause']);
