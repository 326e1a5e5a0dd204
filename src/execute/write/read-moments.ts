import { at } from '../../base/assert.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { InsertPlan } from '../../plan/insert/insert-plan.ts';
import { mayNameMoment } from '../../plan/insert/moments.ts';
import { toldAsText } from '../../sql/zoned-times.ts';
import type { StatementScope } from '../statement-scope.ts';

/** The caller's values, those that name a moment (`'now'`, `'today'`) read once for all copies, by the coordinator database. No round trip without. */
export async function readMoments(scope: StatementScope, { moments = [] }: InsertPlan, values: readonly unknown[]): Promise<readonly unknown[]> {
  const named = moments.filter(({ number }) => mayNameMoment(values[number - 1]));
  if (named.length === 0) return values;
  const list = named.map(({ type }, i) => toldAsText(`CAST($${i + 1} AS ${type})`, type));
  const { rows } = await scope.run(coordinatorNodeId, { text: `SELECT ${list.join(', ')}`, values: named.map(({ number }) => values[number - 1]) }, 'read');
  const read = [...values];
  for (const [i, { number }] of named.entries()) read[number - 1] = at(rows, 0)[i];
  return read;
}
