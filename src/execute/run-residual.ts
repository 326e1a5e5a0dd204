import { assert } from '../base/assert.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { RawRow } from '../cluster/node-connection.ts';
import type { Residual } from '../plan/merge-plan.ts';
import { holdRows, type ResultLimits } from './staged/hold-rows.ts';
import type { StatementScope } from './statement-scope.ts';
import { arraysOf, arraysSql } from './typed-rows.ts';

/**
 * Finishes rows in the coordinator database. `values`: the caller's. Few rows travel with the statement; many are copied into a temporary table first,
 * which is gone afterwards, whatever happens.
 */
export async function* runResidual(
  scope: StatementScope,
  { before, after, columns, parameters }: Residual,
  { rows, values, limits }: { readonly rows: AsyncIterable<readonly RawRow[]>; readonly values: readonly unknown[]; readonly limits: ResultLimits },
): AsyncGenerator<readonly RawRow[]> {
  const own = parameters.map((number) => values[number - 1]);
  const steady = scope.steady();
  try {
    const held = await holdRows(steady, { label: 'rows for the last step', columns, lookups: [], targets: [coordinatorNodeId], limits }, rows);
    if (held.kind === 'rows') {
      const text = `${before}${arraysSql(columns, { first: own.length + 1, rows: held.rows.length })}${after}`;
      yield (await scope.run(coordinatorNodeId, { text, values: [...own, ...arraysOf(columns, held.rows)] }, 'read')).rows;
    } else {
      assert(held.kind === 'table', 'rows for one server are not placed by hash');
      yield (await steady.run(coordinatorNodeId, { text: `${before}pg_temp.${held.name}${after}`, values: own }, 'read')).rows;
    }
  } finally {
    await steady.end();
  }
}
