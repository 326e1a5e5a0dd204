import { ClusterError } from '../../base/errors.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { NodeConnection } from '../../cluster/node-connection.ts';
import { definitionSettings } from '../../ddl/definition-settings.ts';
import { ensureSchema } from '../../ddl/on-nodes.ts';
import { unpublishShard } from '../../ddl/publications.ts';
import { type CutFeeds, type CutWish, feedsNotReady, joinFeeds, readyFeeds } from '../../feed/cut-over-feeds.ts';
import { loadGrammar } from '../../sql/parse.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { shardName } from '../../catalog/shard-name.ts';
import { bumpVersion, replaceShardGroups } from '../../store/catalog-changes.ts';
import { placementsOnly } from '../../store/placements-only.ts';
import { notSettled, settleDecided } from '../../txn/settle-decided.ts';
import { type Attempt, attemptOnce, drained, leaveCutOver, lockUnchanged, untilOneSucceeds } from './attempts.ts';
import { type MoveContext, namesOf } from '../move-context.ts';
import { type MovedGroups, type MovedShard, nodesOf, sameReferences, type TargetShard } from '../moved-tables.ts';
import { renderTarget } from '../render-target.ts';
import { shardsOn } from './create.ts';
import { becomeShells, insertShards } from '../distribute/cut-over-table.ts';
import { lockSources } from './lock-sources.ts';

/**
 * One distributed transaction puts the targets in the place of the sources. An attempt:
 * 1. In the coordinator database: the catalog's lock; the definitions are what they were; the shard groups and the job's state are changed. Nobody sees it yet.
 *    Change feeds of the tables have a slot on every node that takes part, or the attempt is given up; earlier cut-overs have committed there, so that those stand in all logs in the same order.
 * 2. On the targets: locks on the reference tables that foreign keys will refer to.
 * 3. On the sources: ACCESS EXCLUSIVE on the shards, in short tries and then a longer one. From here on statements for the shard group wait. Whoever has used it in a transaction comes first; who takes too
 *    long makes the attempt fail, never himself.
 * 4. What committed before is applied. Nothing can commit any more. Meanwhile the old shards leave their publications, and go to a schema where nobody looks for them; a table that is distributed becomes an empty shell.
 * 5. The new ones come to their place, with their foreign keys, and into the publications: what was copied is not published a second time. Feeds are told, by a message in each node's log.
 * 6. Two-phase commit. A statement that waited finds no table of that name (42P01), as does one planned before: it reads the catalog again and goes to the targets.
 *
 * The attempt is given up, and all that waits goes on at the sources, when 3 and 4 take too long; then it is tried again, first soon and with little time, later with more.
 */
export async function cutOver(context: MoveContext): Promise<void> {
  await loadGrammar();
  context.rate.lift();
  await untilOneSucceeds(context, (how) => attempt(context, how));
}

/** False when a lock was not to be had in time. */
async function attempt(context: MoveContext, how: Attempt): Promise<boolean> {
  const { signal } = context;
  const nodes = nodesOf([...how.groups.targets, ...how.groups.sources]);
  const wish = cutWish(how.groups);
  await readyFeeds(context, wish, signal);
  return attemptOnce(context, { ...how, again: [feedsNotReady, notSettled, referencesRenamed] }, async ({ transaction, marking }) => {
    const coordinator = await transaction.join(coordinatorNodeId, 'write', { signal });
    await changeCatalog(context, coordinator, how);
    const cutFeeds = await joinFeeds(context, coordinator, { ...wish, job: context.job.id }, { signal });
    if (cutFeeds.any) await settleDecided({ ...context, nodes }, { signal });
    const joined = new Map<NodeId, NodeConnection>();
    for (const node of nodes) joined.set(node, await transaction.join(node, 'write', { signal }));
    await prepareAttempt(context, { ...how, joined });
    await takeOver(context, { ...how, joined, marking, cutFeeds });
  });
}

function cutWish({ sources, targets }: MovedGroups): CutWish {
  return { tables: shells({ sources }), from: nodesOf(sources), to: nodesOf(targets) };
}

/** What foreign keys refer to has come to have other names, since a node was added; the next attempt reads them again. */
const referencesRenamed = new ClusterError('moveInProgress', 'a node was added');

async function changeCatalog(context: MoveContext, coordinator: NodeConnection, { groups }: Attempt): Promise<void> {
  const { job, signal } = context;
  const now = await lockUnchanged(context, coordinator);
  if (!sameReferences(now, groups)) throw referencesRenamed;
  if (job.distributed === undefined) await replaceShardGroups({ coordinator, signal }, job);
  else await insertShards({ coordinator, signal }, now, { ...job, distributed: job.distributed });
  await bumpVersion({ coordinator, signal }, changedTables(job, now));
  await leaveCutOver(coordinator, context, 'constrain');
}

/** As `bumpVersion` wants them. The shards of a move keep their ids; those of a split or merge are other ones, in all tables of the group. A table that is distributed is the only one of its job. */
function changedTables({ kind }: MoveContext['job'], groups: MovedGroups): readonly number[] {
  return kind === 'move' ? placementsOnly : shells(groups);
}

function shells({ sources }: Pick<MovedGroups, 'sources'>): number[] {
  return (sources[0]?.tables ?? []).map(({ definition }) => definition.oid);
}

/** Where a local table was, its shell stays. */
function hasOldShards({ distributed }: MoveContext['job']): boolean {
  return distributed === undefined;
}

interface Sides extends Attempt {
  /** The transaction's connections to the nodes, one to each. */
  readonly joined: ReadonlyMap<NodeId, NodeConnection>;
}

/** Runs statements on the nodes side by side: on each what `statements` says. */
async function onEach({ joined }: Sides, signal: AbortSignal, statements: (node: NodeId) => readonly string[]): Promise<void> {
  await Promise.all([...joined].map(async ([node, connection]) => {
    const text = statements(node).join(';\n');
    if (text !== '') await connection.query({ text, simple: true }, { signal });
  }));
}

/** All that can be done before anybody has to wait. */
async function prepareAttempt(context: MoveContext, sides: Sides): Promise<void> {
  const { sources, targets } = sides.groups;
  const { retired } = namesOf(context);
  await onEach(sides, context.signal, (node) => {
    const referenced = new Set(shardsOn(targets, node).flatMap(referencedCopies));
    const schemas = new Set(shardsOn(targets, node).map(({ definition }) => ensureSchema(definition)));
    return [
      `${definitionSettings}; SET LOCAL lock_timeout = ${sides.timeoutMs}`,
      ...(hasOldShards(context.job) && sources.some((source) => source.node === node) ? [`CREATE SCHEMA ${quoteIdentifier(retired)}`] : []),
      ...schemas,
      ...(referenced.size === 0 ? [] : [`LOCK TABLE ${[...referenced].join(', ')} IN SHARE ROW EXCLUSIVE MODE`]),
    ];
  });
}

/** Of reference tables that the shard's foreign keys refer to. */
function referencedCopies({ definition, wish }: TargetShard): string[] {
  return (definition.constraints ?? []).flatMap(({ foreign }) => {
    const isReference = foreign?.table.distribution?.kind === 'reference';
    return foreign !== null && isReference ? [quoteQualified(foreign.table.schema, shardName(foreign.table.name, wish.references.get(foreign.table.oid) ?? wish.id))] : [];
  });
}

/** Statements for the shard groups wait from the beginning of this until the commit behind it. */
async function takeOver(context: MoveContext, sides: Sides & { readonly marking: ReadonlyMap<NodeId, NodeConnection>; readonly cutFeeds: CutFeeds }): Promise<void> {
  const { signal } = context;
  const { sources, targets } = sides.groups;
  const { retired, staging } = namesOf(context);
  const shards = (node: NodeId): readonly MovedShard[] => shardsOn(sources, node);
  const began = await lockSources([...sides.joined].map(([node, connection]) => ({ connection, shards: shards(node) })), sides.timeoutMs, signal);
  const deadline = began + sides.budgetMs;
  // Nothing that arrives needs the old shards.
  await Promise.all([
    drained([...sides.feeds].map(([node, feed]) => feed.drain(sides.marking.get(node))), deadline - performance.now()),
    onEach(sides, signal, (node) => (hasOldShards(context.job) ? shards(node).flatMap((shard) => retire(shard, retired)) : becomeShells(shards(node)))),
  ]);
  await onEach(sides, signal, (node) => {
    const rendered = shardsOn(targets, node).map((shard) => renderTarget(shard, staging));
    return [
      ...rendered.flatMap(({ putInPlace }) => putInPlace),
      ...rendered.flatMap(({ bringToLife }) => bringToLife),
      ...sides.cutFeeds.statements(node, shardsOn(targets, node).map(({ definition, sql }) => ({ table: definition.oid, sql }))),
    ];
  });
}

/** What is left to be dropped is published no more. */
function retire({ definition, sql }: MovedShard, retired: string): string[] {
  return [...unpublishShard(sql, definition), `ALTER TABLE ${sql} SET SCHEMA ${quoteIdentifier(retired)}`];
}
