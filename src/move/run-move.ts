import { setTimeout as delay } from 'node:timers/promises';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import { isConnectionFailure } from '../cluster/translate-error.ts';
import { changeState, readJob, storeProgress, type StoredJob, storeTimelines } from '../store/jobs.ts';
import { cutIn } from './add-node/cut-in.ts';
import { nodeOfJob } from './add-node/node-of-job.ts';
import { createNode, preflightNode } from './add-node/node-steps.ts';
import { defaultMoveLimits, type MoveContext, type MoveLimits, type MoveOptions, type MoveProgress, type MoveServices, namesOf } from './move-context.ts';
import { nodesOf } from './moved-tables.ts';
import { isOver, isUndoable, type MoveState, nextState, readState, restsOnCopy, type WorkingState } from './move-state.ts';
import { ProgressMeter, type ProgressRates } from './progress-rates.ts';
import { type RateLimit, rateLimit } from './rate-limit.ts';
import { isLockConflict, withConnection } from '../cluster/with-connection.ts';
import { settlePrepared } from './settle-prepared.ts';
import { cleanUp, constrain, undo } from './steps/after-cut-over.ts';
import { catchUp } from './steps/catch-up.ts';
import { copy } from './steps/copy.ts';
import { create } from './steps/create.ts';
import { cutOver } from './steps/cut-over.ts';
import { indexTarget } from './steps/index-target.ts';
import { preflight } from './steps/preflight.ts';
import { register } from './steps/register.ts';
import { verifyCopies } from './steps/verify-copies.ts';
import { checkTimelines, readTimelines, ServerReplaced } from './timelines.ts';
import { watchSlots } from '../replication/watch-slots.ts';

type Steps = Readonly<Record<WorkingState, (context: MoveContext) => Promise<void>>>;

const steps: Steps = {
  preflight, register, create, copy, index: indexTarget, catch_up: catchUp, verify: verifyCopies, cut_over: cutOver, constrain,
  // Entered only when the time is over.
  retain: () => Promise.resolve(),
  clean_up: cleanUp, undo,
};

/** Reference tables go to a new node as shard groups go to another; what is different is said here. */
const nodeSteps: Steps = { ...steps, preflight: preflightNode, create: createNode, cut_over: cutIn };

/** States in which a cut-over of another process, or an attempt before, may have left its parts prepared. */
const besidePrepared: readonly WorkingState[] = ['create', 'cut_over', 'constrain', 'clean_up', 'undo'];

/** States in which the slot is there, and is to be read. */
const afterSlot: readonly WorkingState[] = ['index', 'catch_up', 'verify', 'cut_over'];

export interface RunMoveOptions extends MoveOptions {
  /** Aborting it gives the move up, which is undone then, unless it is past its cut-over. */
  readonly cancel?: AbortSignal | undefined;
  /** Aborting it leaves the move as it is, for another process. */
  readonly leave?: AbortSignal | undefined;
  readonly onProgress?: ((event: MoveEvent) => void) | undefined;
  /** How long a server may be away before the move is given up, or left to another time: a minute. */
  readonly patienceMs?: number | undefined;
}

/** How far a move is: its state, and figures of it that grew. */
export interface MoveEvent extends MoveProgress, ProgressRates {
  readonly jobId: string;
  readonly state: MoveState;
}

export interface MoveEnd {
  /** `retain`: it was made, and the old shards are there until their time is over; `clean_up`: or until nobody uses any more what they refer to; `undo`: it was given up, and will be undone when a server is back. */
  readonly state: 'done' | 'undone' | 'retain' | 'clean_up' | 'undo';
  /** Why it was undone; of this process, or a text of another's. */
  readonly error: unknown;
}

export const patienceMsDefault = 60_000;
const pollMs = 500;
const backOffMs = { first: 50, max: 2_000 } as const;

/**
 * Carries a move on from where it is, until it is over. One process at a time: undefined when another one works on it. Throws when it cannot go on, or is told to leave; the move
 * stays as it is then, and can be carried on later by anybody.
 */
export function runMove(services: MoveServices, id: string, options: RunMoveOptions = {}): Promise<MoveEnd | undefined> {
  return withConnection(services.pools.get(coordinatorNodeId), options.leave, async (claim) => {
    if (!(await tryLock(claim, services, id))) return undefined;
    const job = await readJob(claim, id);
    using _admitted = job.kind === 'add_node' ? services.admitNodes([nodeOfJob(job)]) : undefined;
    const run = new MoveRun(services, claim, { id, options });
    try {
      return await run.toEnd();
    } finally {
      await run.end();
      await unlock(claim, services, id);
    }
  });
}

const lockKey = (clusterId: string, id: string): string => `shardwright job ${clusterId} ${id}`;

async function tryLock(claim: NodeConnection, { clusterId }: MoveServices, id: string): Promise<boolean> {
  const { rows } = await claim.query({ text: 'SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended($1, 0))', values: [lockKey(clusterId, id)] });
  return rows[0]?.[0] === 't';
}

async function unlock(claim: NodeConnection, { clusterId }: MoveServices, id: string): Promise<void> {
  // A connection that is lost has no lock any more.
  await claim.query({ text: 'SELECT pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended($1, 0))', values: [lockKey(clusterId, id)] }).catch(() => undefined);
}

class MoveRun {
  readonly #feeds: MoveContext['feeds'] = new Map();
  /** Aborted when the step shall end: the move is given up, left, or its lock lost. */
  #stopping = new AbortController();
  /** Why this process gave the move up. */
  #cause: { readonly error: unknown } | undefined;
  #failing: { readonly since: number; waitMs: number } | undefined;
  /** Something may have gone wrong before: in another process, or in this one. */
  #isSuspicious = true;
  #progress: MoveProgress = {};
  #rate: RateLimit | undefined;
  readonly #meter = new ProgressMeter();
  #isReported = true;

  constructor(
    private readonly services: MoveServices,
    private readonly claim: NodeConnection,
    private readonly how: { readonly id: string; readonly options: RunMoveOptions },
  ) {}

  async toEnd(): Promise<MoveEnd> {
    for (;;) {
      const job = await readJob(this.claim, this.how.id);
      const state = readState(job);
      this.#tell(state);
      if (isOver(state)) return { state, error: this.#cause?.error ?? job.error };
      if (state === 'retain' && !isDue(job)) return { state, error: undefined };
      if (state === 'preflight') this.#isSuspicious = false;
      try {
        await this.#try(job, state);
      } catch (error) {
        if (state === 'clean_up' && isLockConflict(error)) return { state, error: undefined };
        if (await this.#isLeft(job, state, error)) return { state: 'undo', error: this.#cause?.error ?? job.error };
        continue;
      }
      if (this.#failing !== undefined) await this.#tellTrouble(null);
      this.#failing = undefined;
      await this.#advance(job, state);
    }
  }

  async end(): Promise<void> {
    for (const feed of this.#feeds.values()) await feed.end();
    this.#feeds.clear();
  }

  /**
   * Lets the step be tried again while a server is away, and behind the cut-over whatever happens; else gives the move up. True when nothing is left but to undo it, on a server that stays away: another process, or this one,
   * does so later. Throws when this process cannot go on.
   */
  async #isLeft(job: StoredJob, state: WorkingState, error: unknown): Promise<boolean> {
    await this.end();
    this.#isSuspicious = true;
    const { leave, cancel, patienceMs = patienceMsDefault } = this.how.options;
    if (leave?.aborted === true) throw error;
    this.#failing ??= { since: performance.now(), waitMs: backOffMs.first };
    const isPatient = performance.now() - this.#failing.since < patienceMs;
    if (restsOnCopy(state) && !this.#isUnwanted && (await this.#isReplaced(job, error))) {
      await this.#tellTrouble(textOf(error));
      await changeState(this.claim, { id: job.id, from: state, to: nextState(state, 'replaced') });
      return false;
    }
    const isCanceled = cancel?.aborted === true || this.#stopping.signal.aborted;
    if (!isUndoable(state) || (isPatient && !isCanceled && isConnectionFailure(error))) {
      await this.#tellTrouble(textOf(error));
      if (state === 'undo' && !isPatient && isConnectionFailure(error)) return true;
      if (!isPatient) throw error;
      await delay(this.#failing.waitMs);
      this.#failing.waitMs = Math.min(this.#failing.waitMs * 2, backOffMs.max);
      return false;
    }
    this.#cause = { error: isCanceled && this.#stopping.signal.reason instanceof ClusterError ? this.#stopping.signal.reason : error };
    // A cut-over whose outcome was unknown may have succeeded: then the state is another one, which the next turn finds.
    await changeState(this.claim, { id: this.how.id, from: state, to: nextState(state, 'failed'), error: textOf(this.#cause.error) });
    this.#failing = undefined;
    return false;
  }

  /** Somebody wants the job undone, or this process is not to go on with it. */
  get #isUnwanted(): boolean {
    const { reason } = this.#stopping.signal;
    return this.how.options.cancel?.aborted === true || (reason instanceof ClusterError && reason.id === 'canceled');
  }

  /** Whatever a step has failed with: that it was on another server may be why. */
  async #isReplaced(job: StoredJob, error: unknown): Promise<boolean> {
    if (error instanceof ServerReplaced) return true;
    return checkTimelines({ ...this.services, job, signal: new AbortController().signal }).then(() => false, (reason: unknown) => reason instanceof ServerReplaced);
  }

  async #try(job: StoredJob, state: WorkingState): Promise<void> {
    using _watching = this.#watch(job, state);
    const { onStep } = this.how.options;
    const context: MoveContext = {
      ...this.services, job, claim: this.claim, onStep, feeds: this.#feeds, limits: limitsOf(job), rate: (this.#rate ??= rateLimit(limitsOf(job).maxBytesPerSecond)),
      signal: this.#stopping.signal,
      report: (progress) => this.#report(progress),
    };
    using _guarding = this.#guard(context, state);
    await onStep?.(`${state}:begun`);
    const unsettled = this.#isSuspicious && besidePrepared.includes(state) ? await unsettledBy(settlePrepared(context)) : undefined;
    // What is given up cannot be committed any more, so what servers that answer have of it goes at once.
    if (unsettled !== undefined && state !== 'undo') throw unsettled.error;
    if (state === 'create') await storeTimelines(this.claim, job.id, await readTimelines(context));
    if (restsOnCopy(state)) await checkTimelines(context);
    await (job.kind === 'add_node' ? nodeSteps : steps)[state](context);
    if (unsettled !== undefined) throw unsettled.error;
    await onStep?.(`${state}:done`);
  }

  /** Looks after the signals, the lock, and whether somebody has asked to cancel; stores how far the move is. */
  #watch(job: StoredJob, state: WorkingState): Disposable {
    this.#stopping = new AbortController();
    const { cancel, leave } = this.how.options;
    const stop = (reason: unknown): void => this.#stopping.abort(reason);
    const onCancel = (): void => stop(cancel?.reason);
    const onLeave = (): void => stop(leave?.reason);
    if (isUndoable(state)) cancel?.addEventListener('abort', onCancel);
    leave?.addEventListener('abort', onLeave);
    if (isUndoable(state) && (cancel?.aborted === true || job.cancelRequested)) stop(cancel?.reason ?? canceledByRequest(job.id));
    if (leave?.aborted === true) onLeave();
    const timer = setInterval(() => {
      storeProgress(this.claim, job.id, this.#progress).then((isCanceled) => {
        if (isCanceled && isUndoable(state)) stop(canceledByRequest(job.id));
        if (!this.#isReported) this.#tell(state);
      }, stop);
    }, pollMs);
    return {
      [Symbol.dispose]: () => {
        clearInterval(timer);
        cancel?.removeEventListener('abort', onCancel);
        leave?.removeEventListener('abort', onLeave);
      },
    };
  }

  /** Looks after the slot, and ends the step when it is lost, or keeps too much. */
  #guard(context: MoveContext, state: WorkingState): Disposable {
    const isMade = afterSlot.includes(state);
    if (!isMade && state !== 'copy') return { [Symbol.dispose]: () => undefined };
    const slots = nodesOf(context.job.sources).map((node) => ({ node: context.pools.get(node), name: namesOf(context).slot(node) }));
    return watchSlots(slots, {
      owner: { error: 'moveUndone', name: 'the move', remedy: 'Start the move again' },
      maxRetainedBytes: context.limits.maxRetainedBytes, isMade,
      onRetained: (retainedBytes) => this.#report({ retainedBytes }),
      onTrouble: (error) => this.#stopping.abort(error),
    });
  }

  async #tellTrouble(trouble: string | null): Promise<void> {
    this.#report({ trouble });
    await storeProgress(this.claim, this.how.id, this.#progress);
  }

  #report(progress: MoveProgress): void {
    this.#progress = { ...this.#progress, ...progress };
    this.#isReported = false;
  }

  #tell(state: MoveState): void {
    this.#isReported = true;
    this.how.options.onProgress?.({ jobId: this.how.id, state, ...this.#progress, ...this.#meter.rates(this.#progress, performance.now()) });
  }

  /** The cut-over has stored its state itself, together with its work. */
  async #advance({ kind, sources }: StoredJob, state: WorkingState): Promise<void> {
    if (state === 'cut_over') {
      await this.services.refreshCatalog();
      return;
    }
    await storeProgress(this.claim, this.how.id, this.#progress);
    const isOurs = await changeState(this.claim, { id: this.how.id, from: state, to: nextState(state, 'succeeded', kind === 'add_node' && sources.length === 0 ? 'at_once' : 'in_steps') });
    if (!isOurs) throw new ClusterError('moveInProgress', `job ${this.how.id} was carried on by another process`);
  }
}

async function unsettledBy(settling: Promise<void>): Promise<{ readonly error: unknown } | undefined> {
  try {
    await settling;
    return undefined;
  } catch (error) {
    return { error };
  }
}

function limitsOf({ options }: StoredJob): MoveLimits {
  return { ...defaultMoveLimits, ...(options as Partial<MoveLimits>) };
}

/** Whether the old shards may go: their time is over, or somebody has asked for the end of the job. */
export function isDue(job: StoredJob): boolean {
  return job.cancelRequested || Date.now() >= job.changedAt.getTime() + limitsOf(job).retainMs;
}

function canceledByRequest(id: string): ClusterError {
  return new ClusterError('canceled', `job ${id} was cancelled`);
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const detail: unknown = Reflect.get(error, 'detail');
  return typeof detail === 'string' ? `${error.message}: ${detail}` : error.message;
}
