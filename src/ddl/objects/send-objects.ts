import { allOrAbort } from '../../base/abort.ts';
import { ClusterError } from '../../base/errors.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { NodeConnection } from '../../cluster/node-connection.ts';
import { readNodeIdentity } from '../../store/node-identity.ts';
import type { CatalogChange } from '../change-catalog.ts';
import { underDefinitionSettings } from '../definition-settings.ts';
import { runOnNodes } from '../on-nodes.ts';
import { orderObjects } from './order-objects.ts';
import { readDependencies, readNeeds, readObjects } from './read-objects.ts';
import { renderObject } from './render-object.ts';
import { readRoles, type Role, sendRoles } from './send-roles.ts';
import { objectKey, relationId, type UserObject } from './user-object.ts';

/** Gives a new node every object beside tables that the coordinator database has. `unsupportedNode` where it has one already that is made differently. */
export async function sendAllObjects(change: CatalogChange, node: NodeId): Promise<void> {
  const ordered = orderObjects(await readObjects(change.coordinator, change), await readDependencies(change.coordinator, change));
  await sendObjects(change, node, { ordered, roles: await readRoles(change), differing: 'refuse' });
}

/** Gives all nodes what tables need and they lack: roles, and objects that were made past the library. */
export async function sendObjectsOf(change: CatalogChange, tables: readonly number[]): Promise<void> {
  const needs = await readNeeds(change.coordinator, tables, change);
  const isBare = !needs.objects && !(await lackSchemas(change, needs.schemas));
  const ordered = isBare ? [] : await objectsOf(change, tables);
  const roles = await readRoles(change);
  if (ordered.length === 0 && roles.length === 0) return;
  await allOrAbort(change.signal, change.nodes.map(({ id }) => (signal) => sendObjects({ ...change, signal }, id, { ordered, roles, differing: 'leave' })));
}

async function objectsOf(change: CatalogChange, tables: readonly number[]): Promise<UserObject[]> {
  const objects = await readObjects(change.coordinator, change);
  const dependencies = await readDependencies(change.coordinator, change);
  return [...new Set(tables.flatMap((table) => orderObjects(objects, dependencies, relationId(table))))];
}

/** Whether some node lacks one. */
async function lackSchemas(change: CatalogChange, schemas: readonly string[]): Promise<boolean> {
  if (schemas.length === 0) return false;
  const text = 'SELECT pg_catalog.count(*) FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1)';
  const own = (await readNodeIdentity(change.coordinator, change))?.node;
  const counts = await allOrAbort(change.signal, change.nodes.filter(({ id }) => id !== own).map(({ id }) => async (signal) => {
    const connection = await change.transaction.join(id, 'read', { signal });
    return Number((await connection.query({ text, values: [schemas] }, { signal })).rows[0]?.[0]);
  }));
  return counts.some((count) => count < schemas.length);
}

interface Sending {
  readonly ordered: readonly UserObject[];
  readonly roles: readonly Role[];
  readonly differing: 'refuse' | 'leave';
}

async function sendObjects(change: CatalogChange, node: NodeId, { ordered, roles, differing }: Sending): Promise<void> {
  const own = await readNodeIdentity(change.coordinator, change);
  if (own?.node === node) return;
  const connection = await change.transaction.join(node, 'write', change);
  // The transaction may be one of a session's.
  await underDefinitionSettings(connection, change, () => sendTo(change, { node, connection }, { ordered, roles, differing }));
}

interface Target {
  readonly node: NodeId;
  readonly connection: NodeConnection;
}

async function sendTo(change: CatalogChange, { node, connection }: Target, { ordered, roles, differing }: Sending): Promise<void> {
  await sendRoles(change, connection, roles);
  if (ordered.length === 0) return;
  const there = new Map((await readObjects(connection, change)).map((object) => [objectKey(object), object]));
  if (differing === 'refuse') for (const object of ordered) refuseDiffering(object, there.get(objectKey(object)));
  const sent = differing === 'leave' ? ordered.filter((object) => !there.has(objectKey(object))) : ordered;
  const completing = sent.flatMap((object) => (there.has(objectKey(object)) ? [] : (object.complete ?? [])));
  await runOnNodes(change, new Map([[node, [...sent.flatMap((object) => renderObject(object, there.get(objectKey(object)))), ...completing]]]));
}

function refuseDiffering(object: UserObject, there: UserObject | undefined): void {
  if (there === undefined || (there.create === object.create && there.complete === object.complete)) return;
  throw new ClusterError('unsupportedNode', `the node has another ${objectKey(object)} than the coordinator database`, {
    detail: `There it is made by: ${[there.create, there.complete ?? []].flat().join('; ')}`, hint: 'Drop it on the node, or make it as it is in the coordinator database.',
  });
}
