import type { MergeStmt, MergeWhenClause } from '@pgsql/types';
import { at } from '../../base/assert.ts';
import { isOfCoordinator, type CatalogTable, type Column } from '../../catalog/catalog-snapshot.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { afterGroup, scanTokens, type Token, tokenAt } from '../../sql/scan.ts';
import { applyEdits, type Edit, fillTemplate } from '../../sql/template.ts';
import type { EvaluatedExpression } from '../fan-out.ts';
import { assignableType } from '../insert/assignable-type.ts';
import { refused } from '../insert/refused.ts';
import { sourceName } from './merge-source.ts';

export interface FilledMerge {
  readonly statement: Statement;
  readonly evaluated: readonly EvaluatedExpression[];
  /** Columns whose values come from the coordinator database, as from sequences: the source must bring them, one for each of its rows, as columns called by `suppliedName`. */
  readonly supplied: readonly Column[];
}

/** What the source calls a column that brings values for column `index` of those supplied. */
export function suppliedName(index: number): string {
  return `shardwright_value_${index + 1}`;
}

/** The columns that an INSERT of a MERGE gives values for, by name. */
export function columnsOfInsert({ targetList, values = [] }: MergeWhenClause, { columns }: CatalogTable): string[] {
  if (targetList !== undefined) return targetList.map((item) => ('ResTarget' in item ? (item.ResTarget.name ?? '') : ''));
  return columns.slice(0, values.length).map(({ name }) => name);
}

/** The clauses that insert rows, in order. */
export function insertsOf({ mergeWhenClauses = [] }: MergeStmt): MergeWhenClause[] {
  return mergeWhenClauses.flatMap((node) => ('MergeWhenClause' in node && node.MergeWhenClause.commandType === 'CMD_INSERT' ? [node.MergeWhenClause] : []));
}

/** With the defaults of columns that its INSERTs leave out, where servers would not compute them alike: as parameters from `parameters` + 1 on, or as columns of the source. */
export function withDefaults(statement: Statement, merge: MergeStmt, table: CatalogTable, parameters: number): FilledMerge {
  const filling = new Filling(table, { parameters, source: sourceName(merge) });
  const tokens = scanTokens(statement.text);
  const places = insertPlaces(tokens, tokenAt(tokens, statement.source.index(merge.relation?.location ?? 0)));
  const edits = insertsOf(merge).flatMap((insert, i): Edit<never>[] => {
    const given = columnsOfInsert(insert, table);
    const added = table.columns.filter((column) => !given.includes(column.name) && differs(column, table));
    const asked = (insert.values ?? []).flatMap((value, place): Edit<never>[] => {
      const column = 'SetToDefault' in value ? table.columns.find(({ name }) => name === given[place]) : undefined;
      if (column === undefined || !('SetToDefault' in value) || !differs(column, table)) return [];
      const { start, end } = at(tokens, tokenAt(tokens, statement.source.index(value.SetToDefault.location ?? 0)));
      return [{ start, end, parts: [filling.valueOf(column)] }];
    });
    if (added.length === 0) return asked;
    if (insert.values === undefined) throw refused('INSERT DEFAULT VALUES in a MERGE into a table with defaults that nodes cannot compute alike.', 'Name the columns, and give a value for each.');
    const { list, valuesEnd } = at(places, i);
    const names = added.map(({ name }) => quoteIdentifier(name)).join(', ');
    const listed = list.end === undefined ? { index: list.start, text: ` (${[...given.map(quoteIdentifier), names].join(', ')})` } : { index: list.end, text: `, ${names}` };
    const values = added.map((column) => filling.valueOf(column)).join(', ');
    return [...asked, { start: listed.index, end: listed.index, parts: [listed.text] }, { start: valuesEnd, end: valuesEnd, parts: [`, ${values}`] }];
  });
  const { evaluated, supplied } = filling;
  return { statement: edits.length === 0 ? statement : parseOne(fillTemplate(applyEdits<never>(statement.text, edits), () => '')), evaluated, supplied };
}

class Filling {
  readonly evaluated: EvaluatedExpression[] = [];
  readonly supplied: Column[] = [];

  constructor(
    private readonly table: CatalogTable,
    private readonly how: { readonly parameters: number; readonly source: string | undefined },
  ) {}

  valueOf(column: Column): string {
    const { default: value } = column;
    if (value?.kind === 'expression' && !isOfCoordinator(value)) {
      const typeSql = assignableType(column);
      const number = this.how.parameters + this.evaluated.length + 1;
      this.evaluated.push({ sql: `CAST((${value.sql}) AS ${typeSql})`, number });
      return `CAST($${number} AS ${typeSql})`;
    }
    const { source } = this.how;
    if (this.table.kind === 'reference' || source === undefined) {
      throw refused(`Column "${column.name}" takes its values from a sequence of the coordinator database.`, 'Give a value for it in the INSERT of the MERGE.');
    }
    const known = this.supplied.indexOf(column);
    if (known < 0) this.supplied.push(column);
    return `${quoteIdentifier(source)}.${suppliedName(known < 0 ? this.supplied.length - 1 : known)}`;
  }
}

function differs({ name, generated, default: value }: Column, { kind }: CatalogTable): boolean {
  if (generated || value === undefined) return false;
  if (value.kind === 'sequence' || value.ofCoordinator === true) return true;
  if (kind === 'reference' && value.volatility === 'volatile') throw refused(`The default of column "${name}" would differ from copy to copy.`, 'Give a value for it in the INSERT of the MERGE.');
  return value.volatility === 'stable';
}

interface InsertPlace {
  /** Where the column list could start, and the parenthesis that ends it if there is one. */
  readonly list: { readonly start: number; readonly end: number | undefined };
  /** The parenthesis that ends the values. */
  readonly valuesEnd: number;
}

/** Each THEN INSERT with values, outside of parentheses. */
function insertPlaces(tokens: readonly Token[], from: number): InsertPlace[] {
  const found: InsertPlace[] = [];
  for (let i = from; i < tokens.length; i = at(tokens, i).text === '(' ? afterGroup(tokens, i) : i + 1) {
    if (at(tokens, i).text.toUpperCase() !== 'INSERT' || tokens[i - 1]?.text.toUpperCase() !== 'THEN') continue;
    const listEnd = tokens[i + 1]?.text === '(' ? afterGroup(tokens, i + 1) - 1 : undefined;
    let values = (listEnd ?? i) + 1;
    while (tokens[values] !== undefined && tokens[values]?.text !== '(') values += 1;
    found.push({
      list: { start: at(tokens, i).end, end: listEnd === undefined ? undefined : at(tokens, listEnd).start },
      valuesEnd: tokens[values] === undefined ? at(tokens, i).end : at(tokens, afterGroup(tokens, values) - 1).start,
    });
  }
  return found;
}
