import { at, present } from '../../base/assert.ts';
import type { ClusterNode } from '../../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { NodeConnection } from '../../cluster/node-connection.ts';
import { changeCatalog } from '../../ddl/change-catalog.ts';
import { checkPublicationsOfNode } from '../../ddl/check-publications.ts';
import { definitionSettings } from '../../ddl/definition-settings.ts';
import { joinNode, listNode } from '../../ddl/join-node.ts';
import { ensureSchema } from '../../ddl/on-nodes.ts';
import { renameShard } from '../../ddl/rename-shard.ts';
import { loadGrammar } from '../../sql/parse.ts';
import { bumpVersion, readNodes, setReferenceShard } from '../../store/catalog-changes.ts';
import { forgetObjects } from '../../store/jobs.ts';
import type { MoveContext } from '../move-context.ts';
import { namesOf } from '../move-context.ts';
import type { TargetGroup } from '../moved-tables.ts';
import { renderTarget } from '../render-target.ts';
import { type Attempt, attemptOnce, drained, leaveCutOver, lockUnchanged, untilOneSucceeds } from '../steps/attempts.ts';
import { lockSources } from '../steps/lock-sources.ts';
import { nodeOfJob } from './node-of-job.ts';

/**
 * One distributed transaction makes the server a node. A process that does not know of it would go on writing reference tables to the others only, so their shards get new ids, and with them new names. An attempt:
 * 1. In the coordinator database: the catalog's lock; the definitions are what they were; the node, the new ids and the job's state are written. Nobody sees it yet.
 * 2. On all nodes of before: ACCESS EXCLUSIVE on the reference tables, in short tries and then a longer one. From here on statements for them wait. Who takes too long makes the attempt fail, never himself.
 * 3. What committed before is applied to the new node. Nothing can commit any more.
 * 4. The tables are renamed on the nodes of before, and come to their place on the new one.
 * 5. Two-phase commit. A statement that waited finds no table of that name (42P01), as does one planned before: it reads the catalog again, and writes to the new node as well.
 */
export async function cutIn(context: MoveContext): Promise<void> {
  if (context.job.sources.length === 0) return joinAtOnce(context);
  await loadGrammar();
  context.rate.lift();
  await untilOneSucceeds(context, (how) => attempt(context, how));
}

/** Without copies made beforehand: there are no reference tables, or they shall wait. */
async function joinAtOnce(context: MoveContext): Promise<void> {
  const { job, signal } = context;
  const admitted: Disposable[] = [];
  try {
    await changeCatalog({
      begin: () => context.begin(context.onStep),
      admitNodes: (nodes) => void admitted.push(context.admitNodes(nodes)),
      dismissNode: () => undefined,
      refreshCatalog: () => Promise.resolve(),
    }, {
      signal,
      lockFirst: () => Promise.resolve(),
      body: async (change) => {
        await joinNode(change, nodeOfJob(job));
        await leaveCutOver(change.coordinator, context, 'done');
      },
    });
  } finally {
    for (const one of admitted) one[Symbol.dispose]();
  }
}

/** False when a lock was not to be had in time. */
async function attempt(context: MoveContext, how: Attempt): Promise<boolean> {
  const { signal, job } = context;
  const admitted: Disposable[] = [];
  try {
    return await attemptOnce(context, how, async ({ transaction, marking }) => {
      const coordinator = await transaction.join(coordinatorNodeId, 'write', { signal });
      const connection = await transaction.join(nodeOfJob(job).id, 'write', { signal });
      const nodes = await changeEntries(context, { coordinator, connection, target: at(how.groups.targets, 0) });
      admitted.push(context.admitNodes(nodes));
      const others = new Map<NodeId, NodeConnection>();
      for (const { id } of nodes) others.set(id, await transaction.join(id, 'write', { signal }));
      await takePlaces(context, { ...how, connection, others, marking: present(marking.get(at(how.groups.sources, 0).node)) });
    });
  } finally {
    for (const one of admitted) one[Symbol.dispose]();
  }
}

interface Entering {
  readonly coordinator: NodeConnection;
  /** To the new node. */
  readonly connection: NodeConnection;
  readonly target: TargetGroup;
}

/** Returns the nodes of before. */
async function changeEntries(context: MoveContext, { coordinator, connection, target }: Entering): Promise<ClusterNode[]> {
  const { job, clusterId, signal } = context;
  const change = { coordinator, signal };
  const node = nodeOfJob(job);
  await lockUnchanged(context, coordinator);
  // One may have been made since the preflight.
  await checkPublicationsOfNode({ coordinator, clusterId }, connection, { signal });
  const nodes = await readNodes(change);
  await listNode({ ...change, clusterId }, connection, node);
  for (const { definition, shard } of target.tables) await setReferenceShard(change, definition.oid, shard);
  await bumpVersion(change, target.tables.map(({ definition }) => definition.oid));
  // It stays what it was made.
  await forgetObjects(coordinator, job.id, [{ node: node.id, kind: 'node', name: clusterId }]);
  await leaveCutOver(coordinator, context, 'constrain');
  return nodes;
}

interface Placing extends Attempt {
  readonly connection: NodeConnection;
  /** To the nodes of before, in the transaction. */
  readonly others: ReadonlyMap<NodeId, NodeConnection>;
  /** To the one that is copied from, in none. */
  readonly marking: NodeConnection;
}

/** Statements for the reference tables wait from the beginning of this until the commit behind it. */
async function takePlaces(context: MoveContext, { groups, feeds, timeoutMs, budgetMs, connection, others, marking }: Placing): Promise<void> {
  const { signal } = context;
  const run = (on: NodeConnection, statements: readonly string[]): Promise<unknown> => on.query({ text: statements.join(';\n'), simple: true }, { signal });
  const [{ tables: old }, { tables }] = [at(groups.sources, 0), at(groups.targets, 0)];
  await run(connection, [definitionSettings, ...new Set(tables.map(({ definition }) => ensureSchema(definition)))]);
  const began = await lockSources([...others.values()].map((one) => ({ connection: one, shards: old })), timeoutMs, signal);
  await drained([...feeds.values()].map((feed) => feed.drain(marking)), began + budgetMs - performance.now());
  const renames = old.flatMap(({ definition, shard }, i) => renameShard(definition, { from: present(shard), to: at(tables, i).shard, hasHash: false }));
  const rendered = tables.map((table) => renderTarget(table, namesOf(context).staging));
  await Promise.all([
    ...[...others.values()].map((one) => run(one, [definitionSettings, ...renames])),
    run(connection, [...rendered.flatMap(({ putInPlace }) => putInPlace), ...rendered.flatMap(({ bringToLife }) => bringToLife)]),
  ]);
}
