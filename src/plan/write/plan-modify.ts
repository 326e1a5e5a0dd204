import type { DeleteStmt, Node, UpdateStmt } from '@pgsql/types';
import type { AnalyzedStatement } from '../../analyze/analyze-statement.ts';
import { analyzeAny, namesSystemColumn } from '../../analyze/analyze-statement.ts';
import { constantOf } from '../../analyze/conditions.ts';
import { isCertainly } from '../../analyze/facts.ts';
import { present } from '../../base/assert.ts';
import { once } from '../../base/once.ts';
import type { CatalogTable, DistributedTable, ReferenceTable } from '../../catalog/catalog-snapshot.ts';
import type { Statement } from '../../sql/parse.ts';
import { checkReadable, positionColumns } from '../check-select.ts';
import { functionRules } from '../function-rules.ts';
import { columnTypeName } from '../insert/plan-insert.ts';
import { certainUses, prunableUses, tablesOf } from '../prunable-uses.ts';
import { evaluateOnce } from '../select/evaluate-once.ts';
import { unsupported } from '../select/unsupported.ts';
import { refuseDefaults, refuseSequences } from '../sequence-use.ts';
import { templateFor } from './template-for.ts';
import { describeParts } from '../staged/describe-parts.ts';
import type { StagedInput } from '../staged/staged-state.ts';
import type { ModifyPlan, SpreadModify, StatementPlan } from '../statement-plan.ts';
import { analyzeWrite } from './analyze-write.ts';
import { checkFloats } from './check-floats.ts';
import { checkedCopies } from './compare-copies.ts';
import { keyless, ledTable, ledWrite } from './following-copies.ts';
import { planKeyUpdate } from './plan-key-update.ts';
import { isOnNodesAlone, type KeptCopies, planStagedWrite } from './plan-staged-write.ts';
import { planWriting } from './plan-writing.ts';
import { rowsByKey } from './rows-by-key.ts';
import { targetUse } from './target-of-write.ts';

export async function planModify(statement: Statement, modify: UpdateStmt | DeleteStmt, input: StagedInput): Promise<StatementPlan> {
  const { analyzed, target, isLocal } = analyzeWrite(statement, input.names);
  if (isLocal) return { kind: 'coordinator', text: statement.text, effect: 'write' };
  checkReadable(modify);
  refuseSequences(modify);
  if (analyzed.writesInside) return planWriting(statement, statement.node, input);
  const uses = await certainUses(prunableUses(analyzed, input.snapshot), statement, input.describe);
  if (target !== undefined) refuseDefaults(assignedBy(modify), target, 'one_node');
  const moves = target?.kind === 'distributed' && movesRows(statement, modify, target, analyzed) ? target : undefined;
  const everywhere = target?.kind === 'reference' ? target : undefined;
  const routable = moves === undefined && analyzed.results.length === 0 && target !== undefined && uses !== undefined && analyzed.foreign.length === 0 && !(everywhere !== undefined && uses.length > 0);
  const plan: ModifyPlan = {
    kind: 'modify',
    command: 'UpdateStmt' in statement.node ? 'UPDATE' : 'DELETE',
    whole: templateFor(target)(statement, analyzed.uses, analyzed.results),
    tables: tablesOf(analyzed),
    uses: routable ? uses : [],
    routable,
    everywhere,
    sequences: [],
    spread: once(() => (moves === undefined ? makeSpread(rowsByKey(statement, modify, { target, names: input.names }) ?? statement, { target, routable, input }) : moveRows(statement, modify, moves, input))),
  };
  return plan;
}

/** Whether an UPDATE sets the distribution column to anything but the value that its WHERE says it has. */
function movesRows(statement: Statement, modify: UpdateStmt | DeleteStmt, table: DistributedTable, analyzed: AnalyzedStatement): boolean {
  const column = table.distributionColumn;
  if (column === undefined) return false;
  return assignedBy(modify).some((node) => {
    const item = 'ResTarget' in node ? node.ResTarget : undefined;
    if (item?.name !== column.name) return false;
    const value = item.val === undefined ? undefined : constantOf(item.val, columnTypeName(column));
    const key = targetUse(statement, analyzed)?.key;
    return value === undefined || key === undefined || !isCertainly(analyzed.placed.facts, key, value);
  });
}

async function moveRows(statement: Statement, modify: UpdateStmt, table: DistributedTable, input: StagedInput): Promise<SpreadModify> {
  refuseDefaults(assignedBy(modify), table, 'shard_groups');
  const planDelete = async (deleting: Statement): Promise<ModifyPlan> => {
    // Parameters of the UPDATE may be missing.
    const described = { ...input, describe: describeParts(input.describe, input.names.results) };
    const plan = await planModify(deleting, present('DeleteStmt' in deleting.node ? deleting.node.DeleteStmt : undefined, 'DELETE'), described);
    return present(plan.kind === 'modify' ? plan : undefined, 'plan of a write');
  };
  return planKeyUpdate(statement, modify, { table, input, planDelete });
}

function assignedBy(modify: UpdateStmt | DeleteStmt): readonly Node[] {
  return 'targetList' in modify ? (modify.targetList ?? []) : [];
}

interface Spreading {
  readonly target: CatalogTable | undefined;
  readonly routable: boolean;
  readonly input: StagedInput;
}

/** By shard groups or copies alone where that is possible, else with what they lack brought to them. */
async function makeSpread(original: Statement, { target, routable, input }: Spreading): Promise<SpreadModify> {
  const modify = modifyOf(original);
  const description = await input.describe.statement(original.text);
  const rules = await functionRules(modify, input.describe);
  const analyzed = analyzeAny(original.node, input.names, rules);
  const led = ledTable(modify, target, rules);
  if (led !== undefined) checkFloats(input);
  else if (target !== undefined) refuseDefaults(assignedBy(modify), target, target.kind === 'reference' ? 'copies' : 'shard_groups');
  const leading = led === undefined ? undefined : ledWrite(original, modify, { target: led, input });
  const copies: KeptCopies = leading ?? checkedCopies(original, modify, target);
  const isBeside = led === undefined ? routable && !(copies.check?.kind === 'locked' && analyzed.uses.length > 1) && analyzed.placed.rows.kind !== 'scattered' && !analyzed.uses.some(({ table }) => isOnNodesAlone(table, target)) : isOnEachCopy(analyzed, led);
  if (!isBeside && leading?.mayBeCut === false) throw keyless(led?.name ?? '');
  if (!isBeside) return planStagedWrite(original, { target, copies }, input);
  if (namesSystemColumn(modify, positionColumns)) throw unsupported('A system column means something else on each shard.', 'Filter by the distribution column.');
  const parameters = description.parameterTypes.length;
  const { statement, evaluated } = await evaluateOnce(copies.statement, parameters, input.describe);
  const again = analyzeAny(statement.node, input.names, rules);
  return { template: templateFor(target)(statement, again.uses), evaluated, parameters, columns: description.columns, stages: [], site: 'shards', rows: undefined, check: copies.check, follow: copies.follow, uses: undefined, readsLocalTables: false };
}

function modifyOf({ node }: Statement): UpdateStmt | DeleteStmt {
  return present('UpdateStmt' in node ? node.UpdateStmt : 'DeleteStmt' in node ? node.DeleteStmt : undefined, 'UPDATE or DELETE');
}

/** Whether a copy of the target has beside it all that the statement reads. */
function isOnEachCopy({ uses, foreign, results }: AnalyzedStatement, target: ReferenceTable): boolean {
  return foreign.length === 0 && results.length === 0 && uses.every(({ table }) => table.kind === 'reference' && !isOnNodesAlone(table, target));
}
