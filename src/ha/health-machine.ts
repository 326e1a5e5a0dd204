/**
 * - `unknown`: not asked yet;
 * - `candidate`: takes writes, but others might be newer;
 * - `primary`, `replica`;
 * - `alias`: another name of a server that takes writes: the first is enough;
 * - `suspect`: something broke, or one probe had no answer: nothing new is sent there before the next one has;
 * - `outdated`: takes writes, though another server was promoted since: never written to;
 * - `foreign`: of another system: never used;
 * - `down`: does not answer. Its circuit is open: only probes try it, ever more rarely.
 */
export type ServerState = 'unknown' | 'candidate' | 'primary' | 'replica' | 'alias' | 'suspect' | 'outdated' | 'foreign' | 'down';

/** What was learned of a server. `trouble`: a connection to it broke, or could not be made. */
export type HealthEvent = 'is_primary' | 'is_unconfirmed' | 'is_replica' | 'is_alias' | 'is_outdated' | 'is_foreign' | 'trouble' | 'no_answer';

interface Transition {
  readonly from: readonly ServerState[];
  readonly on: HealthEvent;
  readonly to: ServerState;
  readonly why: string;
}

const all: readonly ServerState[] = ['unknown', 'candidate', 'primary', 'replica', 'alias', 'suspect', 'outdated', 'foreign', 'down'];

export const transitions: readonly Transition[] = [
  { from: all, on: 'is_primary', to: 'primary', why: 'takes writes, on the newest timeline known' },
  { from: all, on: 'is_unconfirmed', to: 'candidate', why: 'takes writes, but another server may have been promoted since' },
  { from: all, on: 'is_replica', to: 'replica', why: 'is in recovery' },
  { from: all, on: 'is_alias', to: 'alias', why: 'takes writes, and is used under another of its names' },
  { from: all, on: 'is_outdated', to: 'outdated', why: 'takes writes, but another server was promoted since' },
  { from: all, on: 'is_foreign', to: 'foreign', why: 'is not a copy of the same system' },
  { from: ['candidate', 'primary', 'replica', 'alias'], on: 'trouble', to: 'suspect', why: 'a connection broke or was refused' },
  { from: ['candidate', 'primary', 'replica', 'alias'], on: 'no_answer', to: 'suspect', why: 'a probe had no answer' },
  { from: ['unknown', 'suspect', 'down', 'outdated', 'foreign'], on: 'no_answer', to: 'down', why: 'does not answer' },
];

export interface Health {
  readonly state: ServerState;
  readonly why: string;
  /** When it came to the state. */
  readonly sinceMs: number;
  /** Probes without answer, one after the other. */
  readonly failures: number;
}

export const neverAsked: Health = { state: 'unknown', why: 'was not asked yet', sinceMs: 0, failures: 0 };

/** Events that the table does not have for a state change nothing. */
export function nextHealth(health: Health, event: HealthEvent, nowMs: number): Health {
  const row = transitions.find(({ from, on }) => on === event && from.includes(health.state));
  if (row === undefined) return health;
  const failures = event === 'no_answer' ? health.failures + 1 : event === 'trouble' ? health.failures : 0;
  return { state: row.to, why: row.why, sinceMs: row.to === health.state ? health.sinceMs : nowMs, failures };
}

/** Which connections must not serve any longer. */
export function brokenBy(before: ServerState, after: ServerState): 'all' | 'writing' | 'none' {
  if (before === after) return 'none';
  if (after === 'replica') return 'writing';
  return after === 'outdated' || after === 'foreign' || after === 'down' ? 'all' : 'none';
}

export interface ProbeTimes {
  /** Between probes of a server that is well. */
  readonly intervalMs: number;
  /** Between tries of one that is down, at most. */
  readonly backOffMaxMs: number;
}

const firstRetryMs = 50;

/** How long until the server is asked again. */
export function probeDelayMs({ state, failures }: Health, { intervalMs, backOffMaxMs }: ProbeTimes): number {
  if (state === 'unknown' || state === 'suspect') return 0;
  if (state === 'candidate') return firstRetryMs;
  if (state === 'down') return Math.min(firstRetryMs * 2 ** Math.min(failures - 1, 20), backOffMaxMs);
  return intervalMs;
}
