import { sqlStateOf } from '../base/errors.ts';
import type { ReadRoute } from '../cluster/read-route.ts';
import { isConnectionFailure } from '../cluster/translate-error.ts';
import type { StatementPlan } from '../plan/statement-plan.ts';
import type { OwnWrites } from './own-writes.ts';
import type { ReadOptions } from './read-options.ts';
import { joinedTokens, type SeenPositions } from './seen-positions.ts';

/** Whether a statement may read elsewhere than on primaries: one that writes or locks rows may not. */
export function mayReadOnReplicas(plan: StatementPlan): boolean {
  return plan.kind === 'select' && !plan.locks;
}

/** The route of a reader that sees what its token stands for, and the writes of its session and of the work that it is a part of. Undefined for primaries. `invalidParameter` for a token that is none. */
export function routeBy({ reads = 'primary', maxLagMs, maxLagBytes, token }: ReadOptions, writes: OwnWrites, session?: SeenPositions): ReadRoute | undefined {
  const given = token === undefined ? undefined : writes.tokens.parse(token);
  if (reads === 'primary') return undefined;
  const { positions, catalogVersion } = joinedTokens([given, session?.token, writes.scope?.token].filter((one) => one !== undefined));
  return { from: reads, maxLagMs, maxLagBytes, after: positions, catalogVersion, chosen: new Map(), requests: 0, onReplicas: 0 };
}

/** Runs a reading by its route. What fails on a replica for reasons that the primary may not have runs on primaries again, unless a primary has run a part of it, which may have called a function that writes. */
export function routed<T>(route: ReadRoute | undefined, run: (route: ReadRoute | undefined) => Promise<T>): Promise<T> {
  if (route === undefined) return run(undefined);
  return run(route).catch((error: unknown) => {
    if (!mayRunOnPrimaries(route, error)) throw error;
    return run(undefined);
  });
}

/** The same of rows in batches: with the first of them it is decided. */
export async function* routedBatches<T>(route: ReadRoute | undefined, run: (route: ReadRoute | undefined) => AsyncIterable<T>): AsyncGenerator<T> {
  let begun = false;
  try {
    for await (const batch of run(route)) {
      begun = true;
      yield batch;
    }
    return;
  } catch (error) {
    if (begun || route === undefined || !mayRunOnPrimaries(route, error)) throw error;
  }
  yield* run(undefined);
}

function mayRunOnPrimaries({ from, requests, onReplicas }: ReadRoute, error: unknown): boolean {
  return from === 'prefer-replica' && onReplicas > 0 && requests === onReplicas && mayNotFailOnPrimary(error);
}

/** It wrote (25006), met a definition that has not come to the replica, was in the way of its recovery (40001), or the replica is gone. */
function mayNotFailOnPrimary(error: unknown): boolean {
  const state = sqlStateOf(error) ?? '';
  return state === '25006' || state === '40001' || state.startsWith('42') || isConnectionFailure(error);
}
