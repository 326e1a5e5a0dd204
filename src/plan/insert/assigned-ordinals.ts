import { shardGroupFor } from '../../catalog/shard-for-hash.ts';
import { constantValues } from '../prune.ts';
import type { PrunableUse } from '../statement-plan.ts';
import { distributionValueMissing } from './plan-insert.ts';

/**
 * The ordinals of the shard groups that rows to be inserted belong to; `all` when a value is not known or cannot be read here. A NULL in VALUES is
 * `distributionValueMissing`; from a query it may be that no row comes, so nothing is known.
 */
export function assignedOrdinals({ table, placer, restrictions, assigned }: PrunableUse, values: readonly unknown[]): 'all' | readonly number[] {
  const { type, group, modifier } = placer;
  if (type === undefined) return [0];
  const [set] = restrictions;
  const constants = set === undefined ? 'all' : constantValues(set, values);
  if (constants === 'all') return 'all';
  const ordinals = new Set<number>();
  for (const value of constants) {
    if (value === null || value === undefined) {
      if (assigned === 'values' && table?.distributionColumn !== undefined) throw distributionValueMissing(table, table.distributionColumn);
      return 'all';
    }
    const hash = modifier < 0 ? type.hashOf(value, group.hash) : type.hashOf(value, group.hash, { modifier });
    if (hash === undefined) return 'all';
    ordinals.add(shardGroupFor(group, hash).ordinal);
  }
  return [...ordinals].sort((a, b) => a - b);
}
