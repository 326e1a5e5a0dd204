import type { InsertStmt } from '@pgsql/types';
import { analyzeAny, namedRelations, namesSystemColumn } from '../../analyze/analyze-statement.ts';
import type { ResultColumn } from '../../analyze/result-table.ts';
import { resultSchema } from '../../analyze/result-table.ts';
import { at } from '../../base/assert.ts';
import type { CatalogTable, Column } from '../../catalog/catalog-snapshot.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { checkReadable, positionColumns } from '../check-select.ts';
import { functionRules } from '../function-rules.ts';
import { assignableType, withoutLength } from '../insert/assignable-type.ts';
import { defaultValue, distributionValueMissing } from '../insert/plan-insert.ts';
import { refused } from '../insert/refused.ts';
import { placerOf } from '../prune.ts';
import { evaluateOnce } from '../select/evaluate-once.ts';
import { unsupported } from '../select/unsupported.ts';
import { refuseDefaults, refuseSequences } from '../sequence-use.ts';
import { withCommonContext } from '../staged/common-context.ts';
import { madeResult } from '../staged/made-result.ts';
import { unheldTypes } from '../staged/query-source.ts';
import { resultColumn } from '../staged/result-column.ts';
import { ResultNames } from '../staged/result-names.ts';
import { type StagedInput, StagedState } from '../staged/staged-state.ts';
import { typedStatement } from '../staged/typed-statement.ts';
import { withoutUnusedCommon } from '../staged/unused-common.ts';
import type { SpreadModify, WrittenRows } from '../statement-plan.ts';
import { readsAlike } from '../typed-parameters.ts';
import { type CheckedCopies, checkedConflicts } from './compare-copies.ts';
import { checkFloats } from './check-floats.ts';
import { checkKeyStays } from './check-key-stays.ts';
import { type InsertTarget, type InsertText, insertText, type TargetColumn } from './insert-text.ts';
import { type LedInsert, ledInsert, ledInsertTable } from './led-insert.ts';
import { pushedDownInsert } from './pushed-down-insert.ts';
import { templateFor } from './template-for.ts';

export interface InsertSelect {
  readonly insert: InsertStmt;
  /** Undefined for a local table. */
  readonly table: CatalogTable | undefined;
  readonly input: StagedInput;
}

/**
 * A plan for an INSERT of the rows of any query: each shard group inserts its own where they are the target's, too; else the query is run as one of its own, and its rows go where they belong,
 * all of them in one statement for each shard.
 */
export async function planInsertSelect(original: Statement, { insert, table, input }: InsertSelect): Promise<SpreadModify> {
  const { columns: returned, parameterTypes } = await input.describe.statement(original.text);
  const led = await ledInsertTable(insert, table, input.describe);
  checkAround(insert, { table, input }, led === undefined ? 'copies' : 'one_node');
  const leading = led === undefined ? undefined : ledInsert(original, insert, { target: led, input });
  const { statement: checked, check }: CheckedCopies = leading === undefined ? checkedConflicts(original, insert, table) : leading;
  const typed = typedStatement(checked, parameterTypes);
  const { statement, evaluated } = await evaluateOnce(typed, parameterTypes.length, input.describe);
  const base = { evaluated, parameters: parameterTypes.length, columns: returned, stages: [], check };
  const written = await insertText(statement, { table, input });
  const pushed = await pushedDownInsert(statement, written, { table, input, parameters: parameterTypes.length + evaluated.length });
  if (pushed !== undefined) return { ...base, ...pushed, evaluated: [...evaluated, ...pushed.evaluated] };
  const moved = await movedInsert(statement, written, { table, input, leading });
  return { ...base, ...moved, site: table === undefined ? 'coordinator' : 'shards', uses: [] };
}

/** What stands around the rows must be computed by the shard that takes them. */
function checkAround(insert: InsertStmt, { table, input }: InsertTarget, copies: 'copies' | 'one_node'): void {
  const around = [insert.onConflictClause, insert.returningClause];
  if (namedRelations(around).length > 0) throw refused('A subquery stands in ON CONFLICT or RETURNING.', 'Run it as a statement of its own.');
  checkFloats(input);
  if (table === undefined) return;
  checkReadable(insert);
  refuseSequences(around);
  if (namesSystemColumn(around, positionColumns)) throw unsupported('A system column means something else on each shard.', 'Leave it out.');
  refuseDefaults(insert.onConflictClause?.targetList ?? [], table, table.kind === 'reference' ? copies : 'shard_groups');
  if (table.kind === 'distributed') checkKeyStays(insert.onConflictClause?.targetList ?? [], table);
  if (insert.override === 'OVERRIDING_USER_VALUE') throw refused('INSERT … OVERRIDING USER VALUE.', 'Leave the identity column out of the column list.');
}

type MovedInsert = Pick<SpreadModify, 'template' | 'rows' | 'follow' | 'readsLocalTables'>;

interface MovedTarget extends InsertTarget {
  readonly leading: LedInsert | undefined;
}

/** The query's rows are read, and then inserted where they belong. */
async function movedInsert(statement: Statement, written: InsertText, { table, input, leading }: MovedTarget): Promise<MovedInsert> {
  const text = withCommonContext(statement, written.select, written.query);
  if (text === undefined) throw refused('The query of the INSERT reads common table expressions that cannot be put in front of it.', 'Write them in the query itself.');
  const names = input.part ?? new ResultNames();
  const state = new StagedState({ input, rules: await functionRules(statement.node, input.describe), resultNames: names, wholeTables: false, atCoordinator: false }, statement, []);
  const { columns } = await state.partInput().describe.statement(text, { collations: true });
  if (columns.some(({ typeOid }) => unheldTypes.has(typeOid))) throw refused('The query of the INSERT gives whole rows.', 'Select their columns.');
  const selected = columns.map((column, i) => resultColumn(`c${i + 1}`, column));
  const given = written.columns.slice(0, selected.length);
  const supplied = table === undefined ? [] : suppliedColumns(table, given.map(({ name }) => name));
  const key = keyOf(table, { given, selected, supplied, input });
  const source = key?.cast === undefined ? text : `SELECT *, CAST(${key.cast.from} AS ${key.cast.to}) FROM (${text}) AS s (${selected.map(({ name }) => name).join(', ')})`;
  const values = supplied.map((column, i): ResultColumn => ({ name: `s${i + 1}`, typeSql: assignableType(column), collation: undefined }));
  const hashed: ResultColumn[] = key?.cast === undefined ? [] : [{ name: 'k', typeSql: key.cast.to, collation: undefined }];
  const held = [...selected, ...hashed, ...values];
  const result = madeResult(names.next(), held, 'rows to insert');
  const read = await state.source(parseOne(source));
  const rows: WrittenRows = {
    result, source: read, supplies: supplied.map(defaultValue),
    key: table?.kind !== 'distributed' ? undefined : { position: key?.position, table, placer: placerOf(table, input.snapshot) },
    everyShard: false,
  };
  const list = table === undefined && written.insert.cols === undefined ? undefined : [...given, ...supplied].map(({ name }) => name);
  const taken = `SELECT ${[...selected, ...values].map(({ name }) => name).join(', ')} FROM ${quoteQualified(resultSchema, result.name)} AS ${quoteIdentifier(result.name)}`;
  const rewritten = withoutUnusedCommon(parseOne(written.with(list, taken)));
  const analyzed = analyzeAny(rewritten.node, state.with({ result, source: read }).partInput().names);
  return { template: templateFor(table)(rewritten, analyzed.uses, analyzed.results), rows, follow: leading?.follow(rewritten, result, names), readsLocalTables: read.kind === 'coordinator' || table === undefined };
}

/** Columns whose defaults the shards cannot compute by themselves, or not alike. */
function suppliedColumns(table: CatalogTable, given: readonly string[]): Column[] {
  return table.columns.filter((column) => {
    if (given.includes(column.name) || column.generated || column.default === undefined) return false;
    if (column.default.kind === 'sequence' || column.default.ofCoordinator === true || (table.kind === 'distributed' && column === table.distributionColumn)) return true;
    return column.default.volatility === 'stable' || (table.kind === 'reference' && column.default.volatility === 'volatile');
  });
}

interface Selected {
  readonly given: readonly TargetColumn[];
  readonly selected: readonly ResultColumn[];
  readonly supplied: readonly Column[];
  readonly input: StagedInput;
}

interface RowKey {
  /** Of the value that rows are placed by, among the columns of the result. */
  readonly position: number;
  /** Where the query's column has another type than the distribution column. */
  readonly cast: { readonly from: string; readonly to: string } | undefined;
}

/** Types that a session's settings may write in other ways. */
export const styledTypes = /^(date|timestamp|time|interval|bytea)/;

function keyOf(table: CatalogTable | undefined, { given, selected, supplied, input }: Selected): RowKey | undefined {
  if (table?.kind !== 'distributed' || table.distributionColumn === undefined) return undefined;
  const column = table.distributionColumn;
  const to = assignableType(column);
  if (input.finishing !== undefined && input.finishing !== 'application' && styledTypes.test(to)) {
    throw refused('Values of the distribution column would be written in a style of this session.', 'RESET DateStyle, IntervalStyle and bytea_output.');
  }
  const place = given.findIndex(({ name }) => name === column.name);
  if (place < 0) {
    const defaulted = supplied.indexOf(column);
    if (defaulted < 0) throw distributionValueMissing(table, column);
    return { position: selected.length + defaulted, cast: undefined };
  }
  const from = withoutLength(at(selected, place).typeSql);
  return from === to || (readsAlike(from, to) && wholeNumbers.test(from)) ? { position: place, cast: undefined } : { position: selected.length, cast: { from: at(selected, place).name, to } };
}

/** Written alike, whatever their size. */
const wholeNumbers = /^(smallint|integer|bigint|int2|int4|int8|pg_catalog\.int[248])$/;
