import { ClusterError } from '../../base/errors.ts';
import { forgetObjects, type JobObject, type JobTarget, readObjects } from '../../store/jobs.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { loadGrammar } from '../../sql/parse.ts';
import { dropObject } from '../drop-objects.ts';
import { type MoveContext, namesOf } from '../move-context.ts';
import { readMovedGroups, type TargetGroup } from '../moved-tables.ts';
import { renderTarget } from '../render-target.ts';
import { runWithShortLocks } from '../with-connection.ts';

/** The foreign keys hold since the cut-over; a scan beside other work lets the server know that all rows meet them. What served the copying is removed. */
export async function constrain(context: MoveContext): Promise<void> {
  await loadGrammar();
  await stopFeeds(context);
  const { pools, job, signal } = context;
  const { staging, retired } = namesOf(context);
  for (const target of job.targets) {
    const group = await groupThere(context, target);
    for (const shard of group?.tables ?? []) {
      for (const statement of renderTarget(shard, staging).validate) await runWithShortLocks(pools.get(target.node), [statement], { signal });
    }
  }
  // A slot that nobody reads keeps the source from forgetting its log, so of all things only the old shards stay.
  await drop(context, ({ name }) => name !== quoteIdentifier(retired));
}

/** With the tables that it has by now; undefined when all were dropped. */
async function groupThere({ pools, signal }: MoveContext, { group, node, min, max }: JobTarget): Promise<TargetGroup | undefined> {
  const target = { group, node, min, max };
  try {
    return (await readMovedGroups(pools, { sources: [target], targets: [target] }, { signal })).targets[0];
  } catch (error) {
    if (error instanceof ClusterError && error.id === 'moveRefused') return undefined;
    throw error;
  }
}

/** Removes all that was written down, and then what was written. Also the way back: before the cut-over, what was made is all that has changed. */
export async function cleanUp(context: MoveContext): Promise<void> {
  await stopFeeds(context);
  await drop(context, () => true);
}

async function drop({ pools, job, claim, signal }: MoveContext, which: (object: JobObject) => boolean): Promise<void> {
  for (const object of (await readObjects(claim, job.id)).filter(which)) {
    await dropObject(pools, object, signal);
    await forgetObjects(claim, job.id, [object]);
  }
}

async function stopFeeds({ feeds }: MoveContext): Promise<void> {
  for (const feed of feeds.values()) await feed.end();
  feeds.clear();
}
