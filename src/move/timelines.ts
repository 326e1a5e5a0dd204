import { isDeepStrictEqual } from 'node:util';
import type { NodeId } from '../catalog/ids.ts';
import { positionQuery, readPosition } from '../cluster/log-position.ts';
import type { StoredJob } from '../store/jobs.ts';
import type { MoveContext } from './move-context.ts';
import { nodesOf } from './moved-tables.ts';

/** Of each of a job's nodes the timeline of its primary, by the node's id. */
export type Timelines = Readonly<Record<string, number>>;

/**
 * Another server has become a node's primary since the copy was begun: it has no slot of the job's, and may lack the last that was read from the old one, or written to it. So the copy is begun again.
 */
export class ServerReplaced extends Error {
  constructor(readonly nodes: readonly NodeId[]) {
    super(`another server was promoted on node ${nodes.join(' and ')}`);
  }
}

export async function readTimelines({ pools, job, signal }: Pick<MoveContext, 'pools' | 'job' | 'signal'>): Promise<Timelines> {
  const nodes = nodesOf([...job.sources, ...job.targets]);
  return Object.fromEntries(await Promise.all(nodes.map(async (node) => [node, readPosition(await pools.get(node).query(positionQuery, { signal })).timeline] as const)));
}

/** Throws `ServerReplaced` where the job knows timelines and they are others by now. */
export async function checkTimelines(context: Pick<MoveContext, 'pools' | 'job' | 'signal'>): Promise<void> {
  const known = timelinesOf(context.job);
  if (known === undefined) return;
  const now = await readTimelines(context);
  if (!isDeepStrictEqual(known, now)) throw new ServerReplaced(nodesOf([...context.job.sources, ...context.job.targets]).filter((node) => known[node] !== now[node]));
}

/** Undefined before the copy is begun, and for a job of a version that did not write them down. */
function timelinesOf({ options }: Pick<StoredJob, 'options'>): Timelines | undefined {
  return options['timelines'] as Timelines | undefined;
}
