import { ClusterError } from '../../base/errors.ts';
import type { NodeConnections } from '../../cluster/node-connection.ts';
import { forgetObjects, type JobObject, type JobTarget, letGroupsGo, readObjects, type StoredJob } from '../../store/jobs.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { loadGrammar } from '../../sql/parse.ts';
import { dropObject, lockPatienceMs } from '../drop-objects.ts';
import { releaseGroup } from '../distribute/register-group.ts';
import { type MoveContext, namesOf } from '../move-context.ts';
import { partitionsFirst, type TargetGroup, type TargetShard } from '../moved-tables.ts';
import { readMovedGroups } from '../read-groups.ts';
import { renderTarget } from '../render-target.ts';
import { isLockConflict, runWithShortLocks } from '../../cluster/with-connection.ts';

/**
 * The old shards let go of the reference tables. The foreign keys hold since the cut-over; a scan beside other work lets the server know that all rows meet them. What served the copying is removed.
 */
export async function constrain(context: MoveContext): Promise<void> {
  await loadGrammar();
  await stopFeeds(context);
  const { pools, job, signal } = context;
  const { staging, retired } = namesOf(context);
  const isOfOldShards = ({ name }: JobObject): boolean => name === quoteIdentifier(retired);
  for (const { node } of (await readObjects(context.claim, job.id)).filter(isOfOldShards)) await untieOldShards(pools.get(node), retired, signal);
  for (const target of job.targets) {
    const shards = (await groupThere(context, target))?.tables.filter((shard) => isOf(job, target, shard)) ?? [];
    // So are the other groups' then, and they need not be looked at.
    if (!shards.some(hasForeignKeys)) break;
    for (const shard of partitionsFirst(shards).flat()) {
      for (const statement of renderTarget(shard, staging).validate) await runWithShortLocks(pools.get(target.node), [statement], { signal });
    }
  }
  // A slot that nobody reads keeps the source from forgetting its log, so of all things only the old shards stay.
  await drop(context, (object) => !isOfOldShards(object));
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

/** A table that was distributed has come to others, which are not the job's. */
function isOf({ distributed }: Pick<StoredJob, 'distributed'>, { shards }: JobTarget, { definition }: TargetShard): boolean {
  return distributed === undefined || shards?.[definition.oid] !== undefined;
}

function hasForeignKeys({ definition }: TargetShard): boolean {
  return (definition.constraints ?? []).some(({ kind }) => kind === 'foreign');
}

/**
 * While the old shards are there, rows of theirs that are not the table's any more would keep those that they refer to from being changed. Who uses a reference table in a transaction for long
 * comes first: then the foreign keys go with the old shards.
 */
async function untieOldShards(source: NodeConnections, retired: string, signal: AbortSignal): Promise<void> {
  // What a foreign key has from that of a table above, or of one that it refers to, goes with it.
  const text = `SELECT pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', k.conrelid::pg_catalog.regclass, k.conname)
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace WHERE k.contype = 'f' AND k.conparentid = 0 AND n.nspname = $1`;
  const { rows } = await source.query({ text, values: [retired] }, { signal });
  if (rows.length === 0) return;
  try {
    await runWithShortLocks(source, rows.map(([statement]) => statement ?? ''), { signal, patienceMs: lockPatienceMs });
  } catch (error) {
    if (!isLockConflict(error)) throw error;
  }
}

/** Removes all that was written down, and then what was written. */
export async function cleanUp(context: MoveContext): Promise<void> {
  await stopFeeds(context);
  await drop(context, () => true);
  if (context.job.distributed !== undefined) await releaseGroup(context);
}

/** The way back: before the cut-over, what was made is all that has changed. A target that stays away keeps the job from its end, but nobody else from moving the shard groups. */
export async function undo(context: MoveContext): Promise<void> {
  const { job, claim } = context;
  try {
    await cleanUp(context);
  } catch (error) {
    const left = await readObjects(claim, job.id);
    if (!left.some(({ node }) => job.sources.some((source) => source.node === node))) await letGroupsGo(claim, job.id);
    throw error;
  }
}

/** What can be removed is, also while a server is away that has some of it. */
async function drop({ pools, job, claim, signal }: MoveContext, which: (object: JobObject) => boolean): Promise<void> {
  let failure: { readonly error: unknown } | undefined;
  for (const object of (await readObjects(claim, job.id)).filter(which)) {
    try {
      await dropObject(pools, object, signal);
      await forgetObjects(claim, job.id, [object]);
    } catch (error) {
      signal.throwIfAborted();
      failure ??= { error };
    }
  }
  if (failure !== undefined) throw failure.error;
}

async function stopFeeds({ feeds }: MoveContext): Promise<void> {
  for (const feed of feeds.values()) await feed.end();
  feeds.clear();
}
