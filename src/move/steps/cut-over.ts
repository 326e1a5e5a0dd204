import { setTimeout as delay } from 'node:timers/promises';
import { ClusterError } from '../../base/errors.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeConnection } from '../../cluster/node-connection.ts';
import { definitionSettings } from '../../ddl/definition-settings.ts';
import { ensureSchema } from '../../ddl/on-nodes.ts';
import { loadGrammar } from '../../sql/parse.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { shardName } from '../../catalog/shard-name.ts';
import { bumpVersion, lockCatalog, placeShardGroup } from '../../store/catalog-changes.ts';
import { changeState } from '../../store/jobs.ts';
import type { ChangeFeed } from '../change-feed.ts';
import { type MoveContext, namesOf } from '../move-context.ts';
import { type MovedGroup, readGroupIn } from '../moved-tables.ts';
import { renderTarget } from '../render-target.ts';
import { checkUnchanged, unchangedGroup } from '../unchanged-group.ts';
import { isLockConflict, withConnection } from '../with-connection.ts';
import { runningFeed, settle } from './catch-up.ts';

const firstTimeoutMs = 30;
const backOffMs = { first: 50, max: 2_000 } as const;

/**
 * One distributed transaction puts the shard group from the source to the target. An attempt:
 * 1. In the coordinator database: the catalog's lock; the definitions are what they were; the placement and the job's state are changed. Nobody sees it yet.
 * 2. On the target: locks on the reference tables that foreign keys will refer to.
 * 3. On the source: ACCESS EXCLUSIVE on the shards. From here on statements for the shard group wait. Whoever has used it in a transaction comes first; who takes too long makes
 *    the attempt fail, never himself.
 * 4. What committed before is applied. Nothing can commit any more.
 * 5. The old shards go to a schema where nobody looks for them, the new ones come to their place, with their foreign keys.
 * 6. Two-phase commit. A statement that waited finds no table of that name (42P01), as does one planned before: it reads the catalog again and goes to the target.
 *
 * The attempt is given up, and all that waits goes on at the source, when 3 and 4 take too long; then it is tried again, first soon and with little time, later with more.
 */
export async function cutOver(context: MoveContext): Promise<void> {
  await loadGrammar();
  const drainTimeoutMs = await longestWaitMs(context);
  let timeoutMs = Math.min(firstTimeoutMs, drainTimeoutMs);
  for (let waitMs: number = backOffMs.first; ; waitMs = Math.min(waitMs * 2, backOffMs.max)) {
    const group = await unchangedGroup(context);
    const feed = await runningFeed(context, group);
    await settle(context, feed);
    if (await attempt(context, { group, feed, timeoutMs })) return;
    timeoutMs = Math.min(timeoutMs * 2, drainTimeoutMs);
    await delay(waitMs * (0.5 + Math.random()), undefined, { signal: context.signal });
  }
}

/** Shorter than it takes a server to look for deadlocks: it might find that we wait for each other with a transaction, and end that one. */
async function longestWaitMs({ pools, job, limits, signal }: MoveContext): Promise<number> {
  const { rows } = await pools.get(job.source).query({ text: `SELECT setting FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'` }, { signal });
  return Math.max(1, Math.floor(Math.min(limits.drainTimeoutMs, Number(rows[0]?.[0]) * 0.8)));
}

interface Attempt {
  readonly group: MovedGroup;
  readonly feed: ChangeFeed;
  /** Of the locks and the last changes together. */
  readonly timeoutMs: number;
}

/** False when a lock was not to be had in time. */
async function attempt(context: MoveContext, how: Attempt): Promise<boolean> {
  // Acquired before anybody waits.
  return withConnection(context.pools.get(context.job.source), context.signal, async (marking) => {
    const transaction = context.begin(context.onStep);
    try {
      const { signal, job } = context;
      const coordinator = await transaction.join(coordinatorNodeId, 'write', { signal });
      await changePlacement(context, coordinator);
      const target = await transaction.join(job.target, 'write', { signal });
      const source = await transaction.join(job.source, 'write', { signal });
      await prepareAttempt(context, { ...how, source, target });
      await takeOver(context, { ...how, source, target, marking });
      await transaction.commit({ signal });
      return true;
    } catch (error) {
      await transaction.rollback();
      if (isLockConflict(error) || error === tooSlow) return false;
      throw error;
    }
  });
}

async function changePlacement({ job, signal }: MoveContext, coordinator: NodeConnection): Promise<void> {
  await coordinator.query({ text: definitionSettings, simple: true }, { signal });
  await lockCatalog({ coordinator, signal });
  checkUnchanged({ job }, await readGroupIn(coordinator, job.shardGroup, { signal }));
  await placeShardGroup({ coordinator, signal }, { group: job.shardGroup, from: job.source, to: job.target });
  await bumpVersion({ coordinator, signal });
  const isOurs = await changeState(coordinator, { id: job.id, from: 'cut_over', to: 'constrain' });
  if (!isOurs) throw new ClusterError('moveInProgress', `job ${job.id} was carried on by another process`);
}

interface Sides extends Attempt {
  readonly source: NodeConnection;
  readonly target: NodeConnection;
}

/** All that can be done before anybody has to wait. */
async function prepareAttempt(context: MoveContext, { group, source, target, timeoutMs }: Sides): Promise<void> {
  const { signal } = context;
  const { retired } = namesOf(context);
  const settings = `${definitionSettings}; SET LOCAL lock_timeout = ${timeoutMs}`;
  const referenced = new Set(group.tables.flatMap(({ definition, wish }) => (definition.constraints ?? []).flatMap(({ foreign }) => {
    const isReference = foreign?.table.distribution?.kind === 'reference';
    return foreign !== null && isReference ? [quoteQualified(foreign.table.schema, shardName(foreign.table.name, wish.references.get(foreign.table.oid) ?? wish.id))] : [];
  })));
  const schemas = new Set(group.tables.map(({ definition }) => ensureSchema(definition)));
  const locks = referenced.size === 0 ? [] : [`LOCK TABLE ${[...referenced].join(', ')} IN SHARE ROW EXCLUSIVE MODE`];
  await Promise.all([
    target.query({ text: [settings, ...schemas, ...locks].join(';\n'), simple: true }, { signal }),
    source.query({ text: `${settings}; CREATE SCHEMA ${quoteIdentifier(retired)}`, simple: true }, { signal }),
  ]);
}

/** Statements for the shard group wait from the beginning of this until the commit behind it. */
async function takeOver(context: MoveContext, { group, source, target, marking, feed, timeoutMs }: Sides & { readonly marking: NodeConnection }): Promise<void> {
  const { signal } = context;
  const { retired, staging } = namesOf(context);
  const deadline = performance.now() + timeoutMs;
  await source.query({ text: `LOCK TABLE ONLY ${group.tables.map(({ sql }) => sql).join(', ONLY ')} IN ACCESS EXCLUSIVE MODE` }, { signal });
  await inTime(feed.drain(marking), deadline - performance.now());
  const away = group.tables.map(({ sql }) => `ALTER TABLE ${sql} SET SCHEMA ${quoteIdentifier(retired)}`);
  const inPlace = group.tables.flatMap((table) => renderTarget(table, staging).putInPlace);
  await Promise.all([
    source.query({ text: away.join(';\n'), simple: true }, { signal }),
    target.query({ text: inPlace.join(';\n'), simple: true }, { signal }),
  ]);
}

const tooSlow = new ClusterError('moveInProgress', 'the last changes did not arrive in time');

async function inTime<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  const over = new AbortController();
  const late = delay(Math.max(timeoutMs, 10), undefined, { signal: over.signal }).then(() => Promise.reject(tooSlow));
  try {
    return await Promise.race([promise, late]);
  } finally {
    promise.catch(() => undefined);
    late.catch(() => undefined);
    over.abort();
  }
}
