import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { withConnection } from '../cluster/with-connection.ts';
import { definitionSettings } from '../ddl/definition-settings.ts';
import type { StoredJob } from '../store/jobs.ts';
import { readLocalTable } from './distribute/read-local-table.ts';
import { type MovedGroups, readShardGroups } from './moved-tables.ts';

type Job = Pick<StoredJob, 'sources' | 'targets'> & Partial<Pick<StoredJob, 'id' | 'distributed'>>;

/** What a job takes rows from and what it makes, read in a transaction of its own. `moveRefused` when there is no such group, `moveUndone` when tables have come or gone since the job began. */
export function readMovedGroups(pools: NodePools, job: Job, options?: CallOptions): Promise<MovedGroups> {
  return inOneSnapshot(pools, options, (coordinator) => readGroupsIn(coordinator, job, options));
}

/** Reads the coordinator database as of one moment, under `definitionSettings`. */
export function inOneSnapshot<T>(pools: NodePools, options: CallOptions | undefined, read: (coordinator: NodeConnection) => Promise<T>): Promise<T> {
  return withConnection(pools.get(coordinatorNodeId), options?.signal, async (coordinator) => {
    await coordinator.query({ text: `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${definitionSettings}`, simple: true }, options);
    const found = await read(coordinator);
    await coordinator.query({ text: 'COMMIT' }, options);
    return found;
  });
}

/** As `readMovedGroups`, in the connection's transaction, which must have `definitionSettings`. */
export function readGroupsIn(coordinator: NodeConnection, job: Job, options?: CallOptions): Promise<MovedGroups> {
  const { id, distributed } = job;
  return id === undefined || distributed === undefined ? readShardGroups(coordinator, job, options) : readLocalTable(coordinator, { ...job, id, distributed }, options);
}
