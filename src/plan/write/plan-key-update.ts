import type { Node, UpdateStmt } from '@pgsql/types';
import { analyzeAny, namedRelations, namesSystemColumn } from '../../analyze/analyze-statement.ts';
import { RelationNames } from '../../analyze/relation-names.ts';
import type { ResultColumn } from '../../analyze/result-table.ts';
import { resultSchema } from '../../analyze/result-table.ts';
import { present } from '../../base/assert.ts';
import type { Column, DistributedTable } from '../../catalog/catalog-snapshot.ts';
import { nameParts, relationAlias, walk } from '../../sql/ast.ts';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { assignableType } from '../insert/assignable-type.ts';
import { positionColumns } from '../check-select.ts';
import { refused } from '../insert/refused.ts';
import { placerOf } from '../prune.ts';
import { unsupported } from '../select/unsupported.ts';
import { writeTemplate } from '../shard-template.ts';
import { describeParts } from '../staged/describe-parts.ts';
import { madeResult } from '../staged/made-result.ts';
import { ResultNames } from '../staged/result-names.ts';
import type { StagedInput } from '../staged/staged-state.ts';
import type { ModifyPlan, SpreadModify, WrittenRows } from '../statement-plan.ts';
import { checkFloats } from './check-floats.ts';
import { updateText } from './update-text.ts';

export interface KeyUpdate {
  readonly table: DistributedTable;
  readonly input: StagedInput;
  /** Plans the DELETE that gives the rows as they will be. */
  readonly planDelete: (statement: Statement) => Promise<ModifyPlan>;
}

/**
 * UPDATE of the distribution column: the rows are deleted where they are, which gives them as they will be, and inserted where they then belong. All in one transaction. Not of a table that foreign
 * keys point to: deleting a row might take others with it.
 */
export async function planKeyUpdate(original: Statement, update: UpdateStmt, { table, input, planDelete }: KeyUpdate): Promise<SpreadModify> {
  checkMoves(table);
  const description = await input.describe.statement(original.text);
  const alias = relationAlias(present(update.relation, 'target'));
  checkFloats(input);
  checkReturning(update, alias);
  const text = updateText(original, update);
  const columns = table.columns.filter(({ generated }) => !generated);
  const list = columns.map((column) => newValue(column, { assigned: text.assigned.get(column.name), alias, isKey: column === table.distributionColumn })).join(', ');
  const deleting = text.deleting(list);
  const plan = await planDelete(deleting);
  // What is stored has no collation of its own.
  const returned = (await describeParts(input.describe, input.names.results).statement(deleting.text)).columns;
  const held = returned.map(({ typeSql }, i): ResultColumn => ({ name: `c${i + 1}`, typeSql, collation: undefined }));
  const position = columns.indexOf(present(table.distributionColumn));
  const result = madeResult((input.part ?? new ResultNames()).next(), held, 'updated rows');
  const rows: WrittenRows = {
    result, source: { kind: 'write', plan }, supplies: [], key: { position, table, placer: placerOf(table, input.snapshot) }, everyShard: false,
  };
  const inserting = parseOne(
    `INSERT INTO ${targetSql(table, update, alias)} (${columns.map(({ name }) => quoteIdentifier(name)).join(', ')}) SELECT ${held.map(({ name }) => name).join(', ')} FROM ${quoteQualified(resultSchema, result.name)} AS ${quoteIdentifier(result.name)} ${text.returning}`,
  );
  const analyzed = analyzeAny(inserting.node, new RelationNames(input.snapshot, input.names.searchPath, new Map([[result.name, result]])));
  return {
    template: writeTemplate(inserting, analyzed.uses, analyzed.results), evaluated: [], parameters: description.parameterTypes.length, columns: description.columns, stages: [], rows,
    site: 'shards', uses: [], unreferenced: table, readsLocalTables: false,
  };
}

/** What is meant for an update must not be done for a deletion and an insertion. */
function checkMoves({ name, rowSecurity, rowTriggers }: DistributedTable): void {
  if (!rowSecurity && !rowTriggers) return;
  const what = rowTriggers ? 'triggers' : 'row level security';
  throw refused(`The distribution column of table "${name}" is set, which moves rows by deleting and inserting them, and the table has ${what}.`, 'Delete the row and insert it anew.');
}

/** The target of the INSERT under the name that RETURNING has for it. */
function targetSql({ schema, name }: DistributedTable, { relation }: UpdateStmt, alias: string): string {
  return `${quoteQualified(schema, name)}${relation?.alias === undefined ? '' : ` AS ${quoteIdentifier(alias)}`}`;
}

interface Assignment {
  readonly assigned: string | undefined;
  readonly alias: string;
  /** Rows are placed by the value, so that it must have the column's type. */
  readonly isKey: boolean;
}

function newValue(column: Column, { assigned, alias, isKey }: Assignment): string {
  if (assigned === undefined) return `${quoteIdentifier(alias)}.${quoteIdentifier(column.name)}`;
  if (/^default$/i.test(assigned)) {
    if (column.default === undefined) return `CAST(NULL AS ${assignableType(column)})`;
    // Whoever writes the table needs no right to the sequence of an identity column.
    if (column.identity !== 'none') throw refused(`Column "${column.name}" is set to its default beside the distribution column, and is an identity column.`, 'Pass the value as a parameter.');
    if (column.default.kind === 'sequence') return `CAST(nextval(${quoteLiteral(column.default.sequence)}) AS ${assignableType(column)})`;
    return `(${column.default.sql})`;
  }
  return isKey || isUntyped(assigned) ? `CAST((${assigned}) AS ${assignableType(column)})` : `(${assigned})`;
}

/** A string constant, NULL or a parameter by itself has the column's type. */
function isUntyped(value: string): boolean {
  const { node } = parseOne(`SELECT ${value}`);
  const target = 'SelectStmt' in node ? node.SelectStmt.targetList?.[0] : undefined;
  const item: Node | undefined = target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined;
  if (item === undefined) return false;
  return 'ParamRef' in item || ('A_Const' in item && (item.A_Const.sval !== undefined || item.A_Const.isnull === true));
}

/** RETURNING is computed by the INSERT: from the new rows alone. */
function checkReturning({ returningClause, fromClause }: UpdateStmt, alias: string): void {
  if (returningClause === undefined) return;
  if (namesSystemColumn(returningClause, positionColumns)) throw unsupported('A system column means something else on each shard.', 'Leave it out.');
  if (namedRelations(returningClause).length > 0) throw refused('A subquery stands in RETURNING of an UPDATE that sets the distribution column.', 'Run it as a statement of its own.');
  walk(returningClause, (kind, body) => {
    if (kind === 'ReturningOption') throw oldRows();
    const parts = kind === 'ColumnRef' && 'fields' in body ? nameParts(body.fields as Node[]) : [];
    const qualifier = parts.at(-2);
    const row = parts.length === 1 ? parts[0] : qualifier;
    if ((row === 'old' || row === 'new') && row !== alias) throw oldRows();
    if (fromClause !== undefined && parts.length > 0 && qualifier !== alias) throw refused('RETURNING of an UPDATE that sets the distribution column names columns of FROM.', `Name columns of "${alias}" only, with its name in front.`);
    return undefined;
  });
}

function oldRows(): Error {
  return refused('RETURNING of an UPDATE that sets the distribution column asks for old and new rows.', 'Return the new values alone.');
}
