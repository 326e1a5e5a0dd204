import { quoteQualified } from '../../sql/identifiers.ts';
import { ChangeFeed } from '../change-feed.ts';
import { endOtherUsers } from '../drop-objects.ts';
import { type MoveContext, namesOf } from '../move-context.ts';
import type { MovedGroup } from '../moved-tables.ts';
import { unchangedGroup } from '../unchanged-group.ts';
import { positionTable } from './create.ts';

/** So short a round trip of a change means that little is left. */
const lagMsEnough = 250;

/** Applies what changed since the copy, until what commits now arrives at once. */
export async function catchUp(context: MoveContext): Promise<void> {
  const feed = await runningFeed(context, await unchangedGroup(context));
  await settle(context, feed);
}

export async function settle(context: Pick<MoveContext, 'report' | 'signal'>, feed: ChangeFeed): Promise<void> {
  for (let lagMs = Infinity; lagMs > lagMsEnough;) {
    lagMs = await feed.drain();
    context.signal.throwIfAborted();
    context.report({ changesApplied: feed.changesApplied, lagMs: Math.round(lagMs) });
  }
}

/** The feed that runs, or one begun now. */
export async function runningFeed(context: MoveContext, group: MovedGroup): Promise<ChangeFeed> {
  const { feed, pools, job, signal } = context;
  if (feed.current !== undefined) return feed.current;
  const { slot, publication, staging } = namesOf(context);
  const tables = group.tables.map(({ definition, name }) => ({ schema: definition.schema, name, target: quoteQualified(staging, name), columns: definition.columns }));
  await endOtherUsers(pools.get(job.target), tables.map(({ target }) => target), signal);
  const source = pools.get(job.source);
  // A walsender of a process that is gone may not have noticed.
  await source.query({ text: 'SELECT pg_catalog.pg_terminate_backend(active_pid, 1000) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL', values: [slot] }, { signal });
  feed.current = await ChangeFeed.start({ source, target: pools.get(job.target), slot, publication, position: positionTable(staging), tables }, signal);
  return feed.current;
}
