import type { ColumnRef, InsertStmt, Node, OnConflictClause } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { at, present } from '../../base/assert.ts';
import type { CatalogTable, Column, DistributedTable } from '../../catalog/catalog-snapshot.ts';
import type { UniqueLookup } from '../../catalog/unique-lookup.ts';
import { holds, nameParts, relationAlias, walk } from '../../sql/ast.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { scanTokens, tokenAt } from '../../sql/scan.ts';
import { applyEdits, type Edit, fillTemplate } from '../../sql/template.ts';
import { refused } from '../insert/refused.ts';
import { starOf } from '../star.ts';
import { type ConflictText, conflictText, type Extent } from './conflict-text.ts';
import { constraints, proposingInsert } from './proposing-insert.ts';
import { isValues, lookupMeant } from './skipping-insert.ts';
import { namesTakenRows, TakenRows } from './taken-rows.ts';

/** INSERT … VALUES … ON CONFLICT (…) that means a unique lookup, of which a row's own shard knows nothing, as statements that shards can run. */
export interface UpsertingInsert {
  readonly lookup: UniqueLookup;
  /** The same rows, without ON CONFLICT. */
  readonly insert: Statement;
  /** The same, which returns `columns` of them and nothing else: those of the lookup first. */
  readonly proposed: Statement;
  /** See `UpsertPlan.refused`. */
  readonly refused: ReadonlyMap<string, Statement>;
  readonly columns: readonly string[];
  /** The caller's statement as if a constraint of the table were meant, for PostgreSQL to say what is wrong with it, and of which types its parameters are. */
  readonly described: string;
  /** Undefined for DO NOTHING. */
  readonly taken: TakenKey | undefined;
}

export interface TakenKey {
  readonly lock: Statement;
  /** See `TakenPlan`: `types` are those of the caller's parameters. */
  update(types: readonly string[]): { readonly statement: Statement; readonly numbers: readonly number[] };
  /** See `TakenPlan.set`. */
  set(types: readonly string[]): { readonly lock: Statement; readonly update: Statement } | undefined;
}

/** Undefined for any other statement. Throws a refusal for what cannot be taken apart. */
export function upsertingInsert(statement: Statement, names: RelationNames): UpsertingInsert | undefined {
  const { node } = statement;
  if (!('InsertStmt' in node) || names.snapshot.lookups.length === 0) return undefined;
  const { relation, onConflictClause: conflict, withClause, selectStmt } = node.InsertStmt;
  if (relation === undefined || conflict?.infer === undefined || withClause !== undefined || !isValues(selectStmt)) return undefined;
  const table = names.resolve(relation.schemaname, relation.relname ?? '');
  const lookup = table?.kind === 'distributed' ? lookupMeant(conflict, names.snapshot.lookups.filter((one) => one.table === table.oid)) : undefined;
  if (table?.kind !== 'distributed' || lookup === undefined || conflict.infer.whereClause !== undefined) return undefined;
  if (table.rowSecurity) throw refused(`ON CONFLICT means the unique lookup "${lookup.name}", and table "${table.name}" has row security, which may hide the row that has the key.`, 'Use ON CONFLICT DO NOTHING without columns. Or insert the row, and where that fails with 23505, update the one that is there in a statement of its own.');
  return new Taking(statement, node.InsertStmt, { table, lookup, conflict }).apart();
}

interface Meant {
  readonly table: DistributedTable;
  readonly lookup: UniqueLookup;
  readonly conflict: OnConflictClause;
}

interface Given {
  readonly excluded: (column: string) => string;
  /** A parameter of the caller's. */
  readonly typed: (number: number) => string;
}

class Taking {
  readonly #statement: Statement;
  readonly #insert: InsertStmt;
  readonly #meant: Meant;
  readonly #text: ConflictText;
  readonly #target: string;
  /** What the table's columns are qualified with. */
  readonly #name: string;
  readonly #used: readonly Excluded[];
  readonly #columns: readonly string[];

  constructor(statement: Statement, insert: InsertStmt, meant: Meant) {
    this.#statement = statement;
    this.#insert = insert;
    this.#meant = meant;
    this.#text = conflictText(statement);
    this.#target = targetText(statement, insert);
    this.#name = quoteIdentifier(relationAlias(present(insert.relation)));
    this.#used = excludedColumns([meant.conflict.targetList, meant.conflict.whereClause]);
    this.#columns = [...new Set([...meant.lookup.columns, ...this.#used.map(({ column }) => column)])];
  }

  apart(): UpsertingInsert {
    const { lookup, table, conflict } = this.#meant;
    const { insert, returning } = this.#text;
    const updates = conflict.action === 'ONCONFLICT_UPDATE';
    return {
      lookup, columns: this.#columns,
      insert: parseOne(`${insert}${returning}`),
      ...proposingInsert({ insert, table, name: this.#name, columns: this.#checkedColumns() }),
      described: this.#text.meaning(updates ? constraintOf(table) : constraints(table)[0]?.columns),
      taken: updates ? this.#taken() : undefined,
    };
  }

  #checkedColumns(): readonly string[] {
    for (const column of this.#columns) this.#known(column);
    return this.#columns;
  }

  #taken(): TakenKey {
    if (parameters(this.#insert.returningClause).length > 0) throw refused('A parameter stands in the RETURNING of an INSERT whose ON CONFLICT means a unique lookup.', 'Add its value to the rows that come back.');
    for (const { column, isWhole } of this.#used) this.#checkCollation(column, isWhole);
    return { lock: parseOne(this.#lockText()), update: (types) => this.#update(types), set: (types) => this.#set(types) };
  }

  /** Texts as `shardwright.note_lookup_change` has them. */
  #lockText(): string {
    return `SELECT ${this.#keyTexts()} FROM ${this.#target} WHERE ${this.#isFound((i) => `$${i + 1}`)} FOR NO KEY UPDATE`;
  }

  #keyTexts(): string {
    return [...this.#meant.lookup.columns, this.#distribution.name].map((column) => `pg_catalog.to_jsonb(${this.#column(column)}) OPERATOR(pg_catalog.#>>) '{}'`).join(', ');
  }

  #isFound(value: (i: number) => string): string {
    return [this.#distribution.name, ...this.#meant.lookup.columns].map((column, i) => `${this.#column(column)} = ${value(i)}`).join(' AND ');
  }

  #update(types: readonly string[]): { readonly statement: Statement; readonly numbers: readonly number[] } {
    const numbers = this.#numbers();
    const given = this.#given(types, { first: 1 + this.#columns.length, excluded: (column) => `CAST($${2 + this.#columns.indexOf(column)} AS ${this.#known(column).type.sql})` });
    const set = this.#within(this.#text.set, given);
    const where = this.#within(this.#text.where, given);
    const text = `UPDATE ${this.#target} SET ${set} WHERE ${this.#isFound((i) => `$${i + 1}`)}${where === '' ? '' : ` AND (${where})`} ${this.#text.returning}`;
    return { statement: parseOne(text), numbers };
  }

  /** The caller's parameters that DO UPDATE has. */
  #numbers(): number[] {
    return [...new Set(parameters([this.#meant.conflict.targetList, this.#meant.conflict.whereClause]))];
  }

  /** `first`: how many parameters there are before the caller's. */
  #given(types: readonly string[], { first, excluded }: { readonly first: number; readonly excluded: Given['excluded'] }): Given {
    const numbers = this.#numbers();
    return { excluded, typed: (number) => `CAST($${first + numbers.indexOf(number) + 1} AS ${at(types, number - 1)})` };
  }

  #set(types: readonly string[]): ReturnType<TakenKey['set']> {
    const watched = this.#watched();
    const returning = this.#returningBehind();
    if (watched === undefined || returning === undefined) return undefined;
    const keys = [this.#distribution, ...this.#meant.lookup.columns.map((column) => this.#known(column))];
    const found = new TakenRows(keys);
    const lock = `SELECT ${found.place}, ${watched}, ${this.#keyTexts()} FROM ${this.#target}, ${found.source} WHERE ${this.#isFound((i) => found.value(i))} ORDER BY ${found.place} FOR NO KEY UPDATE OF ${this.#name}`;
    const rows = new TakenRows([this.#distribution, ...this.#columns.map((column) => this.#known(column))]);
    const given = this.#given(types, { first: rows.parameters, excluded: (column) => rows.value(1 + this.#columns.indexOf(column)) });
    const where = this.#within(this.#text.where, given);
    const update = `UPDATE ${this.#target} SET ${this.#within(this.#text.set, given)} FROM ${rows.source} WHERE ${this.#isFound((i) => rows.value(i))}${where === '' ? '' : ` AND (${where})`} RETURNING ${rows.place}, ${watched}${returning}`;
    return { lock: parseOne(lock), update: parseOne(update) };
  }

  /** What other rows of the table are compared by: where that changes, it matters which row is updated first. Undefined where it cannot be told, and for what the rows themselves must not be asked for together. */
  #watched(): string | undefined {
    const { table, conflict } = this.#meant;
    const set = (conflict.targetList ?? []).map((node) => ('ResTarget' in node ? node.ResTarget.name : undefined));
    const compared = table.indexes.filter(({ name, unique }) => unique || table.constraints.includes(name));
    const named = compared.flatMap(({ columns }) => columns.flatMap((column) => column ?? []));
    const isTold = compared.every(({ columns, partial }) => !partial && !columns.includes(undefined));
    if (!isTold || set.includes(this.#distribution.name) || holds([conflict, this.#insert.returningClause], 'SubLink')) return undefined;
    if ([this.#insert.relation?.alias?.aliasname ?? '', ...table.columns.map(({ name }) => name)].some(namesTakenRows)) return undefined;
    return `CAST(ROW(${[...new Set(named)].map((column) => this.#column(column)).join(', ')}) AS pg_catalog.text)`;
  }

  /** What the caller wants, behind other columns: `*` stands for those of the table alone. Undefined where RETURNING has options. */
  #returningBehind(): string | undefined {
    const { returning } = this.#text;
    if (returning === '') return '';
    const first = at(scanTokens(returning), 1);
    if (first.text.toUpperCase() === 'WITH') return undefined;
    const from = this.#statement.text.length - returning.length;
    const edits = bareStars(this.#insert.returningClause?.exprs ?? []).map((location): Edit<never> => {
      const star = this.#statement.source.index(location) - from;
      return { start: star, end: star + 1, parts: [`${this.#name}.*`] };
    });
    return `, ${fillTemplate(applyEdits(returning, edits), String).slice(first.start)}`;
  }

  /** A part of the text with the values that were proposed in the place of `excluded`. */
  #within({ start, end }: Extent, { typed, excluded }: Given): string {
    const tokens = scanTokens(this.#statement.text);
    const edits: Edit<never>[] = [];
    for (const { location, column } of this.#used) {
      const first = tokenAt(tokens, this.#statement.source.index(location));
      edits.push({ start: at(tokens, first).start, end: at(tokens, first + 2).end, parts: [excluded(column)] });
    }
    for (const token of tokens) if (/^\$\d+$/.test(token.text)) edits.push({ start: token.start, end: token.end, parts: [typed(Number(token.text.slice(1)))] });
    const own = edits.filter((edit) => edit.start >= start && edit.end <= end).map((edit) => ({ ...edit, start: edit.start - start, end: edit.end - start }));
    return fillTemplate(applyEdits(this.#statement.text.slice(start, end), own), String);
  }

  /** A value that is sent has its type's collation, which counts where it is compared. */
  #checkCollation(column: string, isWhole: boolean): void {
    if (isWhole || this.#known(column).collation === undefined) return;
    throw refused(`An expression of ON CONFLICT DO UPDATE, which means a unique lookup, reads excluded."${column}", which has a collation of its own.`, 'Pass the value as a parameter instead.');
  }

  #known(column: string): Column {
    const found = this.#meant.table.columns.find(({ name }) => name === column);
    if (found === undefined) throw refused(`ON CONFLICT DO UPDATE, which means a unique lookup, reads excluded.${column}, which is not a column of its own.`, 'Name columns of the table.');
    return found;
  }

  get #distribution(): Column {
    return present(this.#meant.table.distributionColumn, 'distribution column');
  }

  #column(name: string): string {
    return `${this.#name}.${quoteIdentifier(name)}`;
  }
}

/** The table with its alias, as written. */
function targetText(statement: Statement, { relation }: InsertStmt): string {
  const { location = 0, schemaname, alias } = present(relation, 'target');
  const tokens = scanTokens(statement.text);
  const first = tokenAt(tokens, statement.source.index(location));
  const last = first + (schemaname === undefined ? 0 : 2) + (alias === undefined ? 0 : 2);
  return statement.text.slice(at(tokens, first).start, at(tokens, last).end);
}

/**
 * What PostgreSQL is asked about a statement: where ON CONFLICT means a unique lookup, of which the coordinator database has no constraint, the same as if it meant one that the table has. Any other is as it was written.
 */
export function describableText(statement: Statement, names: RelationNames): string {
  const { node, text } = statement;
  if (!('InsertStmt' in node) || names.snapshot.lookups.length === 0) return text;
  const { relation, onConflictClause: conflict } = node.InsertStmt;
  const table = relation === undefined || conflict?.infer === undefined ? undefined : names.resolve(relation.schemaname, relation.relname ?? '');
  if (table === undefined || conflict === undefined || lookupMeant(conflict, names.snapshot.lookups.filter((lookup) => lookup.table === table.oid)) === undefined) return text;
  const columns = constraints(table)[0]?.columns;
  return columns === undefined && conflict.action === 'ONCONFLICT_UPDATE' ? text : conflictText(statement).meaning(columns);
}

/** Any of them is all that PostgreSQL asks of a conflict's target. */
function constraintOf(table: CatalogTable): readonly string[] {
  const [first] = constraints(table);
  if (first !== undefined) return first.columns;
  throw refused(`ON CONFLICT DO UPDATE means a unique lookup, and table "${table.name}" has no primary key or other unique constraint.`, 'Give the table a primary key.');
}

interface Excluded {
  readonly column: string;
  readonly location: number;
  /** It is all that a column is set to. */
  readonly isWhole: boolean;
}

function excludedColumns(tree: readonly unknown[]): Excluded[] {
  const found: Excluded[] = [];
  const whole = new Set<object>();
  walk(tree, (kind, body) => {
    if (kind === 'ResTarget' && 'val' in body && isReference(body.val)) whole.add(body.val.ColumnRef);
    if (kind !== 'ColumnRef' || !isColumnRef(body)) return undefined;
    const { fields, location = 0 } = body;
    const [first, column, further] = nameParts(fields);
    if (first !== 'excluded') return undefined;
    if (column === undefined || column === '*' || further !== undefined) throw refused('ON CONFLICT DO UPDATE, which means a unique lookup, reads "excluded" as a whole.', 'Name its columns.');
    // Of `(a, b) = (…)` the tree has all at each column.
    if (!found.some((one) => one.location === location)) found.push({ column, location, isWhole: whole.has(body) });
    return undefined;
  });
  return found;
}

/** Where `*` stands without a table's name. */
function bareStars(items: readonly Node[]): number[] {
  return items.flatMap((item) => {
    const star = starOf(item);
    return star?.fields?.length === 1 ? [star.location ?? 0] : [];
  });
}

function isReference(value: unknown): value is { readonly ColumnRef: ColumnRef } {
  return typeof value === 'object' && value !== null && 'ColumnRef' in value;
}

function isColumnRef(body: object): body is ColumnRef {
  return 'fields' in body;
}

function parameters(tree: unknown): number[] {
  const found: number[] = [];
  walk(tree, (kind, body) => {
    if (kind === 'ParamRef' && 'number' in body) found.push(Number(body.number));
    return undefined;
  });
  return found;
}
