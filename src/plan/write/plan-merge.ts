import type { MergeStmt, MergeWhenClause } from '@pgsql/types';
import type { AnalyzedStatement } from '../../analyze/analyze-statement.ts';
import { namesSystemColumn } from '../../analyze/analyze-statement.ts';
import { actsOn } from '../../analyze/build-write.ts';
import { constantOf } from '../../analyze/conditions.ts';
import { anyEqual, type ColumnId, isCertainly } from '../../analyze/facts.ts';
import { resolveColumn } from '../../analyze/scope.ts';
import { hasVolatileCall } from '../../analyze/function-calls.ts';
import { present } from '../../base/assert.ts';
import { once } from '../../base/once.ts';
import type { CatalogTable, Column, DistributedTable } from '../../catalog/catalog-snapshot.ts';
import type { Statement } from '../../sql/parse.ts';
import { checkReadable, positionColumns } from '../check-select.ts';
import { functionRules } from '../function-rules.ts';
import { columnTypeName, keepsIdentity } from '../insert/plan-insert.ts';
import { refused } from '../insert/refused.ts';
import { certainUses, prunableUses, tablesOf } from '../prunable-uses.ts';
import { evaluateOnce } from '../select/evaluate-once.ts';
import { unsupported } from '../select/unsupported.ts';
import { refuseDefaults, refuseSequences } from '../sequence-use.ts';
import { ResultNames } from '../staged/result-names.ts';
import { type StagedInput, StagedState } from '../staged/staged-state.ts';
import { typedStatement } from '../staged/typed-statement.ts';
import { withoutUnusedCommon } from '../staged/unused-common.ts';
import type { CopyCheck, SpreadModify, StatementPlan } from '../statement-plan.ts';
import { analyzeWrite } from './analyze-write.ts';
import { checkFloats } from './check-floats.ts';
import { checkKeyStays } from './check-key-stays.ts';
import { lockedCopies } from './compare-copies.ts';
import { columnsOfInsert, insertsOf, withDefaults } from './merge-defaults.ts';
import { mergeOf } from './merge-source.ts';
import { movedSource } from './moved-source.ts';
import { besideTarget, checkPlaced } from './plan-staged-write.ts';
import { planWriting } from './plan-writing.ts';
import { targetUse } from './target-of-write.ts';
import { templateFor } from './template-for.ts';

/**
 * MERGE: by each shard group where target and source are together; else the source is run as a query of its own, and its rows go to the shards where they could match, since
 * each row that does not match must be inserted once.
 */
export async function planMerge(statement: Statement, merge: MergeStmt, input: StagedInput): Promise<StatementPlan> {
  const { analyzed, target, isLocal } = analyzeWrite(statement, input.names);
  if (isLocal) return { kind: 'coordinator', text: statement.text, effect: 'write' };
  if (analyzed.writesInside) return planWriting(statement, statement.node, input);
  checkReadable(merge);
  refuseSequences(merge);
  if (target !== undefined) await checkActions(merge, target, input);
  const uses = await certainUses(prunableUses(analyzed, input.snapshot), statement, input.describe);
  const everywhere = target?.kind === 'reference' ? target : undefined;
  const routable = analyzed.results.length === 0 && target?.kind === 'distributed' && uses !== undefined && analyzed.foreign.length === 0 && insertsStay(statement, target, analyzed) && withDefaults(statement, merge, target, 0).supplied.length === 0;
  return {
    kind: 'modify', command: 'MERGE', whole: templateFor(target)(statement, analyzed.uses, analyzed.results), tables: tablesOf(analyzed), uses: routable ? uses : [], routable, everywhere, sequences: [],
    spread: once(() => makeSpread(statement, target, input)),
  };
}

async function checkActions(merge: MergeStmt, target: CatalogTable, input: StagedInput): Promise<void> {
  if (target.kind === 'reference' && target.rowTriggers) throw refused(`A MERGE into reference table "${target.name}", which has triggers that only one copy runs.`, 'Write UPDATE … FROM, or INSERT … ON CONFLICT.');
  if (keepsIdentity(target) && insertsOf(merge).length > 0) throw refused(`MERGE inserts into "${target.name}", to which local tables refer, and of which a column is GENERATED ALWAYS AS IDENTITY.`, 'Use INSERT … ON CONFLICT.');
  const clauses = (merge.mergeWhenClauses ?? []).flatMap((node) => ('MergeWhenClause' in node ? [node.MergeWhenClause] : []));
  for (const { commandType, targetList = [] } of clauses) {
    if (commandType !== 'CMD_UPDATE') continue;
    refuseDefaults(targetList, target, target.kind === 'reference' ? 'copies' : 'shard_groups');
    if (target.kind === 'distributed') checkKeyStays(targetList, target);
  }
  const rules = await functionRules(merge, input.describe);
  if (target.kind === 'reference' && hasVolatileCall(merge, rules)) throw refused('A MERGE into a reference table calls a volatile function, which would differ from node to node.', 'Write UPDATE … FROM, or INSERT … ON CONFLICT, whose values one copy computes for all; or compute the values first, and pass them as parameters.');
}

function insertsStay(statement: Statement, target: DistributedTable, analyzed: AnalyzedStatement): boolean {
  if (target.distributionColumn === undefined) return true;
  const key = targetUse(statement, analyzed)?.key;
  return key !== undefined && insertsOf(mergeOf(statement)).every((insert) => isOfTarget(insert, { table: target, key }, analyzed));
}

interface MergeTarget {
  readonly table: DistributedTable;
  /** The distribution column. */
  readonly key: ColumnId;
}

/** Whether a row that is inserted belongs to the shard group on which its source row was not matched. */
function isOfTarget(insert: MergeWhenClause, { table, key }: MergeTarget, { query }: AnalyzedStatement): boolean {
  const { name } = present(table.distributionColumn);
  const value = insert.values?.[columnsOfInsert(insert, table).indexOf(name)];
  if (value === undefined || query.kind !== 'select' || query.from.kind !== 'join') return false;
  const { facts } = query.from;
  const column = 'ColumnRef' in value ? resolveColumn(query.scope, value.ColumnRef.fields) : undefined;
  if (column !== undefined) return anyEqual(facts, new Set([key]), new Set([column.id]));
  const constant = constantOf(value, columnTypeName(present(table.distributionColumn)));
  return constant !== undefined && isCertainly(facts, key, constant);
}

async function makeSpread(original: Statement, target: CatalogTable | undefined, input: StagedInput): Promise<SpreadModify> {
  const description = await input.describe.statement(original.text);
  checkFloats(input);
  if (namesSystemColumn(original.node, positionColumns)) throw unsupported('A system column means something else on each shard.', 'Filter by the distribution column.');
  const parameters = description.parameterTypes.length;
  const typed = withoutUnusedCommon(typedStatement(original, description.parameterTypes));
  const { statement: once, evaluated } = await evaluateOnce(typed, parameters, input.describe);
  const { statement, evaluated: defaults, supplied } = target === undefined ? { statement: once, evaluated: [], supplied: [] } : withDefaults(once, mergeOf(once), target, parameters + evaluated.length);
  const rules = await functionRules(statement.node, input.describe);
  const names = input.part ?? new ResultNames();
  const start = new StagedState({ input, rules, resultNames: names, wholeTables: false, atCoordinator: false }, statement, []);
  const moved = target?.kind === 'distributed' && mustMove(start, target, supplied) ? await movedSource(start, target, supplied) : undefined;
  const check: CopyCheck | undefined = target?.kind === 'reference' ? lockedCopies(original.node, target) : undefined;
  const reached = await besideTarget(moved?.state ?? start, { table: target, check });
  const analyzed = reached.analyzed();
  checkPlaced(analyzed, target);
  if (target?.kind === 'distributed' && !insertsStay(reached.statement, target, analyzed)) {
    throw refused(`The INSERT of the MERGE gives the distribution column "${target.distributionColumn?.name}" another value than ON compares it with.`, 'Compare the column with one of the source by "=", and insert that.');
  }
  const stages = reached.stages.filter(({ result }) => result !== moved?.rows.result);
  return {
    template: templateFor(target)(reached.statement, analyzed.uses, analyzed.results),
    evaluated: [...evaluated, ...defaults], parameters, columns: description.columns, stages, rows: moved?.rows, check,
    site: target === undefined ? 'coordinator' : 'shards',
    uses: await certainUses(prunableUses(analyzed, input.snapshot), reached.statement, reached.partInput().describe),
    readsLocalTables: target === undefined || [...stages, ...(moved === undefined ? [] : [moved.rows])].some(({ source }) => source.kind === 'coordinator'),
  };
}

/** A source that is on every server would be inserted by each shard; and values of sequences come with its rows. */
function mustMove(state: StagedState, target: DistributedTable, supplied: readonly Column[]): boolean {
  const { statement } = state;
  if (!actsOn(mergeOf(statement), 'MERGE_WHEN_NOT_MATCHED_BY_TARGET')) return false;
  if (supplied.length > 0) return true;
  const analyzed = state.analyzed();
  return analyzed.placed.rows.kind !== 'by_shard' || !insertsStay(statement, target, analyzed);
}
