import { ClusterError } from '../../base/errors.ts';
import { loadGrammar } from '../../sql/parse.ts';
import type { MoveContext } from '../move-context.ts';
import { readMovedGroups } from '../read-groups.ts';
import { preflightWish, runPreflight } from '../preflight/run-preflight.ts';

/** What a job does to its shard groups. */
export const participles = { move: 'moved', split: 'split', merge: 'merged', add_node: 'copied', distribute: 'distributed' } as const;

/** Whether the move can begin: `moveRefused` with all objections at once, and nothing was touched. */
export async function preflight({ pools, job, signal }: MoveContext): Promise<void> {
  await loadGrammar();
  const groups = await readMovedGroups(pools, job, { signal });
  const { checks } = await runPreflight(pools, preflightWish(job, groups), { signal });
  const objections = checks.filter(({ ok, level }) => !ok && level === 'error').map(({ message }) => message);
  if (objections.length === 0) return;
  const detail = `${objections.join('. ')}.`;
  if (job.distributed !== undefined) {
    const hint = 'Nothing was changed. Start it again when this is settled, or without "online", which locks the table while its rows go to the shards.';
    throw new ClusterError('moveRefused', `table "${job.distributed.name}" cannot be distributed online`, { detail, hint });
  }
  const which = groups.sources.map(({ id }) => id).join(' and ');
  throw new ClusterError('moveRefused', `shard group ${which} cannot be ${participles[job.kind]}`, { detail, hint: 'Nothing was changed. Start the move again when this is settled.' });
}
