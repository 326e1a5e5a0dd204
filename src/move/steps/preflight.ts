import { ClusterError } from '../../base/errors.ts';
import { loadGrammar } from '../../sql/parse.ts';
import type { MoveContext } from '../move-context.ts';
import { readMovedGroups } from '../moved-tables.ts';
import { preflightWish, runPreflight } from '../preflight/run-preflight.ts';

/** What a job does to its shard groups. */
export const participles = { move: 'moved', split: 'split', merge: 'merged', add_node: 'copied' } as const;

/** Whether the move can begin: `moveRefused` with all objections at once, and nothing was touched. */
export async function preflight({ pools, job, signal }: MoveContext): Promise<void> {
  await loadGrammar();
  const groups = await readMovedGroups(pools, job, { signal });
  const { checks } = await runPreflight(pools, preflightWish(job, groups), { signal });
  const objections = checks.filter(({ ok, level }) => !ok && level === 'error').map(({ message }) => message);
  if (objections.length === 0) return;
  const which = groups.sources.map(({ id }) => id).join(' and ');
  throw new ClusterError('moveRefused', `shard group ${which} cannot be ${participles[job.kind]}`, { detail: `${objections.join('. ')}.`, hint: 'Nothing was changed. Start the move again when this is settled.' });
}
