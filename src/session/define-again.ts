import type { QueryResult } from 'pg';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import { pauseAbout } from '../base/pause.ts';
import type { ParsedQuery } from '../cluster/node-connection.ts';
import { runDefinition } from '../ddl/propagate/run-definition.ts';
import type { StatementScope } from '../execute/statement-scope.ts';
import type { DefinitionPlan } from '../plan/ddl/definition-plan.ts';
import type { SequenceValues } from '../execute/write/sequence-blocks.ts';

interface DefineContext {
  readonly scope: StatementScope;
  readonly sequences: Pick<SequenceValues, 'forget'>;
  readonly ddlLockTimeoutMs: number;
  readonly distributesSchemas: boolean;
}

const attemptsMax = 5;

/**
 * Runs a change of definitions. One that does not get its locks in time gives up those that it has, lets others pass, and tries again; so does one that has changed nothing since a server failed over. Outside of transaction blocks: these have other
 * locks, which they cannot give up, and other statements.
 */
export async function defineAgain({ scope, sequences, ddlLockTimeoutMs, distributesSchemas }: DefineContext, { query, plan }: { readonly query: ParsedQuery; readonly plan: DefinitionPlan }): Promise<QueryResult> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const result = await runDefinition(scope, query, plan, { lockTimeoutMs: ddlLockTimeoutMs, distributesSchemas });
      // A sequence may be another one of the same name now.
      sequences.forget();
      return result;
    } catch (error) {
      if (scope.inTransaction || attempt === attemptsMax) throw error;
      if (sqlStateOf(error) === '55P03') await pauseAbout(ddlLockTimeoutMs * attempt, scope.signal);
      else if (!(error instanceof ClusterError) || error.id !== 'transactionLost') throw error;
    }
  }
}
