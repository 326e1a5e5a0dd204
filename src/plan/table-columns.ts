import type { ColumnRef, InsertStmt, JoinExpr, MergeStmt, Node, RangeVar, SelectStmt, SubLink } from '@pgsql/types';
import type { TableUse } from '../analyze/relation.ts';
import { at } from '../base/assert.ts';
import { nameParts, relationAlias, walk } from '../sql/ast.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import type { Statement } from '../sql/parse.ts';
import type { Edit } from '../sql/template.ts';
import type { NameCutter } from './name-cutter.ts';
import { queryWidth } from './query-width.ts';
import { type Returned, returningItems, starOf } from './star.ts';

type Use = Pick<TableUse, 'table' | 'rangeVar'>;

/** What an item of FROM shows: a column, or with an undefined name all that a relation has of which only a server knows the columns. */
interface Shown {
  readonly name: string | undefined;
  readonly sql: string;
  readonly type: string | undefined;
}

/**
 * Writes out what stands for all columns of a table, in its own order: `*` and `o.*` in a SELECT list or RETURNING, and the columns of an INSERT that lists none. A shard may have them in another order, or others, where somebody has changed
 * it: values go by names then, and a column that is missing is an error. What it leaves as it is: `*` over NATURAL and FULL joins with columns in common, over aliases that rename columns, and whole rows.
 */
export function columnEdits(statement: Statement, uses: readonly Use[], cutter: NameCutter): Edit<never>[] {
  if (!statement.text.includes('*') && !/insert/i.test(statement.text)) return [];
  return new StarEdits(statement, uses, cutter).edits();
}

class StarEdits {
  readonly #statement: Statement;
  readonly #uses: ReadonlyMap<number, Use>;
  readonly #cutter: NameCutter;
  readonly #edits: Edit<never>[] = [];
  /** Queries of EXISTS, whose columns nobody sees. */
  readonly #unseen = new Set<unknown>();
  /** Queries that stand in no other one. */
  readonly #outermost: ReadonlySet<unknown>;

  constructor(statement: Statement, uses: readonly Use[], cutter: NameCutter) {
    this.#statement = statement;
    this.#uses = new Map(uses.map((use) => [use.rangeVar.location ?? 0, use]));
    this.#cutter = cutter;
    this.#outermost = new Set(outermost(statement.node));
  }

  edits(): Edit<never>[] {
    walk(this.#statement.node, (kind, body) => {
      if (kind === 'SubLink') this.#passOver(body);
      if (kind === 'SelectStmt' && !this.#unseen.has(body)) this.#writeOutOf(body);
      if (kind === 'InsertStmt') this.#listColumns(body);
      if (kind === 'MergeStmt') this.#listMerged(body);
      const returned = returningItems(kind, body);
      if (returned !== undefined) this.#writeOut(returned, this.#outermost.has(body));
      return undefined;
    });
    return this.#edits;
  }

  #passOver({ subLinkType, subselect }: SubLink): void {
    if (subLinkType === 'EXISTS_SUBLINK' && subselect !== undefined && 'SelectStmt' in subselect) this.#unseen.add(subselect.SelectStmt);
  }

  #writeOutOf(select: SelectStmt): void {
    this.#writeOut({ targets: select.targetList ?? [], items: select.fromClause ?? [] }, this.#outermost.has(select));
  }

  #writeOut({ targets, items }: Returned, isOutermost: boolean): void {
    for (const target of targets) {
      const star = starOf(target);
      const shown = star === undefined ? undefined : this.#shownBy(star, items);
      if (star === undefined || shown === undefined || shown.every(({ name }) => name === undefined)) continue;
      const first = this.#cutter.tokenOf(star.location ?? 0);
      const names = nameParts(star.fields).length - 1;
      const [start, end] = [at(this.#cutter.tokens(), first + 2 * Math.max(0, names - 1)), at(this.#cutter.tokens(), first + 2 * names)];
      // TABLE orders has none that is written.
      if (end.text === '*') this.#edits.push({ start: start.start, end: end.end, parts: [isOutermost ? outermostSql(shown, items) : qualifiedSql(shown)] });
    }
  }

  /** Undefined where it is not certain. */
  #shownBy({ fields }: ColumnRef, items: readonly Node[]): readonly Shown[] | undefined {
    const parts = nameParts(fields);
    if (parts.length > 1) return this.#shownNamed(parts.at(-2) ?? '', items);
    const names = relationsIn(items).map(relationAlias);
    const shown = new Set(names).size < names.length ? [undefined] : items.map((item) => this.#shown(item));
    const known = shown.filter((one) => one !== undefined);
    return known.length < shown.length ? undefined : known.flat();
  }

  /** Of the one relation that is called so; undefined where it is another's, or there are several. */
  #shownNamed(name: string, items: readonly Node[]): readonly Shown[] | undefined {
    const named = relationsIn(items).filter((relation) => relationAlias(relation) === name);
    return named.length === 1 ? this.#columnsOf(at(named, 0)) : undefined;
  }

  #shown(item: Node): readonly Shown[] | undefined {
    if ('RangeVar' in item) return this.#columnsOf(item.RangeVar) ?? allOf(relationAlias(item.RangeVar));
    if ('RangeTableSample' in item) return item.RangeTableSample.relation === undefined ? undefined : this.#shown(item.RangeTableSample.relation);
    if ('JoinExpr' in item && item.JoinExpr.alias === undefined) return this.#joined(item.JoinExpr);
    const [body] = Object.values(item) as readonly { readonly alias?: { readonly aliasname?: string } }[];
    return body?.alias?.aliasname === undefined ? undefined : allOf(body.alias.aliasname);
  }

  #columnsOf(relation: RangeVar): readonly Shown[] | undefined {
    const use = this.#uses.get(relation.location ?? 0);
    if (use === undefined || (relation.alias?.colnames?.length ?? 0) > 0) return undefined;
    const alias = quoteIdentifier(relationAlias(relation));
    return use.table.columns.map(({ name, type }) => ({ name, sql: `${alias}.${quoteIdentifier(name)}`, type: `${type.sql} ${type.modifier}` }));
  }

  /** Columns that USING merges come first: each is that of one side, where both are of one type, with its modifier. */
  #joined({ larg, rarg, jointype, isNatural, usingClause = [] }: JoinExpr): readonly Shown[] | undefined {
    const left = larg === undefined ? undefined : this.#shown(larg);
    const right = rarg === undefined ? undefined : this.#shown(rarg);
    if (left === undefined || right === undefined || isNatural === true) return undefined;
    const names = usingClause.map((one) => ('String' in one ? (one.String.sval ?? '') : ''));
    if (names.length === 0) return [...left, ...right];
    if (jointype === 'JOIN_FULL' || [...left, ...right].some(({ name }) => name === undefined)) return undefined;
    const merged = names.map((name) => mergedOf(name, left, right, jointype === 'JOIN_RIGHT'));
    const known = merged.filter((one) => one !== undefined);
    const rest = [...left, ...right].filter(({ name }) => !names.includes(name ?? ''));
    return known.length < merged.length ? undefined : [...known, ...rest];
  }

  #listColumns({ relation, cols, selectStmt }: InsertStmt): void {
    const use = relation === undefined ? undefined : this.#uses.get(relation.location ?? 0);
    const width = selectStmt === undefined ? undefined : queryWidth(selectStmt, { statement: this.#statement.node, tableWidth: (rangeVar) => this.#uses.get(rangeVar.location ?? 0)?.table.columns.length });
    if (relation === undefined || use === undefined || cols !== undefined || width === undefined || width === 0 || width > use.table.columns.length) return;
    const { end } = at(this.#cutter.tokens(), this.#cutter.lastTokenOf(relation) + (relation.alias === undefined ? 0 : 2));
    this.#edits.push({ start: end, end, parts: [listOf(use, width)] });
  }

  /** Actions of MERGE say nothing of where they stand: INSERT comes behind THEN. */
  #listMerged({ relation, mergeWhenClauses = [] }: MergeStmt): void {
    const use = this.#uses.get(relation?.location ?? 0);
    const inserts = mergeWhenClauses.flatMap((clause) => ('MergeWhenClause' in clause && clause.MergeWhenClause.commandType === 'CMD_INSERT' ? [clause.MergeWhenClause] : []));
    const places = inserts.length === 0 ? [] : this.#cutter.tokens().filter(({ text }, i, all) => text.toUpperCase() === 'INSERT' && all[i - 1]?.text.toUpperCase() === 'THEN');
    if (use === undefined || places.length !== inserts.length) return;
    for (const [i, { targetList = [], values = [] }] of inserts.entries()) {
      if (targetList.length > 0 || values.length === 0 || values.length > use.table.columns.length) continue;
      const { end } = at(places, i);
      this.#edits.push({ start: end, end, parts: [listOf(use, values.length)] });
    }
  }
}

/** The first columns of a table, as an INSERT lists them. */
export function listOf({ table }: Pick<Use, 'table'>, width: number): string {
  return ` (${table.columns.slice(0, width).map(({ name }) => quoteIdentifier(name)).join(', ')})`;
}

/** A bare name that a shard lacks may be a column of a query around this one; a qualified one cannot. */
function qualifiedSql(shown: readonly Shown[]): string {
  return shown.map(({ sql }) => sql).join(', ');
}

/** Nothing needs to be qualified of one relation by itself, unless a bare name could mean its whole row. */
function outermostSql(shown: readonly Shown[], [item, ...others]: readonly Node[]): string {
  const only = item !== undefined && 'RangeVar' in item && others.length === 0 ? relationAlias(item.RangeVar) : undefined;
  if (only === undefined || shown.some(({ name }) => name === only)) return qualifiedSql(shown);
  return shown.map(({ name, sql }) => (name === undefined ? sql : quoteIdentifier(name))).join(', ');
}

/** A statement, and the queries whose rows are its own. */
function outermost(node: Node): unknown[] {
  const [body] = Object.values(node);
  if ('InsertStmt' in node) return [body, ...(node.InsertStmt.selectStmt === undefined ? [] : outermost(node.InsertStmt.selectStmt))];
  return 'SelectStmt' in node ? armsOf(node.SelectStmt) : [body];
}

function armsOf(select: SelectStmt): unknown[] {
  return [select, ...[select.larg, select.rarg].flatMap((arm) => (arm === undefined ? [] : armsOf(arm)))];
}

function allOf(alias: string): readonly Shown[] {
  return [{ name: undefined, sql: `${quoteIdentifier(alias)}.*`, type: undefined }];
}

/** Not those behind the alias of a join. */
function relationsIn(items: readonly Node[]): RangeVar[] {
  return items.flatMap((item): RangeVar[] => {
    if ('RangeVar' in item) return [item.RangeVar];
    if ('RangeTableSample' in item) return item.RangeTableSample.relation === undefined ? [] : relationsIn([item.RangeTableSample.relation]);
    if (!('JoinExpr' in item) || item.JoinExpr.alias !== undefined) return [];
    return relationsIn([item.JoinExpr.larg, item.JoinExpr.rarg].filter((side) => side !== undefined));
  });
}

function mergedOf(name: string, left: readonly Shown[], right: readonly Shown[], isRight: boolean): Shown | undefined {
  const [one, other] = [left, right].map((side) => side.filter((shown) => shown.name === name));
  const [ofLeft, ofRight] = [one?.[0], other?.[0]];
  if (ofLeft === undefined || ofRight === undefined || one?.length !== 1 || other?.length !== 1 || ofLeft.type !== ofRight.type) return undefined;
  return isRight ? ofRight : ofLeft;
}
