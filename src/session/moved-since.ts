import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import type { StatementPlan } from '../plan/statement-plan.ts';

/**
 * A transaction with one snapshot of a node sees nothing that came to the node later: not the rows of a shard group that was moved there, though the newest catalog sends it there. Such a statement is
 * refused with a serialization failure (40001).
 */
export function checkPlacements(plan: StatementPlan, first: CatalogSnapshot, now: CatalogSnapshot): void {
  if (first.version === now.version) return;
  if (plan.kind === 'computed') return checkPlacements(plan.plan, first, now);
  const tables = 'tables' in plan ? plan.tables : 'table' in plan ? [plan.table] : [...now.tables.values()];
  const moved = tables.find((table) => table.kind === 'distributed' && hasMoved(first, now, table.colocationId));
  if (moved === undefined) return;
  throw new ClusterError('shardMissing', `could not serialize access: shards of table "${moved.name}" were moved since the transaction's snapshot`, {
    sqlState: '40001', hint: 'Begin the transaction again.',
  });
}

function hasMoved(first: CatalogSnapshot, now: CatalogSnapshot, colocation: Parameters<CatalogSnapshot['colocationGroups']['get']>[0]): boolean {
  const before = first.colocationGroups.get(colocation)?.shardGroups;
  const after = now.colocationGroups.get(colocation)?.shardGroups;
  return before !== undefined && after !== undefined && (before.length !== after.length || before.some(({ id, node }, i) => after[i]?.id !== id || after[i].node !== node));
}
