import { nullRow } from './null-row.ts';
import type { Describe, DescribedColumn } from '../describe.ts';
import type { MergePlan, Residual } from '../merge-plan.ts';
import { unsupported } from './unsupported.ts';

/**
 * What a merge's last step gives must be what the statement gives: PostgreSQL says so, of rows that are not there. A step that it does not accept, or that gives other types, was written
 * over columns which do not tell all: of a primary key that others depend on, of a row's own type. Then the rows have to be gathered as they are.
 */
export async function checkResidual(merge: MergePlan, columns: readonly DescribedColumn[], describe: Describe): Promise<void> {
  const residual = residualIn(merge);
  if (residual === undefined) return;
  const described = await describe.attempt(`${residual.before}${nullRow(residual.columns)}${residual.after}`).catch(() => undefined);
  const types = described?.columns.map(({ typeOid }) => typeOid).join();
  if (types !== columns.map(({ typeOid }) => typeOid).join()) {
    throw unsupported('The last step of the query cannot be written over the columns of its parts.', 'Filter by the distribution column.');
  }
}

function residualIn(merge: MergePlan): Residual | undefined {
  if (merge.kind === 'residual') return merge.residual;
  return 'input' in merge ? residualIn(merge.input) : undefined;
}
