import { setTimeout as delay } from 'node:timers/promises';
import { canceled, throwIfAborted } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import { isConnectionFailure } from '../cluster/translate-error.ts';
import { insertJob, readJob } from '../store/jobs.ts';
import type { MoveLimits, MoveServices } from './move-context.ts';
import type { JobPlan } from './new-job.ts';
import { isOver, readState } from './move-state.ts';
import { isDue, type MoveEnd, type MoveEvent, patienceMsDefault, runMove, type RunMoveOptions } from './run-move.ts';

/** A job that is to be done. */
export interface JobWish extends JobPlan {
  /** And what else is to be kept with the job. */
  readonly limits: Partial<MoveLimits> & Readonly<Record<string, unknown>>;
}

/** Stores a job that is to be done, and does it. Resolves to its id. Throws what refused it, or `moveUndone` with the cause when it was given up; `canceled`. */
export async function doJob(services: MoveServices, { limits, ...job }: JobWish, options: RunMoveOptions = {}): Promise<string> {
  throwIfAborted(options.cancel);
  const id = await insertJob(services.pools.get(coordinatorNodeId), { ...job, state: 'preflight', options: { ...limits } });
  throwIfUndone(id, await carryOn(services, id, options), options.cancel);
  return id;
}

/** Carries a job on until it is over, also when the coordinator database is away for a while; when another process works on it, waits for that one. */
export async function carryOn(services: MoveServices, id: string, options: RunMoveOptions): Promise<MoveEnd> {
  for (let failingSince: number | undefined; ;) {
    try {
      const end = (await runMove(services, id, options)) ?? (await endSeen(services, id, options.onProgress));
      if (end !== undefined) return end;
      failingSince = undefined;
    } catch (error) {
      failingSince ??= performance.now();
      const isOver = options.leave?.aborted === true || performance.now() - failingSince > (options.patienceMs ?? patienceMsDefault);
      if (isOver || !isConnectionFailure(error)) throw error;
    }
    await delay(pollMs, undefined, { signal: options.leave });
  }
}

const pollMs = 200;

async function endSeen({ pools }: MoveServices, id: string, onProgress: ((event: MoveEvent) => void) | undefined): Promise<MoveEnd | undefined> {
  const job = await readJob(pools.get(coordinatorNodeId), id);
  const state = readState(job);
  onProgress?.({ jobId: id, state, ...job.progress });
  return isOver(state) || (state === 'retain' && !isDue(job)) ? { state, error: job.error } : undefined;
}

export function throwIfUndone(id: string, { state, error }: MoveEnd, cancel: AbortSignal | undefined): void {
  if (state === 'undo') throw leftToUndo(id, error);
  if (state !== 'undone') return;
  if (cancel?.aborted === true) throw canceled(cancel);
  if (error instanceof ClusterError && ['moveRefused', 'canceled', 'moveUndone'].includes(error.id)) throw error;
  throw new ClusterError('moveUndone', `job ${id} was undone: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
}

export function leftToUndo(id: string, error: unknown): ClusterError {
  return new ClusterError('moveUndone', `job ${id} was given up: ${error instanceof Error ? error.message : String(error)}`, {
    detail: 'A server is away: what the job has made there will be removed when it is back. All else is as it was.', hint: 'cluster.jobs() lists the job until then; resumeJob() tries at once.', cause: error,
  });
}
