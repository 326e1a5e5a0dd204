import type { Node, SelectStmt } from '@pgsql/types';
import type { AnalyzedStatement } from '../analyze/analyze-statement.ts';
import { namedRelations, namesSystemColumn } from '../analyze/analyze-statement.ts';
import { collectCalls } from '../analyze/function-calls.ts';
import type { RelationNames } from '../analyze/relation-names.ts';
import type { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { builtinName, holds, nameParts, relationAlias, walk } from '../sql/ast.ts';
import type { Statement } from '../sql/parse.ts';
import { refusal, unsupported } from './select/unsupported.ts';

/** Calls of currval whose sequence depends on a row, or which stand where the session cannot answer them: the coordinator database does not know of values that are given out in blocks. */
export function checkSequenceCalls(select: SelectStmt, { tables }: CatalogSnapshot): void {
  collectCalls(select, (call) => {
    const name = builtinName(call.funcname);
    if (name !== 'currval' && name !== 'lastval') return true;
    const [argument] = call.args ?? [];
    const asked = argument !== undefined && 'A_Const' in argument ? argument.A_Const.sval?.sval : undefined;
    for (const { columns } of tables.values()) {
      for (const column of columns) {
        if (column.default?.kind !== 'sequence' || (asked !== undefined && !column.default.sequence.endsWith(asked.split('.').at(-1) ?? ''))) continue;
        throw unsupported(`Sequence ${column.default.sequence} fills a distributed or reference table: its values are taken in blocks.`, 'Name the sequence by a constant or a parameter, or use INSERT … RETURNING.');
      }
    }
    return true;
  }, true);
}

export function obstacleOf({ placed }: AnalyzedStatement): ClusterError {
  if (placed.rows.kind === 'scattered') return refusal(placed.rows.obstacle);
  if (placed.whole.kind === 'scattered') return refusal(placed.whole.obstacle);
  return unsupported('The statement reads distributed tables in a place that cannot be distributed yet.', 'Filter by the distribution column, or split the statement.');
}

export function checkViews({ foreign }: Pick<AnalyzedStatement, 'foreign'>, names: RelationNames): void {
  for (const { rangeVar } of foreign) {
    if (names.dependentView(rangeVar.schemaname, rangeVar.relname ?? '') === undefined) continue;
    throw unsupported(`View "${rangeVar.relname ?? ''}" reads distributed or reference tables, and is named where it cannot be put in yet.`, 'Write the view\'s query in its place.');
  }
}

/** What the analysis did not look at would be read from the empty shells. */
export function checkOverlooked({ overlooked, writesInside }: AnalyzedStatement, names: RelationNames): void {
  checkViews({ foreign: overlooked.map((rangeVar) => ({ rangeVar })) }, names);
  const table = overlooked.find(({ schemaname, relname }) => names.resolve(schemaname, relname ?? '') !== undefined);
  if (table === undefined) return;
  if (writesInside) throw unsupported('A common table expression writes.', 'Run it as a statement of its own.');
  throw unsupported(`Table "${table.relname ?? ''}" is named in a clause that cannot be distributed yet.`, 'Run the clause as a statement of its own, and pass its result as parameters.');
}

const shardColumns: ReadonlySet<string> = new Set(['tableoid']);
export const positionColumns: ReadonlySet<string> = new Set(['tableoid', 'ctid', 'xmin', 'xmax', 'cmin', 'cmax']);

/** Functions whose answer depends on what tables there are. */
const namingTables: ReadonlySet<string> = new Set(['to_regclass', 'to_regtype', 'to_regtypemod']);

/** What these do, they do to the session in which they run. */
const actingOnSession = /^(pg_(try_)?advisory_|pg_notify$|pg_export_snapshot$|set_config$|setseed$)/;

/** For statements that run on nodes, in sessions that are not the caller's. */
export function refuseSessionCalls(tree: unknown): void {
  collectCalls(tree, (call) => {
    const name = builtinName(call.funcname) ?? '';
    if (name === 'current_query') throw unsupported('current_query() would give the text that a server of the cluster gets.', 'Pass the text as a parameter.');
    if (actingOnSession.test(name)) throw unsupported(`${name}() would act in a session of a node, and yours is in the coordinator database.`, 'Call it in a statement of its own, without distributed or reference tables.');
    return true;
  }, true);
}

export function checkReadable(tree: unknown): void {
  refuseSessionCalls(tree);
  collectCalls(tree, (call) => {
    const name = builtinName(call.funcname) ?? '';
    if (namingTables.has(name)) throw unsupported(`${name}() would look for tables on a node, which has shards.`, 'Ask in a statement of its own, without distributed or reference tables.');
    if (name === 'pg_typeof' && namesWholeRow(call.args, tree)) throw unsupported('pg_typeof() of a whole row would show the type of a shard.', 'Leave it out.');
    return true;
  }, true);
  if (namesSystemColumn(tree, shardColumns)) throw unsupported('System column "tableoid" would show shards.', 'Leave it out.');
}

function namesWholeRow(args: unknown, tree: unknown): boolean {
  const aliases = new Set(namedRelations(tree).map(relationAlias));
  let found = false;
  walk(args, (kind, body) => {
    const parts = kind === 'ColumnRef' && 'fields' in body ? nameParts(body.fields as Node[]) : [];
    found ||= aliases.has(parts.at(-1) ?? '') || (parts.length > 1 && parts.at(-1) === '*');
    return undefined;
  });
  return found;
}

/** The tables named in queries that lock rows: these must be read where the rows are. */
export function lockedTables({ node }: Statement): ReadonlySet<object> {
  const found = new Set<object>();
  walk(node, (kind, body) => {
    if (kind === 'SelectStmt' && 'lockingClause' in body) for (const relation of namedRelations(body)) found.add(relation);
    return undefined;
  });
  return found;
}

/** FOR UPDATE and the like, at any level. */
export function locksRows({ node, text }: Statement): boolean {
  // Walking the tree takes longer.
  if (!/\bfor\b/i.test(text)) return false;
  return holds(node, 'LockingClause');
}
