import { at } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import { addressName } from '../../catalog/node-address.ts';
import type { NodeConnection, NodeConnections } from '../../cluster/node-connection.ts';
import { withConnection } from '../../cluster/with-connection.ts';
import { inTransaction } from '../../txn/in-transaction.ts';
import type { CatalogChange } from '../../ddl/change-catalog.ts';
import { definitionSettings } from '../../ddl/definition-settings.ts';
import { checkNewNode, claimServer } from '../../ddl/join-node.ts';
import { dropsOfMissing } from '../../ddl/objects/drop-objects.ts';
import { sendAllObjects } from '../../ddl/objects/send-objects.ts';
import { loadGrammar } from '../../sql/parse.ts';
import { forgetObjects, readObjects, registerObjects, storeDefinitions } from '../../store/jobs.ts';
import { dropObject } from '../drop-objects.ts';
import type { MoveContext } from '../move-context.ts';
import { type MovedGroups, shardsWithRows } from '../moved-tables.ts';
import { readGroupsIn, readMovedGroups } from '../read-groups.ts';
import { checkSource } from '../preflight/check-source.ts';
import { refuseForeignCode } from '../preflight/foreign-code.ts';
import { tableKinds } from '../preflight/run-preflight.ts';
import { createOnTarget, prepareSource, refuseCodeOf, shardsOn } from '../steps/create.ts';
import { madeNodeText } from './unmake-node.ts';
import { nodeOfJob } from './node-of-job.ts';

/** Whether the server can be added, and the reference tables be copied while they are written. Nothing was touched when it throws: errors of `checkNewNode`, or `moveRefused` with all objections. */
export async function preflightNode({ pools, clusterId, job, signal }: MoveContext): Promise<void> {
  const node = nodeOfJob(job);
  await withConnection(pools.get(coordinatorNodeId), signal, (coordinator) => withConnection(pools.get(node.id), signal, (connection) => checkNewNode({ coordinator, clusterId, signal }, connection, node)));
  await refuseForeignCode(pools.get(coordinatorNodeId), await namesOfReferenceTables(pools.get(coordinatorNodeId), signal), { signal });
  const [source] = job.sources;
  if (source === undefined) return;
  await loadGrammar();
  const { tables } = at((await readMovedGroups(pools, job, { signal })).sources, 0);
  const checks = [...tableKinds(tables), ...(await checkSource(pools.get(source.node), tables, { signal })).checks];
  const objections = checks.filter(({ ok, level }) => !ok && level === 'error').map(({ message }) => message);
  if (objections.length === 0) return;
  throw new ClusterError('moveRefused', `reference tables cannot be copied to ${addressName(node)} while they are written`, {
    detail: `${objections.join('. ')}.`, hint: "Nothing was changed. addNode(…, { referenceTables: 'block_writes' }) copies them while nobody can use them.",
  });
}

/**
 * Makes a server what a node is, but for the catalog: it says whose it is, and has all objects beside tables; then come empty tables, and what the stream of changes needs on the source. All that is made is written down
 * before; done again it begins from the beginning.
 */
export async function createNode(context: MoveContext): Promise<void> {
  await loadGrammar();
  await unmakeEarlier(context);
  const { sources, targets } = await makeNode(context);
  const { node } = at(targets, 0);
  await createOnTarget(context, node, shardsOn(targets, node));
  const source = at(sources, 0);
  await prepareSource(context, source.node, shardsWithRows(source.tables));
}

async function unmakeEarlier({ pools, job, claim, signal }: MoveContext): Promise<void> {
  for (const object of (await readObjects(claim, job.id)).filter(({ kind }) => kind === 'node')) {
    await dropObject(pools, object, signal);
    await forgetObjects(claim, job.id, [object]);
  }
}

/** The definitions that the job goes by are those of the moment when the objects were read. */
async function makeNode(context: MoveContext): Promise<MovedGroups> {
  const { clusterId, job, claim, signal } = context;
  const node = nodeOfJob(job);
  return inTransaction(context.begin(), { signal }, async (transaction) => {
    const coordinator = await transaction.join(coordinatorNodeId, 'read', { signal });
    await coordinator.query({ text: `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; ${definitionSettings}`, simple: true }, { signal });
    const groups = await readGroupsIn(coordinator, job, { signal });
    await refuseCodeOf(coordinator, groups, signal);
    await storeDefinitions(claim, job.id, groups.fingerprint);
    const connection = await transaction.join(node.id, 'write', { signal });
    await connection.query({ text: definitionSettings, simple: true }, { signal });
    const change: CatalogChange = { transaction, coordinator, clusterId, nodes: [], signal };
    const made = madeNodeText({ schema: !(await hasOwnSchema(connection, signal)), drops: await dropsOfMissing(change, connection) });
    await registerObjects(claim, job.id, [{ node: node.id, kind: 'node', name: clusterId, detail: made }]);
    await claimServer(change, connection, node);
    await sendAllObjects(change, node.id);
    return groups;
  });
}

async function namesOfReferenceTables(coordinator: NodeConnections, signal: AbortSignal): Promise<string[]> {
  const text = `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM shardwright.shard s JOIN pg_catalog.pg_class c ON c.oid = s.relation
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE s.shard_group_id IS NULL`;
  return (await coordinator.query({ text }, { signal })).rows.map(([name]) => name ?? '');
}

async function hasOwnSchema(connection: NodeConnection, signal: AbortSignal): Promise<boolean> {
  const { rows } = await connection.query({ text: `SELECT pg_catalog.to_regnamespace('shardwright') IS NOT NULL` }, { signal });
  return rows[0]?.[0] === 't';
}
