import type { Node, RangeVar, SelectStmt, WithClause } from '@pgsql/types';
import { present } from '../base/assert.ts';
import { isFurtherAssignment, nameParts, walk } from '../sql/ast.ts';
import { QueryBuilder, type WriteCommand } from './build-query.ts';
import { buildWriteQuery } from './build-write.ts';
import type { ConstantSet } from './constant-set.ts';
import type { FunctionRules } from './function-calls.ts';
import { builtinRules } from './function-calls.ts';
import type { PlacedQuery } from './place-query.ts';
import { nothingSpread, type Spread } from './placement.ts';
import { QueryPlacer } from './place-query.ts';
import type { Query } from './query-level.ts';
import type { ForeignUse, TableUse } from './relation.ts';
import type { ResultUse } from './result-table.ts';
import type { RelationNames } from './relation-names.ts';

/** A statement with its tables found and everything certain known about their distribution columns. */
export interface AnalyzedStatement {
  readonly query: Query;
  readonly placed: PlacedQuery;
  /** Occurrences of distributed and reference tables; the target of a write first. */
  readonly uses: readonly TableUse[];
  /** Occurrences of intermediate results. */
  readonly results: readonly ResultUse[];
  readonly foreign: readonly ForeignUse[];
  /** Relations named where the analysis does not look: in writing common table expressions, in arguments of TABLESAMPLE and the like. */
  readonly overlooked: readonly RangeVar[];
  /** For each use of a distributed table that could be placed: a conjunction of sets for its distribution value. */
  readonly restrictions: ReadonlyMap<TableUse | ResultUse, readonly ConstantSet[]>;
  /** Those uses that are targets of INSERTs: their restrictions are what is inserted, by VALUES or by a query. */
  readonly inserted: ReadonlyMap<TableUse, 'values' | 'select'>;
  /** Targets of writes. */
  readonly written: ReadonlyMap<RangeVar, WriteCommand>;
  /** A common table expression writes. */
  readonly writesInside: boolean;
}

export function analyzeSelect(statement: SelectStmt, names: RelationNames, rules: FunctionRules = builtinRules, spread: Spread = nothingSpread): AnalyzedStatement {
  const builder = new QueryBuilder(names);
  const query = builder.build(statement);
  return placed(statement, query, builder, new QueryPlacer(rules, spread));
}

/** Any statement that reads or writes rows; for a write as a query of its target. */
export function analyzeAny(node: Node, names: RelationNames, rules: FunctionRules = builtinRules, spread: Spread = nothingSpread): AnalyzedStatement {
  if ('SelectStmt' in node) return analyzeSelect(node.SelectStmt, names, rules, spread);
  const builder = new QueryBuilder(names);
  const query = present(buildWriteQuery(builder, node, { outer: undefined, common: [] }), 'statement that writes');
  return placed(node, query, builder, new QueryPlacer(rules, spread));
}

/** Where an analyzed query could be computed, if so much were on every server. */
export function placeAgain({ query }: AnalyzedStatement, rules: FunctionRules, spread: Spread): PlacedQuery {
  return new QueryPlacer(rules, spread).place(query, [], new Map());
}

function placed(statement: object, query: Query, builder: QueryBuilder, placer: QueryPlacer): AnalyzedStatement {
  const result = placer.place(query, [], new Map());
  const { resolved } = builder.found;
  return {
    query, placed: result, uses: builder.found.uses, results: builder.found.results, foreign: builder.found.foreign,
    overlooked: namedRelations(statement).filter((rangeVar) => !resolved.has(rangeVar)),
    inserted: builder.found.inserted, written: builder.found.written, restrictions: placer.restrictions, writesInside: writesInCommonTables(statement),
  };
}

function writesInCommonTables(statement: object): boolean {
  let found = false;
  walk(statement, (kind, body) => {
    if (kind === 'WithClause') found ||= ((body as WithClause).ctes ?? []).some(isWrite);
    return !found;
  });
  return found;
}

function isWrite(node: Node): boolean {
  if (!('CommonTableExpr' in node)) return false;
  const query = node.CommonTableExpr.ctequery;
  return query !== undefined && !('SelectStmt' in query);
}

/** Every relation that a statement of any kind names; common table expressions are not told apart. */
export function namedRelations(tree: unknown): RangeVar[] {
  const found: RangeVar[] = [];
  collectRelations(tree, found);
  return found;
}

function collectRelations(tree: unknown, found: RangeVar[]): void {
  if (Array.isArray(tree)) {
    for (const item of tree) collectRelations(item, found);
    return;
  }
  if (typeof tree !== 'object' || tree === null) return;
  if (isRangeVar(tree)) found.push(tree);
  if (isFurtherAssignment(tree)) return;
  for (const [key, value] of Object.entries(tree)) if (key !== 'LockingClause') collectRelations(value, found);
}

/** By shape: the parser leaves out a node's kind where a field can only be a RangeVar. */
export function isRangeVar(node: object): node is RangeVar {
  return 'relname' in node && 'relpersistence' in node;
}

/** Whether a system column is named whose value tells one shard from another. */
export function namesSystemColumn(tree: unknown, columns: ReadonlySet<string>): boolean {
  let found = false;
  walk(tree, (kind, body) => {
    if (kind === 'ColumnRef') found ||= columns.has(nameParts((body as { fields?: Node[] }).fields).at(-1) ?? '');
    return !found;
  });
  return found;
}
