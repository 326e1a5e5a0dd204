import { present } from '../../base/assert.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { TableDefinition } from '../../ddl/table-definition.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import { ChangeFeed } from '../change-feed.ts';
import type { SinkTarget } from '../change-sink.ts';
import { endOtherUsers } from '../drop-objects.ts';
import { type MoveContext, namesOf } from '../move-context.ts';
import { type MovedGroups, nodesOf, type RowHash, shardsWithRows } from '../moved-tables.ts';
import { routeByHash, type RowRoute } from '../row-route.ts';
import type { StreamedTable } from '../streamed-tables.ts';
import { checkTimelines } from '../timelines.ts';
import { unchangedGroups } from '../unchanged-group.ts';
import { positionTable, shardsOn } from './create.ts';

/** The changes of each source node. */
export type Feeds = ReadonlyMap<NodeId, ChangeFeed>;

/** Applies what changed since the copy, until what commits now arrives at once. */
export async function catchUp(context: MoveContext): Promise<void> {
  await settle(context, await runningFeeds(context, await unchangedGroups(context)));
}

/** How much more a lag that does not fall may be, each time that it is seen. */
const patience = 1.5;
/** What falls by less, does not fall. */
const falling = 0.8;
/** A lag that is longer than this is waited for, come what may. */
const longestLagMs = 10_000;

/**
 * A short round trip of a change means that little is left: resolves to its milliseconds. Where it does not become shorter, the servers need as long for any change: a longer one will do by and by, since there would be no end otherwise.
 */
export async function settle(context: Pick<MoveContext, 'report' | 'signal' | 'limits'>, feeds: Feeds, enoughMs = context.limits.maxLagMs): Promise<number> {
  for (let [allowedMs, beforeMs] = [enoughMs, Infinity]; ;) {
    const lagMs = Math.max(...(await Promise.all([...feeds.values()].map((feed) => feed.drain()))));
    context.signal.throwIfAborted();
    const changesApplied = [...feeds.values()].reduce((sum, feed) => sum + feed.changesApplied, 0);
    context.report({ changesApplied, lagMs: Math.round(lagMs) });
    if (lagMs <= allowedMs) return lagMs;
    if (lagMs > beforeMs * falling) allowedMs = Math.min(allowedMs * patience, Math.max(longestLagMs, context.limits.maxLagMs));
    beforeMs = lagMs;
  }
}

/** The feeds that run, or ones begun now. */
export async function runningFeeds(context: MoveContext, groups: MovedGroups): Promise<Feeds> {
  const { feeds, pools, signal } = context;
  if (feeds.size > 0) return feeds;
  const { staging, slot, publication } = namesOf(context);
  for (const node of nodesOf(groups.targets)) {
    await endOtherUsers(pools.get(node), shardsOn(groups.targets, node).map(({ name }) => quoteQualified(staging, name)), signal);
  }
  for (const node of nodesOf(groups.sources)) {
    const source = pools.get(node);
    // A walsender of a process that is gone may not have noticed.
    await source.query({ text: 'SELECT pg_catalog.pg_terminate_backend(active_pid, 1000) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL', values: [slot(node)] }, { signal });
    const sinks = nodesOf(groups.targets).map((target): SinkTarget => ({ node: pools.get(target), position: positionTable(staging), source: node, tables: streamedTables(groups, { source: node, target, staging }), rate: context.rate }));
    feeds.set(node, await ChangeFeed.start({ source, slot: slot(node), publication, sinks }, signal));
  }
  // From here on the streams' own connections would break with their servers.
  await checkTimelines(context);
  return feeds;
}

interface Way {
  readonly source: NodeId;
  readonly target: NodeId;
  readonly staging: string;
}

/** What the changes of a source are applied to on one target node. */
function streamedTables({ sources, targets, hash }: MovedGroups, { source, target, staging }: Way): StreamedTable[] {
  return sources.filter(({ node }) => node === source).flatMap(({ tables }) => shardsWithRows(tables).map(({ definition, name }, i) => ({
    schema: definition.schema, name, columns: definition.columns,
    targets: targets.map((group) => (group.node === target ? quoteQualified(staging, present(shardsWithRows(group.tables)[i]).name) : undefined)),
    route: routeTo(targets, hash, definition),
  })));
}

function routeTo(targets: MovedGroups['targets'], hash: RowHash | undefined, { oid }: TableDefinition): RowRoute | undefined {
  if (targets.length === 1 && hash?.takesNull !== false) return undefined;
  const known = present(hash, 'hash of rows');
  return routeByHash(known, targets, present(known.columns.get(oid), 'distribution column'));
}
