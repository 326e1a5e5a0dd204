import { loadGrammar } from '../sql/parse.ts';
import type { MoveContext } from './move-context.ts';
import { type MovedGroup, readMovedGroup } from './moved-tables.ts';
import { definitionChanged } from './streamed-tables.ts';

/** The tables as they were when their copies were made. `moveUndone` when one has changed, come or gone since. */
export async function unchangedGroup(context: MoveContext): Promise<MovedGroup> {
  await loadGrammar();
  const group = await readMovedGroup(context.pools, context.job.shardGroup, context);
  checkUnchanged(context, group);
  return group;
}

export function checkUnchanged({ job }: Pick<MoveContext, 'job'>, group: MovedGroup): void {
  if (group.fingerprint !== job.definitions || group.node !== job.source) throw definitionChanged(group.tables.map(({ definition }) => definition.name).join(', '));
}
