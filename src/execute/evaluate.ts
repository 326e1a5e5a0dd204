import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { EvaluatedExpression } from '../plan/fan-out.ts';
import { at } from '../base/assert.ts';
import type { StatementScope } from './statement-scope.ts';

/** The caller's values with the once-evaluated expressions behind them, as text. One round trip, none without expressions. */
export async function withEvaluated(
  scope: StatementScope,
  { evaluated, parameters }: { readonly evaluated: readonly EvaluatedExpression[]; readonly parameters: number },
  values: readonly unknown[],
): Promise<readonly unknown[]> {
  if (evaluated.length === 0) return values;
  const text = `SELECT ${evaluated.map(({ sql }) => sql).join(', ')}`;
  const { rows } = await scope.run(coordinatorNodeId, { text }, 'read');
  const padded = Array.from({ length: parameters }, (_, i) => values[i]);
  return [...padded, ...at(rows, 0)];
}
