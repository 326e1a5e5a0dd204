import { present } from '../../base/assert.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { DistributedTable } from '../../catalog/catalog-snapshot.ts';
import { shardGroupFor } from '../../catalog/shard-for-hash.ts';
import { distributionValueMissing } from '../../plan/insert/plan-insert.ts';
import type { Placer } from '../../plan/prune.ts';
import { askServerHash } from '../server-hash.ts';
import type { StatementScope } from '../statement-scope.ts';

export interface PlacedTable {
  readonly table: DistributedTable;
  readonly placer: Placer;
}

/** The ordinals of the shard groups that rows with these distribution values belong to. Asks a server only about values that cannot be read here. */
export async function placeValues(scope: Pick<StatementScope, 'run'>, target: PlacedTable, values: readonly unknown[]): Promise<readonly number[]> {
  if (target.placer.type === undefined) return values.map(() => 0);
  const ordinals = values.map((value) => ordinalHere(target, value));
  const placed = ordinals.filter((ordinal) => ordinal !== undefined);
  if (placed.length === ordinals.length) return placed;
  return Promise.all(ordinals.map((ordinal, i) => (ordinal === undefined ? askOrdinal(scope, target, values[i]) : Promise.resolve(ordinal))));
}

/** The hash of a value that is assigned to the column; undefined when only a server can tell. */
export function hashAssigned({ type, group, modifier }: Placer, value: unknown): number | undefined {
  return modifier < 0 ? type?.hashOf(value, group.hash) : type?.hashOf(value, group.hash, { modifier });
}

function ordinalHere({ table, placer }: PlacedTable, value: unknown): number | undefined {
  if (value === null || value === undefined) throw distributionValueMissing(table, present(table.distributionColumn));
  const hash = hashAssigned(placer, value);
  if (hash !== undefined) return shardGroupFor(placer.group, hash).ordinal;
  return isRefusedByServer(placer, value) ? 0 : undefined;
}

async function askOrdinal(scope: Pick<StatementScope, 'run'>, { placer, table }: PlacedTable, value: unknown): Promise<number> {
  const hash = await askServerHash(placer, table, value, (query) => scope.run(coordinatorNodeId, query, 'read'));
  if (hash === null) throw distributionValueMissing(table, present(table.distributionColumn));
  return shardGroupFor(placer.group, hash).ordinal;
}

/** No value of the column's type: whichever shard gets it reports that in its own words. Where none would, its hash CHECK refuses the row. */
function isRefusedByServer({ type, group, modifier }: Placer, value: unknown): boolean {
  if (group.hash !== 'postgres') return false;
  return type?.canonical(value, modifier < 0 ? undefined : { modifier }).kind === 'invalid';
}
