import { ClusterError } from '../../base/errors.ts';

/** The refusal of a write: why, and what to do instead. */
export function refused(detail: string, hint: string): ClusterError {
  return new ClusterError('unsupportedWrite', 'the write cannot be distributed', { detail, hint });
}
