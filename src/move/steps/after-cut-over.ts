import { forgetObjects, type JobObject, readObjects } from '../../store/jobs.ts';
import { loadGrammar } from '../../sql/parse.ts';
import { dropObject } from '../drop-objects.ts';
import { type MoveContext, namesOf } from '../move-context.ts';
import { readMovedGroup } from '../moved-tables.ts';
import { renderTarget } from '../render-target.ts';
import { runWithShortLocks } from '../with-connection.ts';

/** The foreign keys hold since the cut-over; a scan beside other work lets the server know that all rows meet them. What served the copying is removed. */
export async function constrain(context: MoveContext): Promise<void> {
  await loadGrammar();
  await stopFeed(context);
  const { pools, job, signal } = context;
  const group = await readMovedGroup(pools, job.shardGroup, { signal });
  const { staging } = namesOf(context);
  for (const table of group.tables) {
    for (const statement of renderTarget(table, staging).validate) await runWithShortLocks(pools.get(group.node), [statement], { signal });
  }
  // A slot that nobody reads keeps the source from forgetting its log, so of all things only the old shards stay.
  await drop(context, ({ node, kind }) => kind !== 'schema' || node !== job.source);
}

/** Removes all that was written down, and then what was written. Also the way back: before the cut-over, what was made is all that has changed. */
export async function cleanUp(context: MoveContext): Promise<void> {
  await stopFeed(context);
  await drop(context, () => true);
}

async function drop({ pools, job, claim, signal }: MoveContext, which: (object: JobObject) => boolean): Promise<void> {
  for (const object of (await readObjects(claim, job.id)).filter(which)) {
    await dropObject(pools, object, signal);
    await forgetObjects(claim, job.id, [object]);
  }
}

async function stopFeed({ feed }: MoveContext): Promise<void> {
  await feed.current?.end();
  feed.current = undefined;
}
