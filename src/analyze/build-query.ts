import type { JoinExpr, Node, RangeFunction, RangeSubselect, RangeVar, SelectStmt, WithClause } from '@pgsql/types';
import { present } from '../base/assert.ts';
import type { CatalogTable } from '../catalog/catalog-snapshot.ts';
import { nameParts, relationAlias } from '../sql/ast.ts';
import { buildWriteQuery } from './build-write.ts';
import type { ColumnId, Fact } from './facts.ts';
import { groupKey } from './facts.ts';
import { factsOfCondition } from './conditions.ts';
import type { CommonQuery, Cycle, FromTree, OutputColumn, Query, SelectQuery, SetQuery, Sublink, ValuesQuery } from './query-level.ts';
import type { ForeignUse, Relation, RelationColumn, TableUse } from './relation.ts';
import type { RelationNames } from './relation-names.ts';
import type { ResultTable, ResultUse } from './result-table.ts';
import type { Scope, VisibleColumn } from './scope.ts';
import { resolveColumn } from './scope.ts';
import { sublinkNodes } from './sublink-nodes.ts';
import { comparableTypes } from './type-family.ts';

/** What a builder finds besides the query itself. */
export interface Found {
  readonly uses: TableUse[];
  readonly results: ResultUse[];
  readonly foreign: ForeignUse[];
  /** Every relation name that was resolved, also to a common table expression. What is not in here stands where nobody looked. */
  readonly resolved: Set<RangeVar>;
  /** Targets of INSERTs: their restrictions are values to be assigned. */
  readonly inserted: Map<TableUse, 'values' | 'select'>;
  /** Targets of writes. */
  readonly written: Map<RangeVar, WriteCommand>;
}

export type WriteCommand = 'insert' | 'update' | 'delete' | 'merge';

/** Names of common table expressions in sight, innermost last. */
type CommonScope = readonly CommonQuery[];

/** What a query sees from within others. */
export interface Surroundings {
  readonly outer: Scope | undefined;
  readonly common: CommonScope;
}

/**
 * Turns parse trees into `Query` values: resolves relation and column names against the catalog, gives every column of every
 * occurrence an id, and notes what conditions make certain. Knows nothing of shards.
 */
export class QueryBuilder {
  readonly found: Found = { uses: [], results: [], foreign: [], resolved: new Set(), inserted: new Map(), written: new Map() };
  readonly #names: RelationNames;
  #nextColumn: ColumnId = 1;

  constructor(names: RelationNames) {
    this.#names = names;
  }

  build(statement: SelectStmt, around: Surroundings = { outer: undefined, common: [] }): Query {
    const first = this.#nextColumn;
    const query = this.#buildQuery(statement, around);
    return { ...query, ids: { first, end: this.#nextColumn } };
  }

  #buildQuery(statement: SelectStmt, around: Surroundings): Unnumbered {
    const common = this.#buildCommon(statement.withClause, around, statement);
    const inside: Surroundings = { outer: around.outer, common: [...around.common, ...common] };
    if (statement.op !== undefined && statement.op !== 'SETOP_NONE') return this.#buildSet(statement, common, inside);
    if (statement.valuesLists !== undefined) {
      const scope: Scope = { relations: [], visible: [], outer: around.outer };
      return { kind: 'values', statement, common, outputs: this.#valuesOutputs(statement), sublinks: this.#buildSublinks([statement.valuesLists], scope, inside) };
    }
    return this.#buildSelect(statement, common, inside);
  }

  /** The scope and tree of a write: its target first, then what FROM or USING adds. */
  buildWrite(target: RangeVar, from: readonly Node[], { withClause, statement, around }: WriteParts): WriteSources {
    const common = this.#buildCommon(withClause, around, statement);
    const inside: Surroundings = { outer: undefined, common: [...around.common, ...common] };
    const targetTree = this.#fromTable(target);
    const { tree, visible, relations } = this.#buildFrom(from, inside);
    const targetRelation = relationsOf(targetTree);
    const scope: Scope = {
      relations: [...targetRelation, ...relations],
      visible: [...targetRelation.flatMap(visibleColumns), ...visible],
      outer: undefined,
    };
    return { target: targetTree, from: tree, scope, common, around: inside };
  }

  /** The queries inside expressions of a write. */
  buildSublinks(expressions: readonly unknown[], sources: WriteSources): Sublink[] {
    return this.#buildSublinks(expressions, sources.scope, sources.around);
  }

  /** The columns of a select list or of RETURNING; undefined when only a server knows them. */
  outputsOf(targets: readonly Node[], scope: Scope): OutputColumn[] | undefined {
    return this.#selectOutputs({ targetList: [...targets] }, scope);
  }

  detached(output: OutputColumn): OutputColumn {
    return { ...output, id: this.#newColumns(1), plain: false };
  }

  noteTarget(target: RangeVar | undefined, command: WriteCommand): void {
    if (target !== undefined) this.found.written.set(target, command);
  }

  noteInsert(use: TableUse, rows: 'values' | 'select'): void {
    this.found.inserted.set(use, rows);
  }

  #buildSelect(statement: SelectStmt, common: readonly CommonQuery[], around: Surroundings): Unnumbered {
    const { tree, visible, relations } = this.#buildFrom(statement.fromClause ?? [], around);
    const scope: Scope = { relations, visible, outer: around.outer };
    const { facts, strict } = factsOfCondition(statement.whereClause, scope);
    const { fromClause: _from, withClause: _with, lockingClause: _locking, ...expressions } = statement;
    const sublinks = this.#buildSublinks([expressions, joinConditions(statement.fromClause ?? [])], scope, around);
    return {
      kind: 'select', statement, common, scope, from: tree, facts, strict, sublinks,
      outputs: this.#selectOutputs(statement, scope),
    };
  }

  #buildSet(statement: SelectStmt, common: readonly CommonQuery[], around: Surroundings): Unnumbered {
    const left = this.build(present(statement.larg, 'left query'), around);
    const right = this.build(present(statement.rarg, 'right query'), around);
    const outputs = left.outputs?.map(({ name, type }, i): OutputColumn => {
      const other = right.outputs?.[i]?.type;
      return { name, type: type === other ? type : undefined, id: this.#newColumns(1), plain: false };
    });
    const operation = statement.op === 'SETOP_UNION' ? 'union' : statement.op === 'SETOP_INTERSECT' ? 'intersect' : 'except';
    return { kind: 'set', statement, common, outputs, operation, all: statement.all === true, left, right };
  }

  #valuesOutputs(statement: SelectStmt): OutputColumn[] {
    const first = statement.valuesLists?.[0];
    const items = first !== undefined && 'List' in first ? (first.List.items ?? []) : [];
    return items.map((_, i) => ({ name: `column${i + 1}`, type: undefined, id: this.#newColumns(1), plain: false }));
  }

  #selectOutputs(statement: SelectStmt, scope: Scope): OutputColumn[] | undefined {
    const outputs: OutputColumn[] = [];
    for (const target of statement.targetList ?? []) {
      if (!('ResTarget' in target)) return undefined;
      const { name, val } = target.ResTarget;
      if (val === undefined) return undefined;
      if (isStar(val)) {
        const columns = starColumns(val, scope);
        if (columns === undefined) return undefined;
        outputs.push(...columns.map((column) => ({ ...column, plain: true })));
        continue;
      }
      outputs.push(this.#output(name ?? outputName(val), val, scope));
    }
    return outputs;
  }

  #output(name: string, value: Node, scope: Scope): OutputColumn {
    const column = 'ColumnRef' in value ? resolveColumn(scope, value.ColumnRef.fields) : undefined;
    if (column !== undefined) return { name, type: column.type, id: column.id, plain: true };
    return { name, type: undefined, id: this.#newColumns(1), plain: false };
  }

  #buildFrom(items: readonly Node[], around: Surroundings): BuiltFrom {
    let built: BuiltFrom | undefined;
    for (const item of items) {
      const next = this.#fromItem(item, around, built);
      built = built === undefined ? next : crossJoin(built, next);
    }
    return built ?? { tree: { kind: 'empty' }, visible: [], relations: [] };
  }

  /** `left`: what stands before it in the FROM list, which a LATERAL item sees. */
  #fromItem(item: Node, around: Surroundings, left: BuiltFrom | undefined): BuiltFrom {
    if ('RangeVar' in item) return plainFrom(this.#fromName(item.RangeVar, around));
    if ('RangeSubselect' in item) return plainFrom(this.#fromQuery(item.RangeSubselect, around, left));
    if ('JoinExpr' in item) return this.#fromJoin(item.JoinExpr, around, left);
    if ('RangeTableSample' in item && item.RangeTableSample.relation !== undefined) {
      const built = this.#fromItem(item.RangeTableSample.relation, around, left);
      return { ...built, tree: { kind: 'sample', input: built.tree } };
    }
    const columns = 'RangeFunction' in item ? functionColumns(item.RangeFunction) : undefined;
    const relation = this.#relation(computedAlias(item), undefined, columns);
    const scope: Scope = { relations: left?.relations ?? [], visible: left?.visible ?? [], outer: around.outer };
    return plainFrom({ kind: 'computed', relation, node: item, sublinks: this.#buildSublinks([item], scope, around) });
  }

  #fromName(rangeVar: RangeVar, around: Surroundings): FromTree {
    this.found.resolved.add(rangeVar);
    const common = rangeVar.schemaname === undefined ? findCommon(around.common, rangeVar.relname ?? '') : undefined;
    if (common === undefined) return this.#fromTable(rangeVar);
    const alias = relationAlias(rangeVar);
    const renames = nameParts(rangeVar.alias?.colnames);
    if (common.shared !== undefined) {
      const relation = this.#relation(alias, undefined, renamed(common.shared.query.outputs, renames));
      return { kind: 'shared', relation, shared: common.shared };
    }
    if (common.query !== undefined) {
      return { kind: 'query', relation: this.#relation(alias, undefined, renamed(common.query.outputs, renames)), query: common.query, lateral: false };
    }
    return { kind: 'cycle', relation: this.#relation(alias, undefined, undefined), cycle: common.cycle };
  }

  #fromResult(rangeVar: RangeVar, result: ResultTable): FromTree {
    const columns = result.columns.map(({ name, typeSql, deterministic = true }): RelationColumn => ({ name, type: deterministic ? withoutModifier(typeSql) : undefined }));
    const relation = this.#relation(rangeVar.alias?.aliasname ?? result.name, undefined, renamed(columns, nameParts(rangeVar.alias?.colnames)));
    const key = result.distribution === undefined ? undefined : relation.firstColumn + result.distribution.column;
    const use: ResultUse = { result, rangeVar, key };
    this.found.results.push(use);
    return { kind: 'result', relation, use };
  }

  #fromTable(rangeVar: RangeVar): FromTree {
    this.found.resolved.add(rangeVar);
    const result = this.#names.result(rangeVar.schemaname, rangeVar.relname ?? '');
    if (result !== undefined) return this.#fromResult(rangeVar, result);
    const table = this.#names.resolve(rangeVar.schemaname, rangeVar.relname ?? '');
    const alias = relationAlias(rangeVar);
    const schema = rangeVar.alias === undefined ? (table?.schema ?? rangeVar.schemaname) : undefined;
    if (table === undefined) {
      this.found.foreign.push({ rangeVar });
      return { kind: 'foreign', relation: this.#relation(alias, schema, undefined), rangeVar };
    }
    const columns = table.columns.map(({ name, type, deterministic }): RelationColumn => ({ name, type: deterministic ? withoutModifier(type.sql) : undefined }));
    const relation = this.#relation(alias, schema, renamed(columns, nameParts(rangeVar.alias?.colnames)));
    const use: TableUse = { table, rangeVar, key: keyOf(table, relation) };
    this.found.uses.push(use);
    return { kind: 'table', relation, use };
  }

  #fromQuery(item: RangeSubselect, around: Surroundings, left: BuiltFrom | undefined): FromTree {
    const lateral = item.lateral === true;
    const outer: Scope | undefined = lateral
      ? { relations: left?.relations ?? [], visible: left?.visible ?? [], outer: around.outer }
      : around.outer;
    const query = this.build(selectOf(item.subquery), { outer, common: around.common });
    const columns = renamed(query.outputs, nameParts(item.alias?.colnames));
    return { kind: 'query', relation: this.#relation(item.alias?.aliasname ?? '', undefined, columns), query, lateral };
  }

  #fromJoin(join: JoinExpr, around: Surroundings, before: BuiltFrom | undefined): BuiltFrom {
    const left = this.#fromItem(present(join.larg, 'left side'), around, before);
    const seen = before === undefined ? left : crossJoin(before, left);
    const right = this.#fromItem(present(join.rarg, 'right side'), around, seen);
    const type = joinType(join);
    const relations = [...left.relations, ...right.relations];
    const names = join.isNatural === true ? commonNames(left.visible, right.visible) : nameParts(join.usingClause);
    const natural = join.isNatural === true && relations.some(({ columns }) => columns === undefined);
    const pairs = names.flatMap((name) => {
      const a = only(left.visible, name);
      const b = only(right.visible, name);
      return a === undefined || b === undefined ? [] : [{ name, left: a, right: b, id: type === 'full' ? this.#newColumns(1) : 0 }];
    });
    const scope: Scope = { relations, visible: [...left.visible, ...right.visible], outer: around.outer };
    const condition = factsOfCondition(join.quals, scope);
    const alike = pairs.filter((pair) => comparableTypes(pair.left.type, pair.right.type));
    const facts: Fact[] = [...condition.facts, ...alike.map((pair): Fact => ({ kind: 'equal', a: pair.left.id, b: pair.right.id }))];
    const strict = new Set([...condition.strict, ...pairs.flatMap((pair) => [pair.left.id, pair.right.id])]);
    const merged = pairs.map((pair): VisibleColumn => ({
      name: pair.name,
      type: pair.left.type,
      id: type === 'full' ? pair.id : type === 'right' ? pair.right.id : pair.left.id,
    }));
    const rest = (columns: readonly VisibleColumn[]): VisibleColumn[] => columns.filter(({ name }) => !names.includes(name));
    // Only a server knows which columns a natural join with unknown columns merges: then no bare name is certain.
    const visible = natural ? [] : [...merged, ...rest(left.visible), ...rest(right.visible)];
    const tree: FromTree = {
      kind: 'join', type, left: left.tree, right: right.tree, facts, strict,
      merged: type === 'full' ? pairs.map((pair) => ({ id: pair.id, left: pair.left.id, right: pair.right.id })) : [],
    };
    if (join.alias !== undefined) return this.#aliasedJoin(join, { tree, visible, relations });
    const merging = join.join_using_alias;
    if (merging === undefined) return { tree, visible, relations };
    return { tree, visible, relations: [...relations, { ...this.#relation(merging.aliasname ?? '', undefined, undefined), merging: true }] };
  }

  /** `(a JOIN b …) AS j`: only `j` is a name outside; its columns keep their ids only under their bare names. */
  #aliasedJoin(join: JoinExpr, built: BuiltFrom): BuiltFrom {
    const relation = this.#relation(join.alias?.aliasname ?? '', undefined, undefined);
    return { ...built, relations: [relation], visible: (join.alias?.colnames?.length ?? 0) > 0 ? [] : built.visible };
  }

  #buildCommon(clause: WithClause | undefined, around: Surroundings, statement: object): CommonQuery[] {
    const built: CommonQuery[] = [];
    const cycle: Cycle = { readsDistributed: false };
    const usesBefore = this.found.uses.length;
    const pending = clause?.recursive === true ? (clause.ctes ?? []) : [];
    for (const node of clause?.ctes ?? []) {
      if (!('CommonTableExpr' in node)) continue;
      const { ctename: name = '', ctequery, aliascolnames } = node.CommonTableExpr;
      const select = ctequery !== undefined && 'SelectStmt' in ctequery ? ctequery.SelectStmt : undefined;
      // WITH RECURSIVE shows all its queries to each other, also those that come later.
      const later = pending.slice(pending.indexOf(node)).map((other): CommonQuery => ({ name: commonName(other), query: undefined, shared: undefined, cycle }));
      const inside: Surroundings = { outer: around.outer, common: [...around.common, ...built, ...later] };
      const write = select !== undefined || ctequery === undefined ? undefined : buildWriteQuery(this, ctequery, inside);
      const query = select === undefined ? write : this.build(select, inside);
      if (query === undefined) {
        built.push({ name, query: undefined, shared: undefined, cycle: unknownCycle });
        continue;
      }
      const outputs = query.outputs?.map((output, i) => ({ ...output, name: nameParts(aliascolnames)[i] ?? output.name }));
      const named: Query = { ...query, outputs };
      // A write is done once, and whole, whatever is read of it.
      const once = write === undefined && countUses(statement, name) === 1;
      built.push({ name, query: once ? named : undefined, shared: once ? undefined : { query: named }, cycle: unknownCycle });
    }
    cycle.readsDistributed = this.found.uses.slice(usesBefore).some(({ key }) => key !== undefined);
    return built;
  }

  #buildSublinks(expressions: readonly unknown[], scope: Scope, around: Surroundings): Sublink[] {
    return sublinkNodes(expressions).map(({ subselect, testexpr, subLinkType, operName }) => {
      const query = this.build(selectOf(subselect), { outer: scope, common: around.common });
      const isIn = subLinkType === 'ANY_SUBLINK' && (operName === undefined || nameParts(operName).join('.') === '=');
      const test = isIn && testexpr !== undefined && 'ColumnRef' in testexpr ? resolveColumn(scope, testexpr.ColumnRef.fields) : undefined;
      return { query, test: comparableTypes(test?.type, query.outputs?.[0]?.type) ? test?.id : undefined };
    });
  }

  #relation(alias: string, schema: string | undefined, columns: readonly RelationColumn[] | undefined): Relation {
    return { alias, schema, columns, firstColumn: this.#newColumns(Math.max(columns?.length ?? 0, 1)) };
  }

  #newColumns(count: number): ColumnId {
    const first = this.#nextColumn;
    this.#nextColumn += count;
    return first;
  }
}

function keyOf(table: CatalogTable, { firstColumn }: Relation): ColumnId | undefined {
  if (table.kind === 'reference') return undefined;
  return table.distributionColumn === undefined ? groupKey(table.colocationId) : firstColumn + table.columns.indexOf(table.distributionColumn);
}

type Unnumbered = Omit<SelectQuery, 'ids'> | Omit<SetQuery, 'ids'> | Omit<ValuesQuery, 'ids'>;

interface WriteParts {
  readonly withClause: WithClause | undefined;
  readonly statement: object;
  readonly around: Surroundings;
}

export interface WriteSources {
  readonly target: FromTree;
  readonly from: FromTree;
  readonly scope: Scope;
  readonly common: readonly CommonQuery[];
  readonly around: Surroundings;
}

interface BuiltFrom {
  readonly tree: FromTree;
  readonly visible: readonly VisibleColumn[];
  readonly relations: readonly Relation[];
}

const unknownCycle: Cycle = { readsDistributed: true };

function commonName(node: Node): string {
  return 'CommonTableExpr' in node ? (node.CommonTableExpr.ctename ?? '') : '';
}

function plainFrom(tree: FromTree): BuiltFrom {
  const relations = relationsOf(tree);
  return { tree, relations, visible: relations.flatMap(visibleColumns) };
}

function relationsOf(tree: FromTree): Relation[] {
  return 'relation' in tree ? [tree.relation] : [];
}

function visibleColumns(relation: Relation): VisibleColumn[] {
  return (relation.columns ?? []).map(({ name, type }, i) => ({ name, type, id: relation.firstColumn + i }));
}

function crossJoin(left: BuiltFrom, right: BuiltFrom): BuiltFrom {
  return {
    tree: { kind: 'join', type: 'inner', left: left.tree, right: right.tree, facts: [], strict: new Set(), merged: [] },
    visible: [...left.visible, ...right.visible],
    relations: [...left.relations, ...right.relations],
  };
}

function joinType(join: JoinExpr): 'inner' | 'left' | 'right' | 'full' {
  switch (join.jointype) {
    case 'JOIN_LEFT':
      return 'left';
    case 'JOIN_RIGHT':
      return 'right';
    case 'JOIN_FULL':
      return 'full';
    default:
      return 'inner';
  }
}

function joinConditions(items: readonly Node[]): unknown[] {
  return items.flatMap((item) => {
    if (!('JoinExpr' in item)) return [];
    const { larg, rarg, quals } = item.JoinExpr;
    return [...joinConditions([larg, rarg].filter((side) => side !== undefined)), quals];
  });
}

function only(columns: readonly VisibleColumn[], name: string): VisibleColumn | undefined {
  const found = columns.filter((column) => column.name === name);
  return found.length === 1 ? found[0] : undefined;
}

function commonNames(left: readonly VisibleColumn[], right: readonly VisibleColumn[]): string[] {
  return left.map(({ name }) => name).filter((name) => right.some((column) => column.name === name));
}

function renamed(columns: readonly RelationColumn[] | undefined, names: readonly string[]): RelationColumn[] | undefined {
  return columns?.map(({ name, type }, i) => ({ name: names[i] ?? name, type }));
}

function findCommon(common: CommonScope, name: string): CommonQuery | undefined {
  return common.findLast((candidate) => candidate.name === name);
}

/** The name that a function, XMLTABLE or JSON_TABLE has in its FROM list: without alias that of the (first) function. */
function computedAlias(item: Node): string {
  const body: unknown = Object.values(item)[0];
  if (typeof body === 'object' && body !== null && 'alias' in body) return (body.alias as { aliasname?: string } | undefined)?.aliasname ?? '';
  const list = 'RangeFunction' in item ? item.RangeFunction.functions?.[0] : undefined;
  const call = list !== undefined && 'List' in list ? list.List.items?.[0] : undefined;
  return call !== undefined && 'FuncCall' in call ? (nameParts(call.FuncCall.funcname).at(-1) ?? '') : '';
}

/** Column names of a function in FROM are certain only when the alias lists them. */
function functionColumns(item: RangeFunction): RelationColumn[] | undefined {
  const names = nameParts(item.alias?.colnames);
  return names.length === 0 ? undefined : names.map((name) => ({ name, type: undefined }));
}

function selectOf(node: Node | undefined): SelectStmt {
  return present(node !== undefined && 'SelectStmt' in node ? node.SelectStmt : undefined, 'subquery');
}

function isStar(node: Node): boolean {
  return 'ColumnRef' in node && nameParts(node.ColumnRef.fields).at(-1) === '*';
}

function starColumns(node: Node, scope: Scope): readonly VisibleColumn[] | undefined {
  const parts = 'ColumnRef' in node ? nameParts(node.ColumnRef.fields) : [];
  const qualifier = parts.at(-2);
  if (qualifier === undefined) {
    return scope.relations.some(({ columns }) => columns === undefined) ? undefined : scope.visible;
  }
  const relation = scope.relations.find(({ alias }) => alias === qualifier);
  return relation?.columns === undefined ? undefined : visibleColumns(relation);
}

/** As PostgreSQL names an unnamed output: exact for columns and functions, which is all that matters here. */
function outputName(value: Node): string {
  if ('ColumnRef' in value) return nameParts(value.ColumnRef.fields).at(-1) ?? '?column?';
  if ('FuncCall' in value) return nameParts(value.FuncCall.funcname).at(-1) ?? '?column?';
  if ('TypeCast' in value && value.TypeCast.arg !== undefined) {
    const inner = outputName(value.TypeCast.arg);
    return inner === '?column?' ? (nameParts(value.TypeCast.typeName?.names).at(-1) ?? inner) : inner;
  }
  return '?column?';
}

function withoutModifier(type: string): string {
  return type.replace(/\(.*\)/, '');
}

/** How often a statement names a relation without a schema; more than it really means, never fewer. */
function countUses(statement: object, name: string): number {
  let uses = 0;
  const count = (tree: unknown): void => {
    if (typeof tree !== 'object' || tree === null) return;
    if ('relname' in tree && tree.relname === name && !('schemaname' in tree)) uses += 1;
    for (const value of Object.values(tree)) count(value);
  };
  count(statement);
  return uses;
}

