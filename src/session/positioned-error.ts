import { ClusterError } from '../base/errors.ts';
import type { NodeConnections } from '../cluster/node-connection.ts';
import { sqlStateOf } from '../base/errors.ts';

/**
 * A node's error with a position speaks of the text that the node got. The coordinator database, asked to describe the caller's own
 * text, gives the same error with the caller's position; where it gives none, or is not given (under another search path it might speak of other tables), the position is taken out.
 */
export async function positionedError(error: unknown, text: string, coordinator: Pick<NodeConnections, 'describe'> | undefined): Promise<unknown> {
  if (error instanceof ClusterError || typeof error !== 'object' || error === null) return error;
  if (!('position' in error) || error.position === undefined) return error;
  try {
    await coordinator?.describe(text);
  } catch (described) {
    if (sqlStateOf(described) === sqlStateOf(error)) return described;
  }
  Reflect.set(error, 'position', undefined);
  return error;
}
