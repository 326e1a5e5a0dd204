import type { Node, SelectStmt } from '@pgsql/types';
import type { ColocationId } from '../catalog/ids.ts';
import type { ConstantSet } from './constant-set.ts';
import type { ColumnId, Fact, Facts } from './facts.ts';
import { anyEqual, constantsOf, equivalents, isGroupKey } from './facts.ts';
import type { FunctionRules } from './function-calls.ts';
import { aggregateCalls, hasVolatileCall, windowClauses } from './function-calls.ts';
import { hasGroupingSets } from './grouping.ts';
import { isUnusual } from './unusual-levels.ts';
import type { Placement, Spread, Way } from './placement.ts';
import { everywhere, nothingSpread, scattered, withWays } from './placement.ts';
import type { ColumnRange, FromTree, OutputColumn, Query, SelectQuery, SetQuery, SharedQuery, Sublink } from './query-level.ts';
import type { Relation, TableUse } from './relation.ts';
import type { ResultUse } from './result-table.ts';
import type { Scope } from './scope.ts';
import { resolveColumn } from './scope.ts';
import { isSameWay, wayOf, wayOfQuery } from './ways.ts';

type Keys = ReadonlySet<ColumnId>;

/** Columns that hold the distribution value of a row around, each of the tables co-located so. */
type OuterKeys = ReadonlyMap<ColumnId, ColocationId>;
const noKeys: OuterKeys = new Map();

/** A query level and where it can be computed. */
export interface PlacedQuery {
  /** The rows of FROM that pass WHERE. For a set operation or VALUES the same as `whole`. */
  readonly rows: Placement;
  /** The query with its grouping, windows, DISTINCT and LIMIT. */
  readonly whole: Placement;
  /** What is certain of the rows. */
  readonly facts: Facts;
}

/**
 * Decides where queries can be computed, and what is certain of each table's distribution column. Sound, not complete: what it
 * says may be computed by shard gives the right rows; what it calls scattered might still have been placed by a cleverer rule.
 *
 * The rules for joins, grouping and so on are those of parallel databases for partitioned inputs; facts flow down into the sides
 * of joins and into subqueries only where leaving out a row that contradicts them cannot change the outcome.
 */
export class QueryPlacer {
  /** For each use of a distributed table: its distribution value is in every one of these sets. */
  readonly restrictions = new Map<TableUse | ResultUse, readonly ConstantSet[]>();
  readonly #shared = new Map<SharedQuery, Placement>();
  readonly #rules: FunctionRules;

  readonly #spread: Spread;

  /** `spread`: what every server is taken to have a copy of. */
  constructor(rules: FunctionRules, spread: Spread = nothingSpread) {
    this.#rules = rules;
    this.#spread = spread;
  }

  /** `around`: what is certain of the columns outside; `outerKeys`: those that hold the outer row's distribution value. */
  place(query: Query, around: Facts, outerKeys: OuterKeys): PlacedQuery {
    if (this.#spread.queries.has(query.statement)) return { rows: everywhere, whole: everywhere, facts: around };
    for (const { shared } of query.common) if (shared !== undefined) this.#placeShared(shared);
    switch (query.kind) {
      case 'select':
        return this.#placeSelect(query, around, outerKeys);
      case 'set':
        return this.#placeSet(query, around, outerKeys);
      case 'values': {
        const whole = this.#withSublinks(everywhere, query.sublinks, around, noKeys);
        return { rows: whole, whole, facts: around };
      }
    }
  }

  /** A FROM tree below the conditions `facts`. `outerKeys` as for `place`, for LATERAL items. */
  placeTree(tree: FromTree, facts: Facts, outerKeys: OuterKeys): Placement {
    switch (tree.kind) {
      case 'empty':
        return everywhere;
      case 'sample':
        return sampled(this.placeTree(tree.input, facts, outerKeys));
      case 'cycle':
        return tree.cycle.readsDistributed ? recursionObstacle : everywhere;
      case 'computed':
        return this.#withSublinks({ kind: 'everywhere', repeatable: !hasVolatileCall(tree.node, this.#rules) }, tree.sublinks, facts, noKeys);
      case 'foreign':
        return this.#spread.tables.has(tree.rangeVar) ? everywhere : withWays(localObstacle, [{ tables: [tree.rangeVar], queries: [] }]);
      case 'table':
        return this.#placeTable(tree, facts);
      case 'result':
        return this.#placeResult(tree.use, facts);
      case 'shared':
        return sharedPlacement(withQueryWay(this.#placeShared(tree.shared), tree.shared.query), tree.shared.query, tree.relation);
      case 'query':
        return this.#placeSubquery(tree, facts, outerKeys);
      case 'join':
        return this.#placeJoin(tree, facts, outerKeys);
    }
  }

  #placeTable({ use, relation }: FromTree & { kind: 'table' }, facts: Facts): Placement {
    if (this.#spread.tables.has(use.rangeVar)) return everywhere;
    const rehashed = this.#spread.rehashed.get(use.rangeVar);
    if (rehashed !== undefined) {
      return { kind: 'by_shard', colocation: rehashed.colocation, keys: new Set([relation.firstColumn + rehashed.column]) };
    }
    if (use.table.kind === 'reference' || use.key === undefined) return everywhere;
    this.restrictions.set(use, constantsOf(facts, use.key));
    return { kind: 'by_shard', colocation: use.table.colocationId, keys: new Set([use.key]) };
  }

  #placeResult(use: ResultUse, facts: Facts): Placement {
    const { distribution } = use.result;
    if (distribution === undefined || use.key === undefined) return everywhere;
    this.restrictions.set(use, constantsOf(facts, use.key));
    return { kind: 'by_shard', colocation: distribution.colocation, keys: new Set([use.key]) };
  }

  #placeShared(shared: SharedQuery): Placement {
    const known = this.#shared.get(shared);
    if (known !== undefined) return known;
    const placed = this.place(shared.query, [], noKeys).whole;
    this.#shared.set(shared, placed);
    return placed;
  }

  #placeSubquery(tree: FromTree & { kind: 'query' }, facts: Facts, outerKeys: OuterKeys): Placement {
    const { query, relation } = tree;
    // What is known of columns inside holds for rows that come out. Below a LIMIT and the like there are others; what passes is imported.
    const inside = [...facts.filter((fact) => !isAboutColumnsOf(fact, query)), ...importedFacts(relation, query, this.#rules)];
    const placed = this.place(query, inside, tree.lateral ? outerKeys : noKeys).whole;
    if (placed.kind === 'scattered') return withQueryWay(placed, query);
    if (placed.kind !== 'by_shard') return placed;
    return { ...placed, keys: translatedKeys(placed.keys, query.outputs, relation) };
  }

  #placeJoin(tree: FromTree & { kind: 'join' }, above: Facts, outerKeys: OuterKeys): Placement {
    const left = exportedFacts(tree.left);
    const right = exportedFacts(tree.right);
    const pairs = [...above, ...tree.facts, ...left, ...right];
    const a = this.placeTree(tree.left, factsForSide(tree.type, 'left', { above, own: left, pairs }), outerKeys);
    const leftKeys = withKeysOf(outerKeys, a);
    const b = this.placeTree(tree.right, factsForSide(tree.type, 'right', { above, own: right, pairs }), leftKeys);
    const result = joined(tree, a, b, pairs);
    return result.kind === 'scattered' && result.obstacle.ways.length === 0 ? withWays(result, waysOfJoin(tree, a, b, pairs)) : result;
  }

  #placeSelect(query: SelectQuery, around: Facts, outerKeys: OuterKeys): PlacedQuery {
    const from = reduceOuterJoins(query.from, query.strict);
    const facts = [...around, ...query.facts, ...exportedFacts(from)];
    const tree = this.placeTree(from, [...around, ...query.facts], outerKeys);
    const keys = withKeysOf(outerKeys, tree);
    const linked = this.#withSublinks(tree, query.sublinks, facts, keys);
    const rows = linked.kind === 'by_shard' && anyEqual(facts, linked.keys, keysIn(outerKeys, linked.colocation)) ? aligned : linked;
    return { rows, whole: placeAbove(query, { rows, facts, rules: this.#rules }), facts };
  }

  #placeSet(query: SetQuery, around: Facts, outerKeys: OuterKeys): PlacedQuery {
    const inside = (side: Query): Facts => [...around, ...linkOutputs(query.outputs, side, this.#rules)];
    const left = this.place(query.left, inside(query.left), outerKeys).whole;
    const right = this.place(query.right, inside(query.right), outerKeys).whole;
    const combined = combinedSet(query, left, right);
    const rows = combined.kind === 'scattered' && combined.obstacle.ways.length === 0 ? withWays(combined, waysOfSet(query, left, right)) : combined;
    return { rows, whole: limited(query.statement, rows), facts: around };
  }

  #withSublinks(rows: Placement, sublinks: readonly Sublink[], facts: Facts, keys: OuterKeys): Placement {
    let result = rows;
    for (const { query, test } of sublinks) {
      const output = query.outputs?.[0];
      const link: Fact[] =
        test !== undefined && output !== undefined && isTransparent(query, output, this.#rules) ? [{ kind: 'equal', a: test, b: output.id }] : [];
      const placed = withQueryWay(this.place(query, [...facts, ...link], keys).whole, query);
      result = withSublink(result, placed, { query, moves: placed.kind === 'by_shard' ? rehashesWithin(query, facts, { keys, rows }) : [] });
    }
    return result;
  }
}

const aligned: Placement = { kind: 'aligned' };

function withKeysOf(outer: OuterKeys, rows: Placement): OuterKeys {
  return rows.kind === 'by_shard' ? new Map([...outer, ...[...rows.keys].map((key) => [key, rows.colocation] as const)]) : outer;
}

/** Of one colocation group: shards of others hold other values. */
function keysIn(outer: OuterKeys, colocation: ColocationId): Keys {
  return new Set([...outer].flatMap(([key, other]) => (other === colocation ? [key] : [])));
}

/** Either side's rows by shard could be spread, or placed by the other side's key. */
function waysOfJoin(tree: FromTree & { kind: 'join' }, a: Placement, b: Placement, pairs: Facts): Way[] {
  const sides = [...(isSettled(a) ? [] : [tree.left]), ...(isSettled(b) ? [] : [tree.right])];
  const spreads = sides.map(wayOf).filter((way) => way.tables.length + way.queries.length > 0);
  if (a.kind !== 'by_shard' || b.kind !== 'by_shard') return spreads;
  return [...spreads, ...rehashesOf(tree.left, b, pairs), ...rehashesOf(tree.right, a, pairs)];
}

/** The tables of a FROM list that have a column equal to a key: they could be placed by it. */
function rehashesOf(tree: FromTree, { colocation, keys }: ByShard, facts: Facts): Way[] {
  if (tree.kind === 'join') return [...rehashesOf(tree.left, { kind: 'by_shard', colocation, keys }, facts), ...rehashesOf(tree.right, { kind: 'by_shard', colocation, keys }, facts)];
  if (tree.kind !== 'table' || tree.use.key === undefined) return [];
  const { relation, use } = tree;
  const column = (relation.columns ?? []).findIndex((_, i) => relation.firstColumn + i !== use.key && holdsKey(relation.firstColumn + i, facts, keys));
  return column < 0 ? [] : [{ tables: [], queries: [], rehashed: new Map([[use.rangeVar, { colocation, column }]]) }];
}

/** The same for the tables of a query in an expression, by what holds within it. */
function rehashesWithin(query: Query, around: Facts, { keys, rows }: { readonly keys: OuterKeys; readonly rows: Placement }): Way[] {
  if (query.kind !== 'select' || rows.kind !== 'by_shard') return [];
  const facts = [...around, ...query.facts, ...exportedFacts(query.from)];
  return rehashesOf(query.from, { ...rows, keys: keysIn(keys, rows.colocation) }, facts);
}

/** Every server has the same rows already. */
function isSettled(placed: Placement): boolean {
  return placed.kind === 'everywhere' && placed.repeatable;
}

function waysOfSet({ left, right }: SetQuery, a: Placement, b: Placement): Way[] {
  return [...(isSettled(a) ? [] : [wayOfQuery(left)]), ...(isSettled(b) ? [] : [wayOfQuery(right)])];
}

/** Way out of a query that cannot be placed: to run it first, if it can be run by itself. */
function withQueryWay(placed: Placement, query: Query): Placement {
  if (placed.kind !== 'scattered') return placed;
  const way = wayOfQuery(query);
  return withWays(placed, [...placed.obstacle.ways, ...(placed.obstacle.ways.some((known) => isSameWay(known, way)) ? [] : [way])]);
}

interface SublinkWays {
  readonly query: Query;
  readonly moves: readonly Way[];
}

function withSublink(rows: Placement, sublink: Placement, { query, moves }: SublinkWays): Placement {
  if (rows.kind === 'scattered') return rows;
  if (sublink.kind === 'scattered') return sublink;
  if (sublink.kind === 'aligned') return rows.kind === 'everywhere' ? aligned : rows;
  if (isOneShard(sublink) && (rows.kind === 'everywhere' || isSameShard(rows, sublink))) return sublink;
  if (sublink.kind === 'everywhere') {
    if (rows.kind === 'everywhere') return { kind: 'everywhere', repeatable: rows.repeatable && sublink.repeatable };
    return sublink.repeatable ? rows : withWays(notRepeatable, [wayOfQuery(query)]);
  }
  return withWays(sublinkObstacle, [wayOfQuery(query), ...moves]);
}

const sublinkObstacle = scattered(
  'A subquery in an expression reads rows of other shard groups than the row it is computed for.',
  'Compare the distribution columns of the subquery and of the query around it by "=".',
);

const localObstacle = scattered(
  'The statement reads a local or system table of the coordinator database together with distributed or reference tables.',
  'Make the local table a reference table with create_reference_table(), or read the two in separate statements.',
);

function sampled(rows: Placement): Placement {
  return rows.kind === 'everywhere' ? { kind: 'everywhere', repeatable: false } : rows;
}

const recursionObstacle = scattered(
  'A recursive query goes on from rows of several shard groups.',
  'Filter each of its tables by the distribution column.',
);

const notRepeatable = scattered(
  'A subquery with LIMIT, a window or a volatile function would have to give the same rows on every node.',
  'Run it first and pass its result as parameters.',
);

function joined(tree: FromTree & { kind: 'join' }, a: Placement, b: Placement, pairs: Facts): Placement {
  if (a.kind === 'scattered') return a;
  if (b.kind === 'scattered') return b;
  if (b.kind === 'aligned') return tree.type === 'inner' || tree.type === 'left' ? (a.kind === 'everywhere' ? b : a) : outerJoinObstacle;
  if (a.kind === 'aligned') return b.kind === 'everywhere' && (tree.type === 'inner' || tree.type === 'left') ? a : outerJoinObstacle;
  if (a.kind === 'everywhere' && b.kind === 'everywhere') return { kind: 'everywhere', repeatable: a.repeatable && b.repeatable };
  if (a.kind === 'everywhere') return b.kind === 'by_shard' ? besideReplicated(b, a, tree.type === 'inner' || tree.type === 'right') : a;
  if (b.kind === 'everywhere') return besideReplicated(a, b, tree.type === 'inner' || tree.type === 'left');
  return joinedByKey(tree, a, b, pairs);
}

type ByShard = Placement & { readonly kind: 'by_shard' };

/** Whether all rows are on the one shard group of single-shard tables. */
function isOneShard(placed: Placement): boolean {
  return placed.kind === 'by_shard' && [...placed.keys].some(isGroupKey);
}

function isSameShard(a: Placement, b: Placement): boolean {
  return isOneShard(a) && isOneShard(b) && a.kind === 'by_shard' && b.kind === 'by_shard' && a.colocation === b.colocation;
}

function besideReplicated(rows: ByShard, other: Placement & { kind: 'everywhere' }, preserved: boolean): Placement {
  if (isOneShard(rows)) return rows;
  if (!preserved) return outerJoinObstacle;
  return other.repeatable ? rows : notRepeatable;
}

const outerJoinObstacle = scattered(
  'An outer join keeps all rows of a side that every node holds whole, so each node would add its own unmatched rows.',
  'Put the distributed table on the side of the outer join that is kept whole.',
);

function joinedByKey(tree: FromTree & { kind: 'join' }, a: ByShard, b: ByShard, pairs: Facts): Placement {
  if (a.colocation !== b.colocation) {
    return scattered(
      'Two distributed tables that are not co-located are joined.',
      'Distribute them by columns of one type with colocate_with, or make the smaller a reference table.',
    );
  }
  if (!anyEqual(pairs, a.keys, b.keys)) {
    return scattered(
      'Distributed tables are joined without an equality of their distribution columns.',
      'Add a condition that compares the distribution columns by "=", or filter each by a constant.',
    );
  }
  return { ...a, keys: joinedKeys(tree, a.keys, b.keys) };
}

/** Only columns that cannot be NULL in the result carry on the key. */
function joinedKeys(tree: FromTree & { kind: 'join' }, a: Keys, b: Keys): Keys {
  switch (tree.type) {
    case 'inner':
      return new Set([...a, ...b]);
    case 'left':
      return a;
    case 'right':
      return b;
    case 'full':
      return new Set([...[...a].filter(isGroupKey), ...tree.merged.filter((column) => a.has(column.left) && b.has(column.right)).map(({ id }) => id)]);
  }
}

interface SideFacts {
  readonly above: Facts;
  readonly own: Facts;
  readonly pairs: Facts;
}

/**
 * The kept side of an outer join sees only what holds above the join; the other side's rows matter only in pairs.
 */
function factsForSide(type: 'inner' | 'left' | 'right' | 'full', side: 'left' | 'right', { above, own, pairs }: SideFacts): Facts {
  const kept = type === 'full' || type === side;
  return kept ? [...above, ...own] : pairs;
}

/** An outer join whose unmatched rows a strict condition above throws away is an inner one (or a one-sided one). */
function reduceOuterJoins(tree: FromTree, strict: Keys): FromTree {
  if (tree.kind !== 'join') return tree;
  const keepsLeft = tree.type === 'left' || tree.type === 'full';
  const keepsRight = tree.type === 'right' || tree.type === 'full';
  const left = keepsLeft && !columnsOf(tree.right).some((id) => strict.has(id));
  const right = keepsRight && !columnsOf(tree.left).some((id) => strict.has(id));
  const type = left ? (right ? 'full' : 'left') : right ? 'right' : 'inner';
  const below = new Set([...strict, ...tree.strict]);
  return {
    ...tree,
    type,
    left: reduceOuterJoins(tree.left, left ? strict : below),
    right: reduceOuterJoins(tree.right, right ? strict : below),
  };
}

function columnsOf(tree: FromTree): ColumnId[] {
  if (tree.kind === 'empty') return [];
  if (tree.kind === 'sample') return columnsOf(tree.input);
  if (tree.kind === 'join') return [...columnsOf(tree.left), ...columnsOf(tree.right)];
  return (tree.relation.columns ?? []).map((_, i) => tree.relation.firstColumn + i);
}

/** What is certain of every row that a FROM tree gives. */
function exportedFacts(tree: FromTree): Fact[] {
  if (tree.kind === 'query') return [...outputLinks(tree.relation, tree.query, () => true), ...queryFacts(tree.query)];
  if (tree.kind === 'shared') return sharedFacts(tree.relation, tree.shared.query);
  if (tree.kind !== 'join') return [];
  switch (tree.type) {
    case 'inner':
      return [...tree.facts, ...exportedFacts(tree.left), ...exportedFacts(tree.right)];
    case 'left':
      return exportedFacts(tree.left);
    case 'right':
      return exportedFacts(tree.right);
    case 'full':
      return [];
  }
}

/** Two references to one query give different rows: what is certain of each column may be said of both, but not that columns are equal. */
function sharedFacts({ firstColumn }: Relation, query: Query): Fact[] {
  return (query.outputs ?? []).flatMap((output, i) => outputConstants(query, output).map((set): Fact => ({ kind: 'among', column: firstColumn + i, set })));
}

/** The sets of constants that an output column of a query is certainly among. */
export function outputConstants(query: Query, { id, plain }: OutputColumn): readonly ConstantSet[] {
  return plain ? constantsOf(queryFacts(query), id) : [];
}

/** Only of columns inside: an aggregate without GROUP BY gives a row also where a condition on a column around it does not hold. */
function queryFacts(query: Query): Fact[] {
  if (query.kind !== 'select' || hasGroupingSets(query.statement)) return [];
  const { ids } = query;
  const facts = [...query.facts, ...exportedFacts(reduceOuterJoins(query.from, query.strict))];
  return ids === undefined ? facts : facts.filter((fact) => factColumns(fact).every((id) => isWithin(id, ids)));
}

function isAboutColumnsOf(fact: Fact, { ids }: Query): boolean {
  return ids !== undefined && factColumns(fact).some((id) => isWithin(id, ids));
}

function factColumns(fact: Fact): readonly ColumnId[] {
  return fact.kind === 'equal' ? [fact.a, fact.b] : [fact.column];
}

function isWithin(id: ColumnId, { first, end }: ColumnRange): boolean {
  return id >= first && id < end;
}

/** Conditions on these columns may be applied below the query just as well as above it. */
function importedFacts(relation: Relation, query: Query, rules: FunctionRules): Fact[] {
  return outputLinks(relation, query, (output) => isTransparent(query, output, rules));
}

function outputLinks(relation: Relation, query: Query, include: (output: OutputColumn) => boolean): Fact[] {
  if (query.kind === 'select' && hasGroupingSets(query.statement)) return [];
  return (query.outputs ?? []).flatMap((output, i): Fact[] =>
    include(output) ? [{ kind: 'equal', a: relation.firstColumn + i, b: output.id }] : [],
  );
}

function linkOutputs(outputs: readonly OutputColumn[] | undefined, side: Query, rules: FunctionRules): Fact[] {
  return (outputs ?? []).flatMap((output, i): Fact[] => {
    const other = side.outputs?.[i];
    return other !== undefined && isTransparent(side, other, rules) ? [{ kind: 'equal', a: output.id, b: other.id }] : [];
  });
}

/** Whether a filter on an output column commutes with the query. */
function isTransparent(query: Query, output: OutputColumn, rules: FunctionRules): boolean {
  const { statement } = query;
  if (statement.limitCount !== undefined || statement.limitOffset !== undefined) return false;
  if (query.kind === 'set') return true;
  if (query.kind === 'values' || !output.plain) return false;
  if (hasGroupingSets(statement)) return false;
  const is = (node: Node): boolean => refersTo(node, query.scope, output.id);
  if (isGrouped(query, rules) && !groupItems(statement).some(is)) return false;
  if (isDistinctOn(statement) && !(statement.distinctClause ?? []).some(is)) return false;
  return windowClauses(statement).every((partition) => partition.some(is));
}

function refersTo(node: Node, scope: Scope, id: ColumnId): boolean {
  return 'ColumnRef' in node && resolveColumn(scope, node.ColumnRef.fields)?.id === id;
}

interface PlacedRows {
  readonly rows: Placement;
  readonly facts: Facts;
  readonly rules: FunctionRules;
}

/** Grouping, windows, DISTINCT and LIMIT over placed rows. */
function placeAbove(query: SelectQuery, { rows, facts, rules }: PlacedRows): Placement {
  const { statement } = query;
  if (rows.kind === 'everywhere') {
    const repeatable = rows.repeatable && statement.limitCount === undefined && statement.limitOffset === undefined && !isDistinctOn(statement)
      && windowClauses(statement).length === 0 && !hasVolatileCall([statement.targetList, statement.whereClause, statement.havingClause], rules);
    return { kind: 'everywhere', repeatable };
  }
  if (rows.kind !== 'by_shard') return rows;
  if (isOneShard(rows)) return statement.lockingClause === undefined ? rows : lockingObstacle;
  const { keys } = rows;
  const isKey = (node: Node): boolean => expressionIsKey(node, query.scope, facts, keys);
  if (isGrouped(query, rules) && (hasGroupingSets(statement) || !groupItems(statement).some(isKey))) return groupingObstacle;
  if (!windowClauses(statement).every((partition) => partition.some(isKey))) return windowObstacle;
  const outputs = (query.outputs ?? []).filter(({ id, plain }) => plain && holdsKey(id, facts, keys));
  if (isDistinctOn(statement) && !(statement.distinctClause ?? []).some(isKey)) return distinctObstacle;
  if (statement.distinctClause !== undefined && !isDistinctOn(statement) && outputs.length === 0) return distinctObstacle;
  if (statement.lockingClause !== undefined) return lockingObstacle;
  return limited(statement, { ...rows, keys: new Set(outputs.map(({ id }) => id)) });
}

export function expressionIsKey(node: Node, scope: Scope, facts: Facts, keys: Keys): boolean {
  if (!('ColumnRef' in node)) return false;
  const column = resolveColumn(scope, node.ColumnRef.fields);
  return column !== undefined && holdsKey(column.id, facts, keys);
}

function holdsKey(id: ColumnId, facts: Facts, keys: Keys): boolean {
  if (keys.has(id)) return true;
  for (const other of equivalents(facts, id)) if (keys.has(other)) return true;
  return false;
}

const groupingObstacle = scattered(
  'A subquery aggregates over rows of several shard groups.',
  'Group it by the distribution column, or run it first and pass its result as parameters.',
);
const windowObstacle = scattered(
  'A window of a subquery spans several shard groups.',
  'Add the distribution column to PARTITION BY.',
);
const distinctObstacle = scattered(
  'DISTINCT in a subquery spans several shard groups.',
  'Add the distribution column to its select list.',
);
const lockingObstacle = scattered(
  'Rows of several shard groups would have to be locked within a subquery.',
  'Filter by the distribution column.',
);
const limitObstacle = scattered(
  'LIMIT or OFFSET in a subquery counts rows of several shard groups.',
  'Filter the subquery by the distribution column, or run it first and pass its result as parameters.',
);

function limited(statement: SelectStmt, rows: Placement): Placement {
  if (statement.limitCount === undefined && statement.limitOffset === undefined) return rows;
  if (rows.kind === 'everywhere') return { kind: 'everywhere', repeatable: false };
  return rows.kind === 'by_shard' && !isOneShard(rows) ? limitObstacle : rows;
}

function combinedSet(query: SetQuery, left: Placement, right: Placement): Placement {
  if (left.kind === 'scattered') return left;
  if (right.kind === 'scattered') return right;
  if (left.kind === 'everywhere' && right.kind === 'everywhere') {
    return { kind: 'everywhere', repeatable: left.repeatable && right.repeatable };
  }
  if (left.kind !== 'by_shard' && right.kind !== 'by_shard') return aligned;
  if (isOneShard(left) && (right.kind === 'everywhere' || isSameShard(left, right))) return left;
  if (isOneShard(right) && left.kind === 'everywhere') return right;
  if (left.kind !== 'by_shard' || right.kind !== 'by_shard' || left.colocation !== right.colocation) return setObstacle;
  const keys = (query.outputs ?? []).filter((_, i) => {
    const a = query.left.outputs?.[i];
    const b = query.right.outputs?.[i];
    return a !== undefined && b !== undefined && left.keys.has(a.id) && right.keys.has(b.id);
  });
  if (keys.length === 0 && !(query.operation === 'union' && query.all)) return setObstacle;
  return { ...left, keys: new Set(keys.map(({ id }) => id)) };
}

const setObstacle = scattered(
  'A set operation compares rows of several shard groups, or combines distributed rows with rows that every node holds.',
  'Select the distribution column at the same place in both queries, or use UNION ALL of distributed tables.',
);

function sharedPlacement(placed: Placement, query: Query, relation: Relation): Placement {
  if (placed.kind !== 'by_shard') return placed;
  return { ...placed, keys: translatedKeys(placed.keys, query.outputs, relation) };
}

function translatedKeys(keys: Keys, outputs: readonly OutputColumn[] | undefined, relation: Relation): Keys {
  const translated = new Set([...keys].filter(isGroupKey));
  for (const [i, output] of (outputs ?? []).entries()) if (keys.has(output.id)) translated.add(relation.firstColumn + i);
  return translated;
}

const aggregating = new WeakMap<FunctionRules, WeakMap<SelectStmt, boolean>>();

export function isGrouped(query: SelectQuery, rules: FunctionRules): boolean {
  const { statement } = query;
  return statement.groupClause !== undefined || statement.havingClause !== undefined || aggregates(query, rules);
}

/** Looked for once in each query, whatever the candidates are. */
function aggregates(query: SelectQuery, rules: FunctionRules): boolean {
  const { statement } = query;
  const known = aggregating.get(rules) ?? new WeakMap<SelectStmt, boolean>();
  aggregating.set(rules, known);
  const found = known.get(statement) ?? (aggregateCalls([statement.targetList, statement.sortClause], (call) => rules.isAggregate(call)).length > 0 || isUnusual(query, rules));
  known.set(statement, found);
  return found;
}

/** DISTINCT is a list of one empty node; DISTINCT ON lists expressions. */
export function isDistinctOn({ distinctClause }: SelectStmt): boolean {
  return distinctClause !== undefined && distinctClause.some((node) => Object.keys(node).length > 0);
}

/** GROUP BY items with positions and output names turned into the expressions they mean. */
export function groupItems(statement: SelectStmt): Node[] {
  return (statement.groupClause ?? []).map((item) => groupedExpression(item, statement));
}

/** A position in the select list as the expression that stands there. */
export function groupedExpression(item: Node, statement: SelectStmt): Node {
  if ('A_Const' in item && item.A_Const.ival !== undefined) {
    return targetValue(statement.targetList?.[(item.A_Const.ival.ival ?? 0) - 1]) ?? item;
  }
  return item;
}

function targetValue(target: Node | undefined): Node | undefined {
  return target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined;
}
