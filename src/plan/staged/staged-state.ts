import type { AnalyzedStatement } from '../../analyze/analyze-statement.ts';
import { analyzeAny } from '../../analyze/analyze-statement.ts';
import type { FunctionRules } from '../../analyze/function-calls.ts';
import { nothingSpread, type Spread } from '../../analyze/placement.ts';
import { RelationNames } from '../../analyze/relation-names.ts';
import type { ResultTable } from '../../analyze/result-table.ts';
import { present } from '../../base/assert.ts';
import type { Statement } from '../../sql/parse.ts';
import type { SelectStmt } from '../../sql/ast.ts';
import type { FanOut } from '../fan-out.ts';
import type { Named } from '../plan-select.ts';
import type { StatementPlan } from '../statement-plan.ts';
import { describeParts } from './describe-parts.ts';
import type { ResultNames } from './result-names.ts';
import type { Stage, StageSource } from './stage.ts';

/** What planning in stages needs besides the statement. */
export interface StagedInput extends Named {
  readonly planQuery: (statement: Statement, select: SelectStmt, input: Named) => Promise<StatementPlan>;
  /** A plan by shard groups alone. Rejects with the refusal. */
  readonly planDirect: (statement: Statement, select: SelectStmt, input: Named) => Promise<FanOut>;
}

export interface StateContext {
  readonly input: StagedInput;
  readonly rules: FunctionRules;
  readonly resultNames: ResultNames;
  /** Tables are gathered whole: no condition or expression of the statement is computed before the rest is. */
  readonly wholeTables: boolean;
  /** The rest is computed in the coordinator database: see `isForCoordinator`. */
  readonly atCoordinator: boolean;
}

/** A statement, of any kind that reads tables, on its way to a plan: each step makes a part of it a stage, and puts the stage's result in its place. Immutable. */
export class StagedState {
  constructor(
    readonly context: StateContext,
    readonly statement: Statement,
    readonly stages: readonly Stage[],
  ) {}

  /** Its own stages' results, and those that it may read as a part of a larger statement. */
  get results(): ReadonlyMap<string, ResultTable> {
    const { results } = this.context.input.names;
    return new Map([...results, ...this.stages.map(({ result }): [string, ResultTable] => [result.name, result])]);
  }

  get select(): SelectStmt {
    return selectOf(this.statement);
  }

  /** What is known of the statement, if so much were on every server. */
  analyzed(spread: Spread = nothingSpread): AnalyzedStatement {
    return analyzeAny(this.statement.node, this.partInput().names, this.context.rules, spread);
  }

  /** For planning what reads this state's results. */
  partInput(): Named {
    const { input, resultNames } = this.context;
    const { results } = this;
    return {
      ...input,
      names: new RelationNames(input.names.snapshot, input.names.searchPath, results),
      describe: describeParts(input.describe, results),
      part: resultNames,
    };
  }

  /** Plans a query as the source of a stage. */
  async source(statement: Statement): Promise<StageSource> {
    const plan = await this.context.input.planQuery(statement, selectOf(statement), this.partInput());
    return present(plan.kind === 'select' || plan.kind === 'coordinator' ? plan : undefined, 'plan of a query');
  }

  /** With a further stage, whose result is not read yet. */
  with(stage: Stage): StagedState {
    return new StagedState(this.context, this.statement, [...this.stages, stage]);
  }

  /** With another text, which reads the results of its stages. */
  rewritten(statement: Statement): StagedState {
    return new StagedState(this.context, statement, this.stages);
  }
}

export function selectOf({ node }: Statement): SelectStmt {
  return present('SelectStmt' in node ? node.SelectStmt : undefined, 'query');
}
