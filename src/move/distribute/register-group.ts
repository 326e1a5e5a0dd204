import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import { type Change, deleteEmptyGroups, groupOfPlaced, insertPlannedGroup, lockCatalog } from '../../store/catalog-changes.ts';
import { type DistributedTable, letGroupsGo } from '../../store/jobs.ts';
import { inTransaction } from '../../txn/in-transaction.ts';
import type { MoveContext } from '../move-context.ts';

/** Makes the colocation group that the table needs, unless it is there. */
export async function registerGroup(context: MoveContext, { newGroup, type, hash }: DistributedTable): Promise<void> {
  if (newGroup === undefined) return;
  const { targets } = context.job;
  await inCatalog(context, async (change) => {
    if ((await groupOfPlaced(change, targets)) !== undefined) return;
    await insertPlannedGroup(change, { distributionType: type, shardCount: targets.length, hash, ...newGroup }, targets);
  });
}

/** Lets go of the shard groups. A colocation group to which no table has come in the end goes. */
export async function releaseGroup(context: MoveContext): Promise<void> {
  await inCatalog(context, async (change) => {
    await letGroupsGo(change.coordinator, context.job.id);
    await deleteEmptyGroups(change);
  });
}

/** Statements know nothing of a group without tables, so none need be planned anew. */
async function inCatalog(context: MoveContext, work: (change: Change) => Promise<void>): Promise<void> {
  const { signal } = context;
  await inTransaction(context.begin(), { signal }, async (transaction) => {
    const change = { coordinator: await transaction.join(coordinatorNodeId, 'write', { signal }), signal };
    await lockCatalog(change);
    await work(change);
  });
}
