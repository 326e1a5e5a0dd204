import { loadGrammar } from '../sql/parse.ts';
import type { MoveContext } from './move-context.ts';
import type { MovedGroups } from './moved-tables.ts';
import { readMovedGroups } from './read-groups.ts';
import { definitionChanged, definitionsChanged } from './streamed-tables.ts';

/** The tables as they were when their copies were made. `moveUndone` when one has changed, come or gone since. */
export async function unchangedGroups(context: MoveContext): Promise<MovedGroups> {
  await loadGrammar();
  const groups = await readMovedGroups(context.pools, context.job, context);
  checkUnchanged(context, groups);
  return groups;
}

export function checkUnchanged({ job }: Pick<MoveContext, 'job'>, { sources, fingerprint }: MovedGroups): void {
  const isInPlace = sources.every(({ node }, i) => node === job.sources[i]?.node);
  if (fingerprint === job.definitions && isInPlace) return;
  throw job.kind === 'add_node' ? definitionsChanged() : definitionChanged((sources[0]?.tables ?? []).map(({ definition }) => definition.name).join(', '));
}
