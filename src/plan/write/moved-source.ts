import type { Node } from '@pgsql/types';
import { analyzeAny } from '../../analyze/analyze-statement.ts';
import { anyEqual } from '../../analyze/facts.ts';
import { actsOn } from '../../analyze/build-write.ts';
import { RelationNames } from '../../analyze/relation-names.ts';
import type { ResultColumn, ResultTable } from '../../analyze/result-table.ts';
import { resultSchema } from '../../analyze/result-table.ts';
import { at } from '../../base/assert.ts';
import type { Column, DistributedTable } from '../../catalog/catalog-snapshot.ts';
import { nameParts, walk } from '../../sql/ast.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { assignableType } from '../insert/assignable-type.ts';
import { columnTypeName, defaultValue } from '../insert/plan-insert.ts';
import { refused } from '../insert/refused.ts';
import { placerOf } from '../prune.ts';
import { withCommonContext } from '../staged/common-context.ts';
import { madeResult } from '../staged/made-result.ts';
import { unheldTypes } from '../staged/query-source.ts';
import { resultColumn } from '../staged/result-column.ts';
import type { StagedState } from '../staged/staged-state.ts';
import { withoutUnusedCommon } from '../staged/unused-common.ts';
import type { WrittenRows } from '../statement-plan.ts';
import { readsAlike } from '../typed-parameters.ts';
import { suppliedName } from './merge-defaults.ts';
import { mergeOf, mergeSource, sourceName } from './merge-source.ts';
import { targetUse } from './target-of-write.ts';

export interface MovedSource {
  readonly state: StagedState;
  readonly rows: WrittenRows;
}

/** The MERGE with its source run first, and each of its rows sent to the shard where rows of the target could match it, with values for `supplied` columns. */
export async function movedSource(state: StagedState, target: DistributedTable, supplied: readonly Column[]): Promise<MovedSource> {
  const { statement } = state;
  const merge = mergeOf(statement);
  const found = mergeSource(statement, merge);
  const text = withCommonContext(statement, found.select, found.text);
  if (text === undefined) throw refused('The source of the MERGE reads common table expressions that cannot be put in front of it.', 'Write them in the source itself.');
  const { describe } = state.partInput();
  const { columns } = await describe.statement(text, { collations: true });
  if (new Set(columns.map(({ name }) => name)).size < columns.length) throw refused('Two columns of the source of the MERGE have one name.', 'Give them different ones.');
  if (columns.some(({ typeOid }) => unheldTypes.has(typeOid))) throw refused('The source of the MERGE gives whole rows.', 'Select their columns.');
  const alias = sourceName(merge);
  if (alias === undefined) throw refused('The source of the MERGE has no name.', 'Write it as a subquery with an alias.');
  checkColumnsOnly(statement, { alias, columns: columns.map(({ name }) => name), hasMore: supplied.length > 0 });
  const held = [
    ...columns.map((column) => resultColumn(column.name, column)),
    ...supplied.map((column, i): ResultColumn => ({ name: suppliedName(i), typeSql: assignableType(column), collation: undefined })),
  ];
  const undistributed = madeResult(state.context.resultNames.next(), held, 'source of the merge');
  const rewritten = withoutUnusedCommon(withSource(statement, found.extent, `${quoteQualified(resultSchema, undistributed.name)} AS ${quoteIdentifier(alias)}`));
  const position = target.distributionColumn === undefined ? undefined : placeOfKey(rewritten, undistributed, { state, key: target.distributionColumn });
  const result: ResultTable = { ...undistributed, distribution: position === undefined ? undefined : { colocation: target.colocationId, column: position } };
  const source = await state.source(parseOne(text));
  const rows: WrittenRows = {
    result, source, supplies: supplied.map(defaultValue), key: { position, table: target, placer: placerOf(target, state.context.input.snapshot), nulls: target.distributionColumn?.notNull === true ? 'first_shard' : undefined }, everyShard: actsOn(merge, 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE'),
  };
  return { state: state.with({ result, source }).rewritten(rewritten), rows };
}

/** The result that stands in its place is of another type, and has more columns where values are supplied. */
function checkColumnsOnly({ node }: Statement, { alias, columns, hasMore }: { readonly alias: string; readonly columns: readonly string[]; readonly hasMore: boolean }): void {
  const { sourceRelation: _source, ...rest } = mergeOf({ node });
  walk(rest, (kind, body) => {
    const parts = kind === 'ColumnRef' && 'fields' in body ? nameParts(body.fields as Node[]) : [];
    const isRow = parts.length === 1 && parts[0] === alias && !columns.includes(alias);
    if (parts.length > 0 && (isRow || (hasMore && parts.at(-1) === '*' && (parts.length === 1 || parts.at(-2) === alias)))) {
      throw refused('The MERGE names the source as a whole row, or all of its columns by a star.', 'Name the columns.');
    }
    return undefined;
  });
}

function withSource({ text }: Statement, { start, end }: { readonly start: number; readonly end: number }, source: string): Statement {
  return parseOne(`${text.slice(0, start)}${source}${text.slice(end)}`);
}

/** The column of the source that ON compares the target's distribution column with. */
function joinedColumn(statement: Statement, result: ResultTable, { context: { input, rules }, results }: StagedState): number | undefined {
  const names = new RelationNames(input.names.snapshot, input.names.searchPath, new Map([...results, [result.name, result]]));
  const analyzed = analyzeAny(statement.node, names, rules);
  const { query } = analyzed;
  const key = targetUse(statement, analyzed)?.key;
  if (key === undefined || query.kind !== 'select' || query.from.kind !== 'join' || query.from.right.kind !== 'result') return undefined;
  const { facts, right: { relation } } = query.from;
  const position = result.columns.findIndex((_, i) => anyEqual(facts, new Set([key]), new Set([relation.firstColumn + i])));
  return position < 0 ? undefined : position;
}

interface Keyed {
  readonly state: StagedState;
  /** The distribution column. */
  readonly key: Column;
}

/** The place, among the columns of the result, of the value that rows are placed by. */
function placeOfKey(statement: Statement, result: ResultTable, { state, key }: Keyed): number {
  const position = joinedColumn(statement, result, state);
  if (position === undefined) throw refused('The MERGE inserts rows, and ON does not compare the distribution column with a column of the source.', `Compare "${key.name}" with a column of the source by "=".`);
  checkType(at(result.columns, position), key);
  return position;
}

/** Values that are equal must have one hash. */
function checkType({ name, typeSql }: ResultColumn, key: Column): void {
  const from = typeSql.replace(/\(.*\)/, '');
  const to = columnTypeName(key);
  if (from === to || readsAlike(from, to)) return;
  throw refused(`Column "${name}" of the source has type ${from}, and the distribution column ${to}.`, `Cast it to ${to} in the source.`);
}
