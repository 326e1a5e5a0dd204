import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import { orderObjects } from '../objects/order-objects.ts';
import { readDependencies, readObjects } from '../objects/read-objects.ts';
import { readRoles, readRolesNamed, type Role } from '../objects/send-roles.ts';
import { objectKey, type UserObject } from '../objects/user-object.ts';
import { objectDifference } from './object-difference.ts';
import type { PartDifference } from './part.ts';
import { roleDifference } from './role-difference.ts';
import { waitWhile } from './wait-while.ts';

/** What beside tables every node should have: as a new node is given it. Without publications, which are where the tables are that they publish. */
export interface SharedObjects {
  /** Each after those that it needs. */
  readonly objects: readonly UserObject[];
  readonly roles: readonly Role[];
}

/** Of the coordinator database. Under `definitionSettings`. */
export async function readShared(coordinator: NodeConnection, options: CallOptions): Promise<SharedObjects> {
  const objects = orderObjects(await readObjects(coordinator, options), await readDependencies(coordinator, options));
  return { objects: objects.filter(({ kind }) => kind !== 'publication'), roles: await readRoles({ coordinator, signal: options.signal }) };
}

/** What a node lacks of it, or has made differently, in an order in which it can be repaired. What it has besides is nobody's concern. Under `definitionSettings`. */
export async function compareObjects(node: NodeConnection, shared: SharedObjects, options: CallOptions): Promise<PartDifference[]> {
  const found = await differing(node, shared, options);
  if (found.length === 0) return [];
  // The node may have only prepared what the coordinator database has committed.
  await untilPreparedAreDone(node, options.signal);
  return await differing(node, shared, options);
}

async function differing(node: NodeConnection, { objects, roles }: SharedObjects, options: CallOptions): Promise<PartDifference[]> {
  const thereRoles = new Map((await readRolesNamed(node, roles.map(({ name }) => name), options.signal)).map((role) => [role.name, role]));
  const there = new Map((await readObjects(node, options)).map((object) => [objectKey(object), object]));
  return [...roles.flatMap((role) => roleDifference(role, thereRoles.get(role.name)) ?? []), ...objects.flatMap((object) => objectDifference(object, there.get(objectKey(object))) ?? [])];
}

/** Those that are there now. One that stays in doubt is not waited for. */
async function untilPreparedAreDone(node: NodeConnection, signal: AbortSignal | undefined): Promise<void> {
  const text = 'SELECT transaction FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database()';
  const read = async (): Promise<readonly unknown[]> => (await node.query({ text }, { signal })).rows.map(([id]) => id);
  const first = new Set(await read());
  await waitWhile(async () => (await read()).some((id) => first.has(id)), signal);
}
