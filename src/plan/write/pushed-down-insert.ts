import type { Node } from '@pgsql/types';
import { analyzeAny } from '../../analyze/analyze-statement.ts';
import { isOfCoordinator, type DistributedTable } from '../../catalog/catalog-snapshot.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import type { EvaluatedExpression } from '../fan-out.ts';
import { functionRules } from '../function-rules.ts';
import { assignableType } from '../insert/assignable-type.ts';
import { certainUses, prunableUses } from '../prunable-uses.ts';
import { changesSequence } from '../sequence-use.ts';
import { writeTemplate } from '../shard-template.ts';
import type { SpreadModify } from '../statement-plan.ts';
import type { InsertTarget, InsertText } from './insert-text.ts';

type PushedInsert = Pick<SpreadModify, 'template' | 'uses' | 'site' | 'rows' | 'readsLocalTables' | 'evaluated'>;

/**
 * The INSERT as each shard group can do it for itself: when the query's rows are those of each shard group alone, and keep the value of the distribution column in a table of the same
 * colocation group. Undefined otherwise. `parameters`: how many there are; stable defaults, such as now(), become further ones, so that all rows have one value.
 */
export async function pushedDownInsert(statement: Statement, written: InsertText, { table, input, parameters }: InsertTarget & { readonly parameters: number }): Promise<PushedInsert | undefined> {
  const { insert, select, columns } = written;
  if (table?.kind !== 'distributed' || select.valuesLists !== undefined || insert.withClause !== undefined) return undefined;
  // Values are taken in that order, of all rows.
  if (select.sortClause !== undefined && changesSequence(select)) return undefined;
  const node: Node = { SelectStmt: select };
  const source = analyzeAny(node, input.names, await functionRules(node, input.describe));
  const { query, placed: { whole }, foreign } = source;
  const given = columns.slice(0, query.outputs?.length ?? 0).map(({ name }) => name);
  if (foreign.length > 0 || whole.kind !== 'by_shard' || whole.colocation !== table.colocationId) return undefined;
  if (table.distributionColumn !== undefined) {
    const output = query.outputs?.[given.indexOf(table.distributionColumn.name)];
    if (output === undefined || !whole.keys.has(output.id) || table.distributionColumn.type.modifier >= 0) return undefined;
  }
  const defaults = sharedDefaults(table, given, parameters);
  const uses = await certainUses(prunableUses(source, input.snapshot), statement, input.describe);
  if (uses === undefined || defaults === undefined) return undefined;
  const values = defaults.map(({ number, typeSql }) => `CAST($${number} AS ${typeSql})`).join(', ');
  const rewritten = defaults.length === 0 ? statement : parseOne(written.with([...given, ...defaults.map(({ name }) => name)], `SELECT s.*, ${values} FROM (${written.query}) AS s`));
  const analyzed = analyzeAny(rewritten.node, input.names);
  return { template: writeTemplate(rewritten, analyzed.uses, analyzed.results), uses, site: 'shards', rows: undefined, readsLocalTables: false, evaluated: defaults };
}

interface SharedDefault extends EvaluatedExpression {
  readonly name: string;
  readonly typeSql: string;
}

/** Defaults of left-out columns that must be one value for all shards; undefined when some column takes its values from the coordinator database. */
function sharedDefaults(table: DistributedTable, given: readonly string[], parameters: number): SharedDefault[] | undefined {
  const left = table.columns.filter((column) => !given.includes(column.name) && !column.generated);
  if (left.some((column) => isOfCoordinator(column.default))) return undefined;
  const stable = left.filter((column) => column.default?.kind === 'expression' && column.default.volatility === 'stable');
  return stable.map((column, i) => {
    const typeSql = assignableType(column);
    const sql = column.default?.kind === 'expression' ? column.default.sql : 'NULL';
    return { name: column.name, typeSql, sql: `CAST((${sql}) AS ${typeSql})`, number: parameters + i + 1 };
  });
}
