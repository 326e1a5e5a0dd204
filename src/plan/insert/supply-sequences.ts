import type { InsertStmt } from '@pgsql/types';
import { at, present } from '../../base/assert.ts';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { isOfCoordinator, type CatalogTable, type Column } from '../../catalog/catalog-snapshot.ts';
import { walk } from '../../sql/ast.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import type { Statement } from '../../sql/parse.ts';
import { parseOne } from '../../sql/parse.ts';
import type { Token } from '../../sql/scan.ts';
import { afterGroup, scanTokens, tokenAt } from '../../sql/scan.ts';
import type { Edit } from '../../sql/template.ts';
import { applyEdits, fillTemplate } from '../../sql/template.ts';
import { parameterNumbers } from '../shard-template.ts';
import { assignableType } from './assignable-type.ts';
import { refused } from './refused.ts';
import { valueRows } from './value-rows.ts';

/** A statement that leaves no sequence to the node that runs it. */
export interface Supplied {
  readonly statement: Statement;
  /** The sequence whose next value is the statement's parameter, in order, behind those of the caller. */
  readonly sequences: readonly string[];
}

/**
 * Sequences are the coordinator database's: rows inserted by a statement that goes to a node as it is get their values as parameters. Refuses
 * INSERT … SELECT without a value for such a column.
 */
export function supplySequences(statement: Statement, names: RelationNames): Supplied {
  const supplier = new Supplier(statement);
  walk(statement.node, (kind, body) => {
    if (kind !== 'InsertStmt') return undefined;
    const insert: InsertStmt = body;
    const table = names.resolve(insert.relation?.schemaname, insert.relation?.relname ?? '');
    if (table?.kind === 'distributed') supplier.supply(insert, table);
    return undefined;
  });
  return supplier.supplied();
}

class Supplier {
  readonly #statement: Statement;
  readonly #sequences: string[] = [];
  readonly #edits: Edit<never>[] = [];
  readonly #parameters: number;
  #tokens: readonly Token[] | undefined;

  constructor(statement: Statement) {
    this.#statement = statement;
    this.#parameters = parameterNumbers(statement.node).at(-1) ?? 0;
  }

  supplied(): Supplied {
    const { text } = this.#statement;
    const statement = this.#edits.length === 0 ? this.#statement : parseOne(fillTemplate(applyEdits(text, this.#edits), () => ''));
    return { statement, sequences: this.#sequences };
  }

  supply(insert: InsertStmt, table: CatalogTable): void {
    const filled = table.columns.filter((column) => isOfCoordinator(column.default));
    const select = insert.selectStmt !== undefined && 'SelectStmt' in insert.selectStmt ? insert.selectStmt.SelectStmt : undefined;
    if (filled.length === 0 || select === undefined) return;
    const rows = (select.valuesLists ?? []).map((row) => ('List' in row ? (row.List.items ?? []) : []));
    const listed = insert.cols === undefined ? undefined : insert.cols.map((item) => ('ResTarget' in item ? item.ResTarget.name : undefined));
    const given = listed ?? (select.valuesLists === undefined ? [] : table.columns.slice(0, rows[0]?.length).map(({ name }) => name));
    const missing = filled.filter(({ name }) => !given.includes(name));
    if (select.valuesLists === undefined) {
      if (missing[0] === undefined) return;
      throw refused(`Column "${missing[0].name}" takes its values from a sequence of the coordinator database.`, 'Name the columns of the INSERT, and select a value for this one.');
    }
    const byDefault = rows.some((row) => row.some((item, i) => 'SetToDefault' in item && filled.some(({ name }) => name === given[i])));
    if (missing.length > 0 || byDefault) this.#supplyRows(insert, { rows, given, filled, missing });
  }

  #supplyRows(insert: InsertStmt, { rows, given, filled, missing }: Filling): void {
    this.#tokens ??= scanTokens(this.#statement.text);
    const tokens = this.#tokens;
    const relation = present(insert.relation, 'target');
    const first = tokenAt(tokens, this.#statement.source.index(relation.location ?? 0));
    const last = first + (relation.catalogname === undefined ? (relation.schemaname === undefined ? 0 : 2) : 4) + (relation.alias === undefined ? 0 : 2);
    const listEnd = insert.cols === undefined ? last : afterGroup(tokens, last + 1) - 1;
    const values = tokens[listEnd + 1]?.text.toUpperCase() === 'OVERRIDING' ? listEnd + 4 : listEnd + 1;
    const spans = tokens[values]?.text.toUpperCase() === 'VALUES' ? valueRows(tokens, values) : [];
    if (spans.length !== rows.length || spans.some(({ items }, i) => items.length !== rows[i]?.length)) {
      throw refused('VALUES stands in parentheses.', 'Write it without them.');
    }
    const added = missing.map(({ name }) => quoteIdentifier(name));
    if (insert.cols === undefined) this.#put(at(tokens, last).end, ` (${[...given.map((name) => quoteIdentifier(name ?? '')), ...added].join(', ')})`);
    else if (added.length > 0) this.#put(at(tokens, listEnd).start, `, ${added.join(', ')}`);
    for (const [i, span] of spans.entries()) {
      for (const [place, item] of (rows[i] ?? []).entries()) {
        const column = filled.find(({ name }) => name === given[place]);
        if (column !== undefined && 'SetToDefault' in item) this.#edits.push({ ...at(span.items, place), parts: [this.#next(column)] });
      }
      if (missing.length > 0) this.#put(span.end - 1, missing.map((column) => `, ${this.#next(column)}`).join(''));
    }
  }

  #put(index: number, text: string): void {
    this.#edits.push({ start: index, end: index, parts: [text] });
  }

  /** A parameter for the column's next value. */
  #next(column: Column): string {
    const { default: value } = column;
    if (value?.kind === 'expression') throw refused(`The default of column "${column.name}" is computed by the coordinator database.`, 'Give a value for it.');
    if (value !== undefined) this.#sequences.push(value.sequence);
    return `CAST($${this.#parameters + this.#sequences.length} AS ${assignableType(column)})`;
  }
}

interface Filling {
  readonly rows: readonly (readonly object[])[];
  /** Names of the columns that the rows fill, in order. */
  readonly given: readonly (string | undefined)[];
  readonly filled: readonly Column[];
  readonly missing: readonly Column[];
}
