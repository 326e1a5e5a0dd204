import { ClusterError } from '../../base/errors.ts';
import type { Obstacle } from '../../analyze/placement.ts';

/** The refusal of a statement that has no distributed plan yet. */
export function unsupported(detail: string, hint: string): ClusterError {
  return new ClusterError('unsupportedQuery', 'the statement cannot be distributed', { detail, hint });
}

/** Whether planning for shard groups alone ended in a refusal: there may be a plan in stages. */
export function isBeyondShards(error: unknown): boolean {
  return error instanceof ClusterError && error.id === 'unsupportedQuery';
}

export function refusal({ detail, hint }: Obstacle): ClusterError {
  return unsupported(detail, hint);
}
