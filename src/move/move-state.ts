import { ClusterError } from '../base/errors.ts';

/**
 * What a move does next, in order. Stored in the job's row; each state's step is idempotent, so a process that dies in one is followed by another that does it again.
 *
 * | state | step |
 * |---|---|
 * | preflight | objections, before anything is touched |
 * | register | writes down all that will be made on the nodes |
 * | create | tables on the target, in a schema of their own; replica identities and a publication on the source |
 * | copy | a slot, and the rows that its snapshot shows |
 * | index | keys, indexes, the rest of the definition but foreign keys; statistics |
 * | catch_up | what changed since, until little is left |
 * | verify | the new shards have the rows of the old ones, at one moment |
 * | cut_over | the last changes, then all at once: catalog, old shards out of the way, new ones in their place |
 * | constrain | foreign keys, in force since the cut-over, are marked as valid |
 * | retain | the old shards are kept for a while |
 * | clean_up | what was written down is removed, the old shards among it |
 * | undo | the same, for a move that was given up before the cut-over |
 */
export const moveStates = ['preflight', 'register', 'create', 'copy', 'index', 'catch_up', 'verify', 'cut_over', 'constrain', 'retain', 'clean_up', 'undo', 'done', 'undone'] as const;
export type MoveState = (typeof moveStates)[number];

/** As stored: a newer version may have others. */
export type StoredState = MoveState | (string & Record<never, never>);

/** Those with a step. */
export type WorkingState = Exclude<MoveState, 'done' | 'undone'>;

/** `replaced`: one of the servers is another one since the copy was begun. */
export type StepOutcome = 'succeeded' | 'failed' | 'replaced';

/**
 * The whole machine. A step that fails for good leads back; behind the cut-over there is no way back, so a step that fails there is tried again, and so is an undo. A failover in between
 * leads back to where the copy begins.
 */
const transitions: Readonly<Record<WorkingState, Readonly<Record<'succeeded' | 'failed', MoveState>> & { readonly replaced?: MoveState }>> = {
  preflight: { succeeded: 'register', failed: 'undone' },
  register: { succeeded: 'create', failed: 'undo' },
  create: { succeeded: 'copy', failed: 'undo' },
  copy: { succeeded: 'index', failed: 'undo', replaced: 'create' },
  index: { succeeded: 'catch_up', failed: 'undo', replaced: 'create' },
  catch_up: { succeeded: 'verify', failed: 'undo', replaced: 'create' },
  verify: { succeeded: 'cut_over', failed: 'undo', replaced: 'create' },
  cut_over: { succeeded: 'constrain', failed: 'undo', replaced: 'create' },
  constrain: { succeeded: 'retain', failed: 'constrain' },
  retain: { succeeded: 'clean_up', failed: 'retain' },
  clean_up: { succeeded: 'done', failed: 'clean_up' },
  undo: { succeeded: 'undone', failed: 'undo' },
};

/** The way of a job that copies nothing beforehand: all is done by one transaction. */
const atOnce: Readonly<Partial<Record<WorkingState, MoveState>>> = { preflight: 'cut_over', cut_over: 'done' };

export type MoveWay = 'in_steps' | 'at_once';

export function nextState(state: WorkingState, outcome: StepOutcome, way: MoveWay = 'in_steps'): MoveState {
  const shorter = way === 'at_once' && outcome === 'succeeded' ? atOnce[state] : undefined;
  return shorter ?? transitions[state][outcome] ?? state;
}

/** Whether the step rests on a copy that its servers must have kept. */
export function restsOnCopy(state: WorkingState): boolean {
  return transitions[state].replaced !== undefined;
}

export function isOver(state: MoveState): state is 'done' | 'undone' {
  return state === 'done' || state === 'undone';
}

/** Whether the move can still be given up. */
export function isUndoable(state: WorkingState): boolean {
  return nextState(state, 'failed') !== state;
}

export function isKnown(state: string): state is MoveState {
  return moveStates.some((known) => known === state);
}

/** `moveInProgress` for a state that this version does not know: such a job is left to the newer one that brought it there. */
export function readState({ id, state }: { readonly id: string; readonly state: string }): MoveState {
  if (isKnown(state)) return state;
  throw new ClusterError('moveInProgress', `job ${id} is in state "${state}", which this version of shardwright does not know`, { hint: 'A process with the version that brought it there carries it on.' });
}

/** Called before each state's step and behind it, before the next state is stored. One that throws fails the step there. For tests. */
export type MoveStep = `${WorkingState}:begun` | `${WorkingState}:done`;
