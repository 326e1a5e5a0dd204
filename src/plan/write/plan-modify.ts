import type { DeleteStmt, Node, UpdateStmt } from '@pgsql/types';
import type { AnalyzedStatement } from '../../analyze/analyze-statement.ts';
import { analyzeModify, namesSystemColumn } from '../../analyze/analyze-statement.ts';
import { constantOf } from '../../analyze/conditions.ts';
import { constantsOf } from '../../analyze/facts.ts';
import type { FunctionRules } from '../../analyze/function-calls.ts';
import { collectCalls } from '../../analyze/function-calls.ts';
import { present } from '../../base/assert.ts';
import { once } from '../../base/once.ts';
import type { DistributedTable } from '../../catalog/catalog-snapshot.ts';
import type { Statement } from '../../sql/parse.ts';
import { checkOverlooked, checkReadable, checkViews, obstacleOf, positionColumns } from '../check-select.ts';
import { functionRules } from '../function-rules.ts';
import { columnTypeName } from '../insert/plan-insert.ts';
import { refused } from '../insert/refused.ts';
import type { Named } from '../plan-select.ts';
import { certainUses, prunableUses, tablesOf } from '../prunable-uses.ts';
import { evaluateOnce } from '../select/evaluate-once.ts';
import { refusal, unsupported } from '../select/unsupported.ts';
import { refuseDefaults, refuseSequences } from '../sequence-use.ts';
import { shardTemplate } from '../shard-template.ts';
import type { ModifyPlan, SpreadModify, StatementPlan } from '../statement-plan.ts';
import { checkNoView } from './check-no-view.ts';
import { planWriting } from './plan-writing.ts';

export async function planModify(statement: Statement, kind: 'update' | 'delete', modify: UpdateStmt | DeleteStmt, input: Named): Promise<StatementPlan> {
  checkNoView(present(modify.relation, 'target'), input.names);
  const analyzed = analyzeModify(kind, modify, input.names);
  checkViews(analyzed, input.names);
  checkOverlooked(analyzed, input.names);
  if (analyzed.uses.length === 0) return { kind: 'coordinator', text: statement.text, effect: 'write' };
  checkReadable(modify);
  refuseSequences(modify);
  if (analyzed.writesInside) return planWriting(statement, kind === 'update' ? { UpdateStmt: modify } : { DeleteStmt: modify }, input);
  const relation = present(modify.relation, 'target');
  const target = input.names.resolve(relation.schemaname, relation.relname ?? '');
  const uses = await certainUses(prunableUses(analyzed, input.snapshot), statement, input.describe);
  if (target === undefined) throw refused('A local table is written from distributed or reference tables.', 'Read the rows first, then write.');
  if (analyzed.foreign.length > 0 || uses === undefined) throw obstacleOf(analyzed);
  refuseDefaults(assignedBy(modify), target, 'one_node');
  if (kind === 'update' && target.kind === 'distributed') checkKeyAssignment(modify, target, analyzed);
  const everywhere = target.kind === 'reference';
  if (everywhere && uses.length > 0) throw refused('A reference table is written from distributed tables.', 'Read the rows first, then write.');
  const plan: ModifyPlan = {
    kind: 'modify',
    command: kind === 'update' ? 'UPDATE' : 'DELETE',
    whole: shardTemplate(statement, analyzed.uses),
    tables: tablesOf(analyzed),
    uses,
    everywhere,
    sequences: [],
    spread: once(() => makeSpread(statement, kind, modify, input)),
  };
  return plan;
}

/** An UPDATE may set the distribution column only to the value that its WHERE says it has. */
function checkKeyAssignment(modify: UpdateStmt | DeleteStmt, table: DistributedTable, { uses, placed }: AnalyzedStatement): void {
  const column = table.distributionColumn;
  for (const node of assignedBy(modify)) {
    const item = 'ResTarget' in node ? node.ResTarget : undefined;
    if (item?.name !== column.name) continue;
    const value = item.val === undefined ? undefined : constantOf(item.val, columnTypeName(column));
    const key = uses[0]?.key;
    const known = key === undefined ? [] : constantsOf(placed.facts, key);
    const same = value !== undefined && known.some(({ values, arrays }) => arrays.length === 0 && values.length === 1 && JSON.stringify(values[0]) === JSON.stringify(value));
    if (!same) {
      throw refused(`UPDATE sets the distribution column "${column.name}", which may move rows to other shards.`, 'Delete the row and insert it again, or leave the column out.');
    }
  }
}

function assignedBy(modify: UpdateStmt | DeleteStmt): readonly Node[] {
  return 'targetList' in modify ? (modify.targetList ?? []) : [];
}

async function makeSpread(original: Statement, kind: 'update' | 'delete', modify: UpdateStmt | DeleteStmt, input: Named): Promise<SpreadModify> {
  const description = await input.describe.statement(original.text);
  const rules = await functionRules(modify, input.describe);
  const analyzed = analyzeModify(kind, modify, input.names, rules);
  if (namesSystemColumn(modify, positionColumns)) throw unsupported('A system column means something else on each shard.', 'Filter by the distribution column.');
  const { rows } = analyzed.placed;
  if (rows.kind === 'scattered') throw refusal(rows.obstacle);
  const target = present(analyzed.uses[0]).table;
  refuseDefaults(assignedBy(modify), target, target.kind === 'reference' ? 'copies' : 'shard_groups');
  if (target.kind === 'reference' && callsVolatile(modify, rules)) {
    throw refused('A write to a reference table calls a volatile function, which would differ from node to node.', 'Compute the values first, and pass them as parameters.');
  }
  const parameters = description.parameterTypes.length;
  const { statement, evaluated } = await evaluateOnce(original, parameters, input.describe);
  const body = 'UpdateStmt' in statement.node ? statement.node.UpdateStmt : 'DeleteStmt' in statement.node ? statement.node.DeleteStmt : modify;
  const again = analyzeModify(kind, body, input.names, rules);
  return { template: shardTemplate(statement, again.uses), evaluated, parameters, columns: description.columns };
}

function callsVolatile(tree: unknown, rules: FunctionRules): boolean {
  let found = false;
  collectCalls(tree, (call) => {
    found ||= rules.isVolatile(call);
    return true;
  }, true);
  return found;
}
