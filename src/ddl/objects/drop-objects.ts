import type { NodeConnection } from '../../cluster/node-connection.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import type { CatalogChange } from '../change-catalog.ts';
import { orderObjects } from './order-objects.ts';
import { readDependencies, readObjects } from './read-objects.ts';
import { keyword } from './render-object.ts';
import { missingRoles, readRoles } from './send-roles.ts';
import { objectKey } from './user-object.ts';

/** Statements that drop what `sendAllObjects` would make on a node, in an order in which they can be run; no more than what is not there yet. Under `definitionSettings`, on both. */
export async function dropsOfMissing(change: Pick<CatalogChange, 'coordinator' | 'signal'>, node: NodeConnection): Promise<string[]> {
  const ordered = orderObjects(await readObjects(change.coordinator, change), await readDependencies(change.coordinator, change));
  const there = new Set((await readObjects(node, change)).map(objectKey));
  const roles = await missingRoles(change, node, await readRoles(change));
  return [
    ...ordered.filter((object) => !there.has(objectKey(object))).reverse().map((object) => object.drop ?? `DROP ${keyword(object)} IF EXISTS ${object.identity}`),
    ...roles.reverse().map(({ name }) => `DROP ROLE IF EXISTS ${quoteIdentifier(name)}`),
  ];
}
