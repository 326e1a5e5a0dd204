import type { ColumnRef, Node, RangeVar, SelectStmt } from '@pgsql/types';
import type { AnalyzedStatement } from '../../analyze/analyze-statement.ts';
import type { SelectQuery } from '../../analyze/query-level.ts';
import { levelsIn } from '../../analyze/reads-around.ts';
import type { Relation } from '../../analyze/relation.ts';
import { resolveColumn, resolveRelation, type Scope } from '../../analyze/scope.ts';
import { at } from '../../base/assert.ts';
import { sqlStateOf } from '../../base/errors.ts';
import { nameParts, walk } from '../../sql/ast.ts';
import { firstLocation } from '../../sql/first-location.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { scanTokens, tokenAt } from '../../sql/scan.ts';
import { applyEdits, type Edit, fillTemplate } from '../../sql/template.ts';
import type { Describe } from '../describe.ts';
import { NameCutter } from '../name-cutter.ts';

/** More columns than one relation may have. */
const columnsMax = 2_000;

/**
 * The statement with every column grouped by that PostgreSQL takes ungrouped because a grouped primary key tells it: an intermediate result has no such key. PostgreSQL itself says which
 * those are, of the statement over tables without keys. The groups stay the same.
 */
export async function withDependents(statement: Statement, analyze: (statement: Statement) => AnalyzedStatement, describe: Describe): Promise<Statement> {
  let reached = statement;
  for (let columns = 0; columns < columnsMax; columns += 1) {
    const analyzed = analyze(reached);
    const levels = levelsIn(analyzed.query);
    if (!levels.some((level) => (level.statement.groupClause ?? []).length > 0)) return statement;
    const index = await ungroupedColumn(reached, analyzed, describe);
    if (index === undefined) return reached;
    const grouped = groupedBy(reached, levels, index);
    if (grouped === undefined) return statement;
    reached = grouped;
  }
  return statement;
}

/** Where in the text the first column stands that would not be known to depend on its group; undefined when there is none. */
async function ungroupedColumn(statement: Statement, { uses }: AnalyzedStatement, describe: Describe): Promise<number | undefined> {
  const cutter = new NameCutter(statement);
  const written = writtenRelation(statement.node);
  const named = uses.filter(({ rangeVar }) => rangeVar !== written).map(({ rangeVar, table: { schema, name } }) => ({ rangeVar, schema, name }));
  const edits = [
    ...named.map(({ rangeVar, schema, name }) => cutter.relationEdit<never>(rangeVar, `(SELECT * FROM ${quoteQualified(schema, name)})`)),
    ...cutter.columnEdits(named),
  ];
  const text = fillTemplate(applyEdits<never>(statement.text, edits), () => '');
  try {
    await describe.attempt(text);
    return undefined;
  } catch (error) {
    const position = sqlStateOf(error) === groupingError && typeof error === 'object' && error !== null && 'position' in error ? Number(error.position) : undefined;
    return position === undefined ? undefined : indexBefore(edits, Array.from(text).slice(0, position - 1).join('').length);
  }
}

const groupingError = '42803';

/** No query can stand where a write names its table, whose columns are in no group. */
function writtenRelation(node: Node): RangeVar | undefined {
  if ('UpdateStmt' in node) return node.UpdateStmt.relation;
  if ('DeleteStmt' in node) return node.DeleteStmt.relation;
  if ('InsertStmt' in node) return node.InsertStmt.relation;
  return 'MergeStmt' in node ? node.MergeStmt.relation : undefined;
}

/** An index in the edited text as one in the text before. */
function indexBefore(edits: readonly Edit<never>[], index: number): number {
  let shift = 0;
  for (const { start, end, parts } of [...edits].sort((a, b) => a.start - b.start)) {
    if (start + shift >= index) break;
    shift += parts.join('').length - (end - start);
  }
  return index - shift;
}

/** With the column that stands at `index` among the groups of the level that it is of. */
function groupedBy(statement: Statement, levels: readonly SelectQuery[], index: number): Statement | undefined {
  const found = columnAt(statement, levels, index);
  const owner = found === undefined ? undefined : ownerOf(levels, found);
  const first = firstLocation(owner?.statement.groupClause);
  const names = found === undefined || owner === undefined ? [] : groupNames(owner.scope, found.fields);
  if (first === undefined || names.length === 0) return undefined;
  const tokens = scanTokens(statement.text);
  let group = tokenAt(tokens, statement.source.index(first));
  while (at(tokens, group).text.toUpperCase() !== 'GROUP') group -= 1;
  // GROUP BY DISTINCT and GROUP BY ALL are about grouping sets.
  const last = quantifiers.has(at(tokens, group + 2).text.toUpperCase()) ? group + 2 : group + 1;
  const { end } = at(tokens, last);
  return parseOne(`${statement.text.slice(0, end)} ${names.join(', ')},${statement.text.slice(end)}`);
}

const quantifiers: ReadonlySet<string> = new Set(['ALL', 'DISTINCT']);

interface FoundColumn {
  readonly fields: readonly Node[];
  /** Of the level that it stands in. */
  readonly scope: Scope;
}

/** The innermost level that holds the column reference. */
function columnAt(statement: Statement, levels: readonly SelectQuery[], index: number): FoundColumn | undefined {
  let found: FoundColumn | undefined;
  let smallest = Infinity;
  for (const { statement: select, scope } of levels) {
    const columns = columnsIn(select);
    const column = columns.find(({ location }) => statement.source.index(location ?? 0) === index);
    if (column === undefined || columns.length > smallest) continue;
    smallest = columns.length;
    found = { fields: column.fields ?? [], scope };
  }
  return found;
}

function columnsIn(tree: SelectStmt): ColumnRef[] {
  const found: ColumnRef[] = [];
  walk(tree, (kind, body) => {
    if (kind === 'ColumnRef') found.push(body);
    return undefined;
  });
  return found;
}

function ownerOf(levels: readonly SelectQuery[], { fields, scope }: FoundColumn): SelectQuery | undefined {
  for (let around: Scope | undefined = scope; around !== undefined; around = around.outer) {
    const own = { ...around, outer: undefined };
    if (groupNames(own, fields).length > 0) return levels.find((level) => level.scope === around);
  }
  return undefined;
}

/** What a reference stands for, as items of GROUP BY; none where it is not of this level. */
function groupNames(scope: Scope, fields: readonly Node[]): string[] {
  const parts = nameParts(fields);
  if (resolveColumn(scope, fields) !== undefined) return [parts.map(quoteIdentifier).join('.')];
  if (parts.at(-1) === '*') {
    const relation = resolveRelation(scope, parts.slice(0, -1));
    return (parts.length === 1 ? scope.relations : relation === undefined ? [] : [relation]).flatMap(columnNames);
  }
  // A whole row.
  const row = resolveRelation(scope, parts);
  return row === undefined ? [] : [quoteIdentifier(row.alias)];
}

function columnNames({ alias, columns = [] }: Relation): string[] {
  return columns.map(({ name }) => `${quoteIdentifier(alias)}.${quoteIdentifier(name)}`);
}
