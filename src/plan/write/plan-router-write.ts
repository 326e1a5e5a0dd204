import type { InsertStmt, Node, UpdateStmt } from '@pgsql/types';
import type { AnalyzedStatement } from '../../analyze/analyze-statement.ts';
import type { RelationNames } from '../../analyze/relation-names.ts';
import type { DistributedTable } from '../../catalog/catalog-snapshot.ts';
import { walk } from '../../sql/ast.ts';
import { refused } from '../insert/refused.ts';
import type { Supplied } from '../insert/supply-sequences.ts';
import { tablesOf } from '../prunable-uses.ts';
import { refuseDefaults } from '../sequence-use.ts';
import { writeTemplate } from '../shard-template.ts';
import type { ModifyPlan, PrunableUse } from '../statement-plan.ts';
import { checkKeyStays } from './check-key-stays.ts';

export interface RouterWrite extends Supplied {
  readonly command: ModifyPlan['command'];
  readonly analyzed: AnalyzedStatement;
  readonly uses: readonly PrunableUse[];
  readonly names: RelationNames;
}

/** For when all is on one node; what is done else is its caller's to say. */
export type RoutedPlan = Omit<ModifyPlan, 'spread'>;

/**
 * A statement whose WITH writes, or INSERT … SELECT: it goes to one node as it is, when all its distributed tables are restricted to shard groups
 * there; else it is refused. It may read reference tables, but not write them.
 */
export function planRouterWrite({ statement, command, analyzed, uses, names, sequences }: RouterWrite): RoutedPlan {
  walk(statement.node, (kind, body) => {
    if (kind !== 'InsertStmt' && kind !== 'UpdateStmt' && kind !== 'DeleteStmt') return undefined;
    const write: Pick<UpdateStmt, 'relation' | 'targetList'> = body;
    const table = names.resolve(write.relation?.schemaname, write.relation?.relname ?? '');
    if (table?.kind !== 'distributed') throw refused('A reference table is written together with other tables.', 'Write it by a statement of its own.');
    if (kind === 'UpdateStmt') checkAssigned(write.targetList ?? [], table);
    if (kind === 'InsertStmt') checkInsert(body, table);
    return undefined;
  });
  return {
    kind: 'modify',
    command,
    whole: writeTemplate(statement, analyzed.uses),
    tables: tablesOf(analyzed),
    uses,
    routable: true,
    everywhere: undefined,
    sequences,
  };
}

function checkInsert(insert: InsertStmt, table: DistributedTable): void {
  if (insert.override === 'OVERRIDING_USER_VALUE') throw refused('INSERT … OVERRIDING USER VALUE.', 'Leave the identity column out of the column list.');
  const always = table.columns.filter(({ identity }) => identity === 'always').map(({ name }) => name);
  const named = insert.cols?.map((item) => ('ResTarget' in item ? (item.ResTarget.name ?? '') : '')) ?? table.columns.map(({ name }) => name);
  const rows = insert.selectStmt !== undefined && 'SelectStmt' in insert.selectStmt ? insert.selectStmt.SelectStmt.valuesLists : undefined;
  // Values of ours stand there in VALUES; what the caller wrote there itself is PostgreSQL's to refuse.
  if (insert.override !== 'OVERRIDING_SYSTEM_VALUE' && rows === undefined && always.some((name) => named.includes(name))) {
    throw refused('INSERT … SELECT into a column that is GENERATED ALWAYS.', 'Leave the column out, or write OVERRIDING SYSTEM VALUE.');
  }
  checkAssigned(insert.onConflictClause?.targetList ?? [], table);
}

/** Rows must stay on their shard, and defaults be those that nodes can compute. */
function checkAssigned(items: readonly Node[], table: DistributedTable): void {
  refuseDefaults(items, table, 'one_node');
  checkKeyStays(items, table);
}
