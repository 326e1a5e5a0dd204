import { at } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { HashRange } from '../../catalog/shard-for-hash.ts';
import type { NodeId, ShardGroupId } from '../../catalog/ids.ts';
import type { CallOptions } from '../../cluster/node-connection.ts';
import { type CatalogChange, changeCatalog, resolveTable } from '../../ddl/change-catalog.ts';
import { checkTable, unsupportedTable } from '../../ddl/check-table.ts';
import { planGroup } from '../../ddl/choose-group.ts';
import { type Distributing, type PreparedDistribution, prepareDistribution } from '../../ddl/create-distributed-table.ts';
import type { DdlContext } from '../../ddl/ddl-context.ts';
import { readDefinition } from '../../ddl/read-definition.ts';
import type { TableDefinition } from '../../ddl/table-definition.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import { newShardGroupIds, newShardIds } from '../../store/catalog-changes.ts';
import { type DistributedTable, insertJobIn, isBeingDistributed, type JobTarget } from '../../store/jobs.ts';
import type { MoveLimits } from '../move-context.ts';

/** A local table that is to be distributed while it is read and written. */
export interface DistributionWish extends Pick<Distributing, 'column' | 'shardCount' | 'hash'> {
  readonly table: string;
  /** As of `createDistributedTable`. */
  readonly colocateWith: string;
  readonly limits: Partial<MoveLimits>;
}

/**
 * Looks whether the table can be distributed, gives the nodes the objects that it needs, and stores the job, which has the ids of all that will be made: in one transaction. The table itself is not locked. Resolves to the job's id. The coordinator database must have the
 * newest schema. `moveInProgress`, and what `createDistributedTable` throws.
 */
export function beginDistribution(context: DdlContext, wish: DistributionWish, { signal }: CallOptions): Promise<string> {
  return changeCatalog(context, {
    signal,
    keepsVersion: true,
    lockFirst: async (coordinator) => {
      const isName = !['default', 'none'].includes(wish.colocateWith);
      const found = await resolveTable(coordinator, wish.table, signal);
      // So that it stays what it is until this is stored.
      if (found.lockable) await coordinator.query({ text: `LOCK TABLE ${quoteQualified(found.schema, found.name)} IN ACCESS SHARE MODE` }, { signal });
      return { oid: found.oid, colocateWith: isName ? (await resolveTable(coordinator, wish.colocateWith, signal)).oid : wish.colocateWith === 'none' ? 'none' : 'default' } as const;
    },
    body: async (change, { oid, colocateWith }) => {
      const table = await readDefinition(change.coordinator, oid, change);
      await checkOnline(change, table);
      const prepared = await prepareDistribution(change, table, { ...wish, colocateWith });
      return storeJob(change, prepared, wish);
    },
  });
}

async function checkOnline(change: CatalogChange, table: TableDefinition): Promise<void> {
  checkTable(table);
  if (await isBeingDistributed(change.coordinator, table.oid, change)) throw new ClusterError('moveInProgress', `table "${table.name}" is being distributed already`, { hint: 'cluster.jobs() lists what is under way.' });
  if (table.partitionOf !== null) throw unsupportedTable(table, { message: `it is a partition of "${table.partitionOf.table.name}"`, hint: 'Distribute that one, with all its partitions.' });
  const referrer = table.referencedBy?.[0];
  if (referrer === undefined) return;
  throw unsupportedTable(table, {
    message: `foreign key "${referrer.constraint}" of table "${referrer.table.name}" refers to it`, detail: 'Its rows could not be taken away at one stroke.',
    hint: 'Drop the foreign key first, and make it again when both tables are distributed.',
  });
}

async function storeJob(change: CatalogChange, { members, choice, existing }: PreparedDistribution, { limits }: DistributionWish): Promise<string> {
  const { definition: { oid, schema, name }, distribution } = at(members, 0);
  const planned = existing === undefined ? await planGroup(change, choice) : undefined;
  const targets = await targetsOf(change, members.map(({ definition }) => definition), existing?.shardGroups ?? (planned?.slices ?? []));
  const distributed: DistributedTable = {
    oid, schema, name, column: distribution?.column.name, type: distribution?.type.name, hash: existing?.hash ?? planned?.hash ?? 'postgres',
    newGroup: planned === undefined ? undefined : { joinableByDefault: planned.joinableByDefault },
  };
  const { group, min } = at(targets, 0);
  const source = { group, node: coordinatorNodeId, min, max: at(targets, targets.length - 1).max };
  return insertJobIn(change.coordinator, { kind: 'distribute', state: 'preflight', sources: [source], targets, distributed, options: { ...limits } }, change);
}

/** The shard groups, with new ids where they have none yet, and new ids for the shards of all tables. */
async function targetsOf(change: CatalogChange, tables: readonly TableDefinition[], slices: readonly (HashRange & { readonly node: NodeId; readonly id?: ShardGroupId })[]): Promise<JobTarget[]> {
  const fresh = await newShardGroupIds(change.coordinator, slices.filter(({ id }) => id === undefined).length);
  const ids = await newShardIds(change.coordinator, slices.length * tables.length);
  return slices.map(({ id, node, min, max }, place) => ({
    group: id ?? at(fresh, place), node, min, max,
    shards: Object.fromEntries(tables.map(({ oid }, i) => [oid, at(ids, i * slices.length + place)])),
  }));
}
