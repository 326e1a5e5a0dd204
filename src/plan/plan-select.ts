import type { SelectStmt } from '@pgsql/types';
import { type AnalyzedStatement, analyzeSelect, namesSystemColumn } from '../analyze/analyze-statement.ts';
import type { TableUse } from '../analyze/relation.ts';
import type { RelationNames } from '../analyze/relation-names.ts';
import { once } from '../base/once.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import type { Statement } from '../sql/parse.ts';
import { checkOverlooked, checkReadable, checkSequenceCalls, locksRows, positionColumns } from './check-select.ts';
import type { Describe } from './describe.ts';
import { expandViews } from './expand-views.ts';
import type { FanOut } from './fan-out.ts';
import { functionRules } from './function-rules.ts';
import { planWriting } from './write/plan-writing.ts';
import { certainUses, prunableUses, tablesOf } from './prunable-uses.ts';
import { evaluateOnce } from './select/evaluate-once.ts';
import { boundedStatement } from './select/row-bound.ts';
import { checkResidual } from './select/check-residual.ts';
import { planFanOut } from './select/plan-fan-out.ts';
import type { Finishing } from './select/select-context.ts';
import { checkRowTypes } from './select/select-context.ts';
import { unitedColumns } from './select/united-columns.ts';
import { isBeyondShards, unsupported } from './select/unsupported.ts';
import { refuseSessionValues } from './sequence-use.ts';
import { type RowLocks, whenLocked, withoutLocks } from './row-locks.ts';
import type { MergePlan } from './merge-plan.ts';
import { shardTemplate } from './shard-template.ts';
import { hasUnusedCommon } from './staged/unused-common.ts';
import { planStaged } from './staged/plan-staged.ts';
import { selectOf, type StagedInput } from './staged/staged-state.ts';
import type { Statistics } from './staged/statistics.ts';
import type { ResultNames } from './staged/result-names.ts';
import type { SelectPlan, StatementPlan } from './statement-plan.ts';
import { isForCoordinator } from './for-coordinator.ts';
import { withTypedParameters } from './typed-parameters.ts';

export interface PlanInput {
  readonly snapshot: CatalogSnapshot;
  /** Schemas in order, without the implied pg_catalog. */
  readonly searchPath: readonly string[];
  readonly describe: Describe;
  readonly statistics: Statistics;
  /** `application` by default. */
  readonly finishing?: Finishing | undefined;
}

export interface Named extends PlanInput {
  readonly names: RelationNames;
  /** Given for a part of a statement that is planned in stages: it reads intermediate results, and its parameters are cast to their types. */
  readonly part?: ResultNames | undefined;
  /** Plans a part of a statement that is a statement of its own: one in WITH that writes, and what is left without it. */
  readonly planPart: (statement: Statement, input: Named) => Promise<StatementPlan>;
}

export async function planSelect(statement: Statement, select: SelectStmt, input: Named): Promise<StatementPlan> {
  const analyzed = analyzeSelect(select, input.names);
  const expanded = await expandViews(statement, analyzed, input);
  if (expanded !== undefined) {
    const plan = await planSelect(expanded.statement, selectOf(expanded.statement), input);
    return plan.kind === 'select' ? { ...plan, columns: expanded.columns } : plan;
  }
  checkOverlooked(analyzed, input.names);
  checkSequenceCalls(select, input.snapshot);
  if (analyzed.uses.length === 0 && analyzed.results.length === 0) {
    return { kind: 'coordinator', text: statement.text, effect: analyzed.writesInside || select.intoClause !== undefined ? 'write' : 'read' };
  }
  checkReadable(select);
  refuseSessionValues(select);
  if (analyzed.writesInside) return planWriting(statement, { SelectStmt: select }, input);
  const uses = await certainUses(prunableUses(analyzed, input.snapshot), statement, input.describe);
  const routable = analyzed.foreign.length === 0 && uses !== undefined && !isForCoordinator(select, input.names);
  const plan: SelectPlan = {
    kind: 'select',
    whole: shardTemplate(statement, analyzed.uses, analyzed.results),
    tables: tablesOf(analyzed),
    uses: uses ?? [],
    routable,
    locks: locksRows(statement),
    fanOut: once(() => makeFanOut(statement, select, { ...input, routable })),
  };
  return plan;
}

interface FanOutInput extends Named {
  readonly routable: boolean;
}

/** By the shard groups alone where that is possible, else in stages. */
async function makeFanOut(original: Statement, select: SelectStmt, input: FanOutInput): Promise<FanOut> {
  try {
    if (input.routable && !hasUnusedCommon(select)) return await makeDirectFanOut(original, select, input);
  } catch (error) {
    // Rows are locked where they are, so stages are no way out.
    if (!isBeyondShards(error) || select.lockingClause !== undefined) throw error;
  }
  return planStaged(original, stagedInput(input));
}

/** With what plans the parts of a statement. */
export function stagedInput(input: Named): StagedInput {
  return { ...input, planQuery: planSelect, planDirect: makeDirectFanOut };
}

async function makeDirectFanOut(original: Statement, select: SelectStmt, input: Named): Promise<FanOut> {
  const description = await input.describe.statement(original.text);
  const rules = await functionRules(select, input.describe);
  const typed = input.part === undefined ? withTypedParameters(select, description.parameterTypes) : select;
  const { query, placed, uses } = analyzeSelect(typed, input.names, rules);
  if (namesSystemColumn(select, positionColumns)) throw unsupported('A system column means something else on each shard.', 'Leave it out, or filter by the distribution column.');
  const rowTypes = rowTypesOf(uses);
  checkRowTypes(description.columns, rowTypes);
  const draft = await planFanOut({ original, statement: typed, query, placed, description, describe: input.describe, rules, rowTypes, finishing: input.finishing ?? 'application' });
  await checkResidual(draft.merge, description.columns, input.describe);
  const parameters = description.parameterTypes.length;
  const { statement, evaluated } = await evaluateOnce(draft.shard, parameters, input.describe);
  const ownUses = input.part === undefined ? undefined : await certainUses(prunableUses(analyzeSelect(select, input.names), input.snapshot), original, input.describe);
  const made = analyzeSelect(selectOf(statement), input.names, rules);
  const bounded = made.results.length > 0 ? undefined : boundedStatement(statement, made.query, { merge: draft.merge, rules });
  const further = [...(evaluated.length > 0 ? ['evaluate_once'] : []), ...(bounded === undefined ? [] : ['bound_later_shards'])];
  return {
    shardQuery: shardTemplate(statement, made.uses, made.results),
    shardOrder: draft.shardOrder,
    united: unitedColumns(selectOf(statement), made.uses, draft.merge),
    bounded: bounded === undefined ? undefined : shardTemplate(bounded, analyzeSelect(selectOf(bounded), input.names, rules).uses),
    merge: draft.merge,
    locks: rowLocks(selectOf(statement), draft.merge, (unlocked) => analyzeSelect(unlocked, input.names, rules)),
    columns: draft.columns,
    parameters,
    rules: [...draft.rules, ...further],
    evaluated,
    firstValues: [],
    stages: [],
    site: 'shards',
    unit: 'shard',
    readsLocalTables: false,
    rewritten: false,
    overWholeTables: undefined,
    uses: ownUses,
  };
}

function rowLocks(select: SelectStmt, merge: MergePlan, analyze: (select: SelectStmt) => AnalyzedStatement): RowLocks | undefined {
  const policy = whenLocked(select);
  if (policy === undefined) return undefined;
  const statement = withoutLocks(select, merge);
  return { whenLocked: policy, unlocked: statement === undefined ? undefined : shardTemplate(statement, analyze(selectOf(statement)).uses) };
}

/** As a server may print their names, quoted or not. */
function rowTypesOf(uses: readonly TableUse[]): Set<string> {
  return new Set(uses.flatMap(({ table: { kind, schema, name } }) => {
    if (kind === 'reference') return [];
    const names = [name, quoteIdentifier(name)];
    return [schema, quoteIdentifier(schema)].flatMap((prefix) => names.map((last) => `${prefix}.${last}`));
  }));
}
