import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';
import type { StatementPlan } from '../plan/statement-plan.ts';

export interface Catalogs {
  /** The one that the transaction's snapshot goes with. */
  readonly first: CatalogSnapshot;
  readonly now: CatalogSnapshot;
  /** Whether the transaction has changed the catalog itself, so that tables may be new by its own doing. */
  readonly hasOwn: boolean;
}

/**
 * A transaction with one snapshot of a node sees nothing that came to the node later: not the rows of a shard group that was moved there, nor all those of a table that was distributed, though the newest catalog
 * sends it there. Such a statement is refused with a serialization failure (40001).
 */
export function checkPlacements(plan: StatementPlan, { first, now, hasOwn }: Catalogs): void {
  if (first.version === now.version) return;
  if (plan.kind === 'computed') return checkPlacements(plan.plan, { first, now, hasOwn });
  const named = 'tables' in plan ? plan.tables : 'table' in plan ? [plan.table] : undefined;
  const moved = (named ?? [...now.tables.values()]).find((table) => table.kind === 'distributed' && hasMoved(first, now, table.colocationId));
  if (moved !== undefined) throw serializationFailure(`shards of table "${moved.name}" were moved`);
  const come = hasOwn ? undefined : named?.find((table) => table !== undefined && hasCome(first, table));
  if (come !== undefined) throw serializationFailure(`table "${come.name}" was distributed`);
}

function serializationFailure(what: string): ClusterError {
  return new ClusterError('shardMissing', `could not serialize access: ${what} since the transaction's snapshot`, { sqlState: '40001', hint: 'Begin the transaction again.' });
}

function hasMoved(first: CatalogSnapshot, now: CatalogSnapshot, colocation: Parameters<CatalogSnapshot['colocationGroups']['get']>[0]): boolean {
  const before = first.colocationGroups.get(colocation)?.shardGroups;
  const after = now.colocationGroups.get(colocation)?.shardGroups;
  return before !== undefined && after !== undefined && (before.length !== after.length || before.some(({ id, node }, i) => after[i]?.id !== id || after[i].node !== node));
}

/** Shards that got other names have their rows as before; those of another kind, column or colocation group were filled anew. */
function hasCome(first: CatalogSnapshot, table: CatalogTable): boolean {
  const before = [...first.tables.values()].find(({ oid }) => oid === table.oid);
  return before === undefined || placing(before) !== placing(table);
}

function placing(table: CatalogTable): string {
  return table.kind === 'reference' ? 'reference' : `${table.colocationId} ${table.distributionColumn?.position ?? ''}`;
}
