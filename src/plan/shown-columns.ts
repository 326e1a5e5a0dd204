import type { Alias, ColumnRef, CommonTableExpr, JoinExpr, Node, RangeVar, SelectStmt } from '@pgsql/types';
import type { TableUse } from '../analyze/relation.ts';
import { at } from '../base/assert.ts';
import { nameParts, relationAlias, walk } from '../sql/ast.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import { type Returned, returningItems, starOf } from './star.ts';

export type Use = Pick<TableUse, 'table' | 'rangeVar'>;

/** What an item of FROM shows: a column, or all that a relation has. */
export type Shown = ShownColumn | ShownRelation;

interface ShownColumn {
  readonly name: string;
  readonly sql: string;
  /** With its modifier; undefined where it is not known. */
  readonly type: string | undefined;
}

interface ShownRelation {
  readonly name: undefined;
  readonly alias: string;
  readonly sql: string;
  /** The names of its columns; undefined where only a server knows. */
  readonly names: Names | undefined;
}

/** Of columns, in order; undefined for one whose name is not known. */
type Names = readonly (string | undefined)[];

/** Tells which columns stand for a `*` of a statement. Queries that go by places are those whose own stars stay. */
export class ShownColumns {
  readonly #uses: ReadonlyMap<number, Use>;
  readonly #byPlaces: ReadonlySet<unknown>;
  readonly #common = new Map<string, CommonTableExpr[]>();
  /** WITH RECURSIVE may lead back to itself: it is not known then. */
  readonly #commonNames = new Map<CommonTableExpr, Names | undefined>();

  constructor(statement: Node, uses: readonly Use[], byPlaces: ReadonlySet<unknown>) {
    this.#uses = new Map(uses.map((use) => [use.rangeVar.location ?? 0, use]));
    this.#byPlaces = byPlaces;
    walk(statement, (kind, body: CommonTableExpr) => {
      if (kind === 'CommonTableExpr') this.#common.set(body.ctename ?? '', [...(this.#common.get(body.ctename ?? '') ?? []), body]);
      return undefined;
    });
  }

  useOf({ location }: RangeVar): Use | undefined {
    return this.#uses.get(location ?? 0);
  }

  /** What a name of a relation may mean that is no table of the catalog. */
  commonOf({ schemaname, relname = '' }: RangeVar): readonly CommonTableExpr[] {
    return schemaname === undefined ? (this.#common.get(relname) ?? []) : [];
  }

  /** The columns of a query, or of RETURNING of a write; undefined where only a server knows, or where some of them go by their places. */
  namesOf(query: Node): Names | undefined {
    const [entry] = Object.entries(query);
    if (entry === undefined || this.#byPlaces.has(entry[1])) return undefined;
    if ('SelectStmt' in query) return this.#ofSelect(query.SelectStmt);
    const returned = returningItems(entry[0], entry[1]);
    return returned === undefined ? undefined : this.#ofTargets(returned);
  }

  /** Undefined where it is not certain. */
  shownBy({ fields }: ColumnRef, { items, versions }: Returned): readonly Shown[] | undefined {
    const parts = nameParts(fields);
    const qualifier = parts.length > 1 ? parts.at(-2) : undefined;
    if (qualifier !== undefined) return this.#shownNamed(qualifier, { items, versions });
    const names = relationsIn(items).map(relationAlias);
    const shown = new Set(names).size < names.length ? [undefined] : items.map((item) => this.#shown(item));
    const known = shown.filter((one) => one !== undefined);
    return known.length < shown.length || !isUnambiguous(known.flat()) ? undefined : known.flat();
  }

  #ofSelect(select: SelectStmt): Names | undefined {
    const { valuesLists, larg, rarg, targetList = [], fromClause = [] } = select;
    if (this.#byPlaces.has(select)) return undefined;
    const [row] = valuesLists ?? [];
    if (row !== undefined) return 'List' in row ? namesOfRow(row.List.items ?? []) : undefined;
    if (larg === undefined || rarg === undefined) return this.#ofTargets({ targets: targetList, items: fromClause });
    const names = this.#ofSelect(larg);
    return this.#ofSelect(rarg) === undefined ? undefined : names;
  }

  #ofTargets(returned: Returned): Names | undefined {
    const names = returned.targets.map((target) => {
      const star = starOf(target);
      if (star !== undefined) return this.shownBy(star, returned)?.map((one) => (one.name === undefined ? one.names : [one.name]));
      return isRowStar(target) ? undefined : [[nameOf(target)]];
    }).flatMap((parts) => parts ?? [undefined]);
    const known = names.filter((one) => one !== undefined);
    return known.length < names.length ? undefined : known.flat();
  }

  /** Of the one relation that is called so; undefined where it is another's, or there are several. */
  #shownNamed(name: string, { items, versions }: Pick<Returned, 'items' | 'versions'>): readonly Shown[] | undefined {
    const named = relationsIn(items).filter((relation) => relationAlias(relation) === name);
    const others = itemsCalled(name, items);
    const [relation, other] = [named[0], others[0]];
    if (named.length + others.length > 1) return undefined;
    if (relation !== undefined) return this.#ofRelation(relation);
    if (other !== undefined) return this.#shown(other);
    return versions?.names.includes(name) === true ? this.#columnsOf(versions.relation, name) : undefined;
  }

  #shown(item: Node): readonly Shown[] | undefined {
    if ('RangeVar' in item) return this.#ofRelation(item.RangeVar);
    if ('RangeTableSample' in item) return item.RangeTableSample.relation === undefined ? undefined : this.#shown(item.RangeTableSample.relation);
    if ('JoinExpr' in item) return item.JoinExpr.alias === undefined ? this.#joined(item.JoinExpr) : this.#ofAliasedJoin(item.JoinExpr, item.JoinExpr.alias);
    if ('RangeSubselect' in item) {
      const { alias, subquery } = item.RangeSubselect;
      return alias?.aliasname === undefined || subquery === undefined ? undefined : allOf(alias.aliasname, renamedBy(alias.colnames, this.namesOf(subquery)));
    }
    const [body] = Object.values(item) as readonly { readonly alias?: Alias }[];
    return body?.alias?.aliasname === undefined ? undefined : allOf(body.alias.aliasname, undefined);
  }

  #ofRelation(relation: RangeVar): readonly Shown[] {
    const alias = relationAlias(relation);
    return this.#columnsOf(relation, alias) ?? allOf(alias, this.useOf(relation) === undefined ? renamedBy(relation.alias?.colnames, this.#ofCommon(relation)) : undefined);
  }

  #columnsOf(relation: RangeVar, alias: string): readonly Shown[] | undefined {
    const use = this.useOf(relation);
    if (use === undefined || (relation.alias?.colnames?.length ?? 0) > 0) return undefined;
    return use.table.columns.map(({ name, type }) => ({ name, sql: quoteQualified(alias, name), type: `${type.sql} ${type.modifier}` }));
  }

  #ofCommon(relation: RangeVar): Names | undefined {
    const [common, ...others] = this.commonOf(relation);
    if (common?.ctequery === undefined || others.length > 0 || common.search_clause !== undefined || common.cycle_clause !== undefined) return undefined;
    if (!this.#commonNames.has(common)) {
      this.#commonNames.set(common, undefined);
      this.#commonNames.set(common, renamedBy(common.aliascolnames, this.namesOf(common.ctequery)));
    }
    return this.#commonNames.get(common);
  }

  /** Columns that USING merges come first; NATURAL merges all that both sides have, as the left one orders them. */
  #joined({ larg, rarg, jointype, isNatural, usingClause = [] }: JoinExpr): readonly Shown[] | undefined {
    const left = larg === undefined ? undefined : this.#shown(larg);
    const right = rarg === undefined ? undefined : this.#shown(rarg);
    if (left === undefined || right === undefined) return undefined;
    const listed = usingClause.map((one) => ('String' in one ? (one.String.sval ?? '') : ''));
    if (listed.length === 0 && isNatural !== true) return [...left, ...right];
    const [columns, others] = [columnsIn(left), columnsIn(right)];
    if (columns === undefined || others === undefined) return undefined;
    const names = isNatural === true ? columns.map(({ name }) => name).filter((name) => others.some((other) => other.name === name)) : listed;
    const merged = names.map((name) => mergedOf(name, { left: columns, right: others }, jointype));
    const known = merged.filter((one) => one !== undefined);
    const rest = [...columns, ...others].filter(({ name }) => !names.includes(name));
    return known.length < merged.length ? undefined : [...known, ...rest];
  }

  /** Its columns are known by its own alias alone. */
  #ofAliasedJoin(join: JoinExpr, { aliasname = '', colnames = [] }: Alias): readonly Shown[] | undefined {
    const columns = columnsIn(this.#joined(join) ?? []);
    const names = new Set(columns?.map(({ name }) => name));
    if (columns === undefined || names.size === 0 || names.size < columns.length || colnames.length > 0) return allOf(aliasname, undefined);
    return columns.map(({ name, type }) => ({ name, sql: quoteQualified(aliasname, name), type }));
  }
}

/** Not those behind the alias of a join. */
function relationsIn(items: readonly Node[]): RangeVar[] {
  return items.flatMap((item): RangeVar[] => {
    if ('RangeVar' in item) return [item.RangeVar];
    if ('RangeTableSample' in item) return item.RangeTableSample.relation === undefined ? [] : relationsIn([item.RangeTableSample.relation]);
    return 'JoinExpr' in item && item.JoinExpr.alias === undefined ? relationsIn(sidesOf(item.JoinExpr)) : [];
  });
}

/** Subqueries, functions and joins of this alias. */
function itemsCalled(name: string, items: readonly Node[]): Node[] {
  return items.flatMap((item): Node[] => {
    if ('RangeVar' in item || 'RangeTableSample' in item) return [];
    const [body] = Object.values(item) as readonly { readonly alias?: Alias }[];
    const below = 'JoinExpr' in item && item.JoinExpr.alias === undefined ? itemsCalled(name, sidesOf(item.JoinExpr)) : [];
    return body?.alias?.aliasname === name ? [item] : below;
  });
}

function sidesOf({ larg, rarg }: JoinExpr): Node[] {
  return [larg, rarg].filter((side) => side !== undefined);
}

function allOf(alias: string, names: Names | undefined): readonly Shown[] {
  return [{ name: undefined, alias, sql: `${quoteIdentifier(alias)}.*`, names }];
}

/** An alias names the first columns anew. */
function renamedBy(aliases: readonly Node[] | undefined, names: Names | undefined): Names | undefined {
  return names?.map((name, i) => {
    const alias = aliases?.[i];
    return alias !== undefined && 'String' in alias ? alias.String.sval : name;
  });
}

/** Each by itself; undefined where not all names are known, or a relation has one twice. */
function columnsIn(shown: readonly Shown[]): readonly ShownColumn[] | undefined {
  const columns = shown.map((one) => {
    if (one.name !== undefined) return [one];
    const names = one.names?.filter((name) => name !== undefined);
    if (names === undefined || names.length < (one.names?.length ?? 0) || new Set(names).size < names.length) return undefined;
    return names.map((name): ShownColumn => ({ name, sql: quoteQualified(one.alias, name), type: undefined }));
  });
  const known = columns.filter((one) => one !== undefined);
  return known.length < columns.length ? undefined : known.flat();
}

/** One side's column where both are of one type; else what the join makes of both, which only its bare name means. */
function mergedOf(name: string, { left, right }: { readonly left: readonly ShownColumn[]; readonly right: readonly ShownColumn[] }, jointype: JoinExpr['jointype']): ShownColumn | undefined {
  const [ofLeft, ofRight] = [left, right].map((side) => side.filter((shown) => shown.name === name)).map((found) => (found.length === 1 ? at(found, 0) : undefined));
  if (ofLeft === undefined || ofRight === undefined) return undefined;
  const type = ofLeft.type === ofRight.type ? ofLeft.type : undefined;
  if (type === undefined || jointype === 'JOIN_FULL') return { name, sql: quoteIdentifier(name), type };
  return jointype === 'JOIN_RIGHT' ? ofRight : ofLeft;
}

/** Whether bare names mean what they are to. */
function isUnambiguous(shown: readonly Shown[]): boolean {
  const bare = shown.filter(({ name, sql }) => name !== undefined && sql === quoteIdentifier(name));
  if (bare.length === 0) return true;
  const names = columnsIn(shown)?.map(({ name }) => name);
  return names !== undefined && bare.every(({ name }) => names.filter((one) => one === name).length === 1);
}

function namesOfRow(items: readonly Node[]): Names | undefined {
  const isStar = items.some((item) => isRowStar({ ResTarget: { val: item } }) || starOf({ ResTarget: { val: item } }) !== undefined);
  return isStar ? undefined : items.map((_, i) => `column${i + 1}`);
}

/** `(row).*` */
function isRowStar(target: Node): boolean {
  const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
  const last = value !== undefined && 'A_Indirection' in value ? value.A_Indirection.indirection?.at(-1) : undefined;
  return last !== undefined && 'A_Star' in last;
}

/** Only what is certain: an alias, or a column's own name. */
function nameOf(target: Node): string | undefined {
  if (!('ResTarget' in target)) return undefined;
  const { name, val } = target.ResTarget;
  return name ?? (val !== undefined && 'ColumnRef' in val ? nameParts(val.ColumnRef.fields).at(-1) : undefined);
}
