import type { InsertStmt, MergeStmt, Node, RangeVar, SelectStmt, SubLink } from '@pgsql/types';
import { at } from '../base/assert.ts';
import { nameParts, relationAlias, walk } from '../sql/ast.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import type { Statement } from '../sql/parse.ts';
import type { Token } from '../sql/scan.ts';
import type { Edit } from '../sql/template.ts';
import { type ByPlaces, queriesByPlaces } from './by-places.ts';
import type { NameCutter } from './name-cutter.ts';
import { type Shown, ShownColumns, type Use } from './shown-columns.ts';
import { type Returned, returningItems, starOf } from './star.ts';

/** What is written out of a statement, and which of its relations stand in queries that are left as they are. */
interface WrittenOut {
  readonly edits: readonly Edit<never>[];
  isByPlaces(rangeVar: RangeVar): boolean;
}

/**
 * Writes out what stands for all columns of a table, in its own order: `*` and `o.*` in a SELECT list or RETURNING, and the columns of an INSERT that lists none. A shard may have them in another order, or others, where somebody has changed
 * it: values go by names then, and a column that is missing is an error. What it leaves as it is: `*` over aliases that rename columns, and whole rows; and both an INSERT that lists no columns and its query, where
 * columns of that go by their places.
 */
export function columnEdits(statement: Statement, uses: readonly Use[], cutter: NameCutter): WrittenOut {
  if (!statement.text.includes('*') && !/insert/i.test(statement.text)) return { edits: [], isByPlaces: () => false };
  const left = queriesByPlaces(statement.node, uses);
  return { edits: new StarEdits(statement, { columns: new ShownColumns(statement.node, uses, left.queries), cutter, left }).edits(), isByPlaces: (rangeVar) => left.relations.has(rangeVar) };
}

interface StarInput {
  readonly columns: ShownColumns;
  readonly cutter: NameCutter;
  readonly left: ByPlaces;
}

class StarEdits {
  readonly #statement: Statement;
  readonly #writesLeft: ReadonlySet<unknown>;
  readonly #columns: ShownColumns;
  readonly #cutter: NameCutter;
  readonly #edits: Edit<never>[] = [];
  /** What stays as it is, such as queries of EXISTS, whose columns nobody sees. */
  readonly #left: Set<unknown>;
  /** Queries that stand in no other one. */
  readonly #outermost: ReadonlySet<unknown>;

  constructor(statement: Statement, { columns, cutter, left }: StarInput) {
    this.#statement = statement;
    this.#columns = columns;
    this.#cutter = cutter;
    this.#left = new Set(left.queries);
    this.#writesLeft = left.writes;
    this.#outermost = new Set(outermost(statement.node));
  }

  edits(): Edit<never>[] {
    walk(this.#statement.node, (kind, body) => {
      if (kind === 'SubLink') this.#passOver(body);
      if (kind === 'SelectStmt' && !this.#left.has(body)) this.#writeOutOf(body);
      if (kind === 'InsertStmt') this.#listColumns(body);
      if (kind === 'MergeStmt') this.#listMerged(body);
      const returned = returningItems(kind, body);
      if (returned !== undefined && !this.#left.has(body)) this.#writeOut(returned, this.#outermost.has(body));
      return undefined;
    });
    return this.#edits;
  }

  #passOver({ subLinkType, subselect }: SubLink): void {
    if (subLinkType === 'EXISTS_SUBLINK' && subselect !== undefined && 'SelectStmt' in subselect) this.#left.add(subselect.SelectStmt);
  }

  #writeOutOf(select: SelectStmt): void {
    this.#writeOut({ targets: select.targetList ?? [], items: select.fromClause ?? [] }, this.#outermost.has(select));
  }

  #writeOut(returned: Returned, isOutermost: boolean): void {
    for (const target of returned.targets) {
      const star = starOf(target);
      const shown = star === undefined ? undefined : this.#columns.shownBy(star, returned);
      if (star === undefined || shown === undefined || shown.every(({ name }) => name === undefined)) continue;
      const extent = this.#extentOf(star.location ?? 0, nameParts(star.fields).length - 1);
      if (extent !== undefined) this.#edits.push({ ...extent, parts: [isOutermost ? outermostSql(shown, returned.items) : qualifiedSql(shown)] });
    }
  }

  /** Of a star behind so many names: from the last of them, as a schema is cut anyway. TABLE orders has none that is written. */
  #extentOf(location: number, names: number): Pick<Edit<never>, 'start' | 'end'> | undefined {
    const first = this.#cutter.tokenOf(location);
    const [start, end] = [at(this.#cutter.tokens(), first + 2 * Math.max(0, names - 1)), at(this.#cutter.tokens(), first + 2 * names)];
    return end.text === '*' ? { start: start.start, end: end.end } : undefined;
  }

  #listColumns(insert: InsertStmt): void {
    const { relation, cols, selectStmt } = insert;
    const use = relation === undefined ? undefined : this.#columns.useOf(relation);
    const width = selectStmt === undefined || this.#writesLeft.has(insert) ? undefined : this.#columns.namesOf(selectStmt)?.length;
    if (relation === undefined || use === undefined || cols !== undefined || width === undefined || width === 0 || width > use.table.columns.length) return;
    const { end } = at(this.#cutter.tokens(), this.#cutter.lastTokenOf(relation) + (relation.alias === undefined ? 0 : 2));
    this.#edits.push({ start: end, end, parts: [listOf(use, width)] });
  }

  /** Actions of MERGE say nothing of where they stand: INSERT comes behind THEN. */
  #listMerged(merge: MergeStmt): void {
    const use = merge.relation === undefined ? undefined : this.#columns.useOf(merge.relation);
    const inserts = (merge.mergeWhenClauses ?? []).flatMap((clause) => ('MergeWhenClause' in clause && clause.MergeWhenClause.commandType === 'CMD_INSERT' ? [clause.MergeWhenClause] : []));
    const places = inserts.length === 0 ? [] : insertsBehindThen(this.#cutter.tokens());
    if (use === undefined || places.length !== inserts.length || this.#writesLeft.has(merge)) return;
    for (const [i, { targetList = [], values = [] }] of inserts.entries()) {
      if (targetList.length > 0 || values.length === 0 || values.length > use.table.columns.length) continue;
      const { end } = at(places, i);
      this.#edits.push({ start: end, end, parts: [listOf(use, values.length)] });
    }
  }
}

function insertsBehindThen(tokens: readonly Token[]): Token[] {
  return tokens.filter(({ text }, i) => text.toUpperCase() === 'INSERT' && tokens[i - 1]?.text.toUpperCase() === 'THEN');
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
function outermostSql(shown: readonly Shown[], items: readonly Node[]): string {
  const only = onlyAlias(items);
  if (only === undefined || shown.some(({ name, sql }) => name === only || (name !== undefined && sql !== quoteQualified(only, name)))) return qualifiedSql(shown);
  return shown.map(({ name, sql }) => (name === undefined ? sql : quoteIdentifier(name))).join(', ');
}

/** Of a table that stands alone. */
function onlyAlias([item, ...others]: readonly Node[]): string | undefined {
  return item !== undefined && 'RangeVar' in item && others.length === 0 ? relationAlias(item.RangeVar) : undefined;
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
