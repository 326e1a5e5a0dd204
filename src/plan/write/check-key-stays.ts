import type { Node } from '@pgsql/types';
import type { DistributedTable } from '../../catalog/catalog-snapshot.ts';
import { nameParts } from '../../sql/ast.ts';
import { refused } from '../insert/refused.ts';

/** ON CONFLICT DO UPDATE may set the distribution column to the value that the row was to have, and to nothing else. */
export function checkKeyStays(assigned: readonly Node[], { distributionColumn }: DistributedTable): void {
  if (distributionColumn === undefined) return;
  const { name } = distributionColumn;
  for (const item of assigned) {
    const target = 'ResTarget' in item ? item.ResTarget : undefined;
    if (target?.name !== name) continue;
    const value = target.val !== undefined && 'ColumnRef' in target.val ? nameParts(target.val.ColumnRef.fields).join('.') : '';
    if (value !== `excluded.${name}`) throw refused(`The distribution column "${name}" is set, which may move rows to other shards.`, 'Leave the column as it is.');
  }
}
