import { ClusterError, sqlStateOf } from '../../base/errors.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import { type Change, deleteEmptyGroups, groupOfPlaced, insertPlannedGroup, lockCatalog } from '../../store/catalog-changes.ts';
import { type DistributedTable, letGroupsGo } from '../../store/jobs.ts';
import type { MoveContext } from '../move-context.ts';

/** Makes the colocation group that the table needs, unless it is there. `moveUndone` when another one has come meanwhile that it would have to join. */
export async function registerGroup(context: MoveContext, { newGroup, type, hash }: DistributedTable): Promise<void> {
  if (newGroup === undefined) return;
  const { targets } = context.job;
  await inCatalog(context, async (change) => {
    if ((await groupOfPlaced(change, targets)) !== undefined) return;
    try {
      await insertPlannedGroup(change, { distributionType: type, shardCount: targets.length, hash, ...newGroup }, targets);
    } catch (error) {
      if (sqlStateOf(error) !== '23505') throw error;
      throw new ClusterError('moveUndone', 'a table was distributed that this one is to be co-located with', { hint: 'Start it again.', cause: error });
    }
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
  const transaction = context.begin();
  try {
    const change = { coordinator: await transaction.join(coordinatorNodeId, 'write', { signal }), signal };
    await lockCatalog(change);
    await work(change);
    await transaction.commit({ signal });
  } catch (error) {
    await transaction.rollback();
    throw error;
  }
}
