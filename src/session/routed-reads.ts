import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { ReadRoute } from '../cluster/read-route.ts';
import { isConnectionFailure } from '../cluster/translate-error.ts';
import { parseReadToken } from '../ha/read-token.ts';
import type { StatementPlan } from '../plan/statement-plan.ts';

/** Where queries of distributed and reference tables read, of nodes that have replicas. */
export interface ReadOptions {
  /** `primary` by default. `prefer-replica`: on a replica within the limits, or on the primary where there is none. `replica`: fails with `noReplica` then. A node with one server alone is read there. */
  readonly reads?: 'primary' | 'prefer-replica' | 'replica' | undefined;
  /** Milliseconds that what a replica shows may be old, at most; it is found to be within them by probes, so replicas are passed over rather than trusted. No limit by default. */
  readonly maxLagMs?: number | undefined;
  /** Bytes of the primary's log that a replica may lack, as of its last probe. No limit by default. */
  readonly maxLagBytes?: number | undefined;
  /** Of `cluster.readToken()`: what was committed before is seen. */
  readonly token?: string | undefined;
}

const choices: ReadonlySet<string> = new Set(['primary', 'prefer-replica', 'replica']);

/** Throws `invalidParameter`. */
export function checkReadOptions({ reads, maxLagMs, maxLagBytes }: ReadOptions): void {
  if (reads !== undefined && !choices.has(reads)) throw new ClusterError('invalidParameter', `reads must be one of ${[...choices].join(', ')}`, { detail: `It is "${reads}".` });
  for (const [name, value] of Object.entries({ maxLagMs, maxLagBytes })) {
    if (value !== undefined && !(value >= 0)) throw new ClusterError('invalidParameter', `${name} must not be negative`, { detail: `It is ${value}.` });
  }
}

/** Undefined for what must run on primaries: writes, row locks, and all that nobody wants elsewhere. */
export function routeOf(plan: StatementPlan, ...[defaults, asked]: readonly (ReadOptions | undefined)[]): ReadRoute | undefined {
  if (plan.kind !== 'select' || plan.locks) return undefined;
  const { reads = 'primary', maxLagMs, maxLagBytes, token } = { ...defaults, ...asked };
  if (asked !== undefined) checkReadOptions(asked);
  if (reads === 'primary') return undefined;
  return { from: reads, maxLagMs, maxLagBytes, after: token === undefined ? new Map() : parseReadToken(token), chosen: new Map(), requests: 0, onReplicas: 0 };
}

/** Runs a reading by its route. What fails on a replica for reasons that the primary may not have runs on primaries again, unless a primary has run a part of it, which may have called a function that writes. */
export function routed<T>(route: ReadRoute | undefined, run: (route: ReadRoute | undefined) => Promise<T>): Promise<T> {
  if (route === undefined) return run(undefined);
  return run(route).catch((error: unknown) => {
    if (route.from === 'replica' || route.requests > route.onReplicas || !mayNotFailOnPrimary(error)) throw error;
    return run(undefined);
  });
}

/** It wrote (25006), met a definition that has not come to the replica, was in the way of its recovery (40001), or the replica is gone. */
function mayNotFailOnPrimary(error: unknown): boolean {
  const state = sqlStateOf(error) ?? '';
  return state === '25006' || state === '40001' || state.startsWith('42') || isConnectionFailure(error);
}
