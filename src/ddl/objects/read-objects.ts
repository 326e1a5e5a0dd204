import { at } from '../../base/assert.ts';
import type { CallOptions, NodeConnection, RawRow } from '../../cluster/node-connection.ts';
import { dependenciesQuery, kindsThereQuery, needsOfTablesQuery, objectsQuery } from './object-queries.ts';
import { type Dependency, objectId, type ObjectGrant, type UserObject } from './user-object.ts';

/** Every object beside tables that users have made in a database, but for what extensions brought, older ones first. Under `definitionSettings`. */
export async function readObjects(connection: NodeConnection, options: CallOptions): Promise<UserObject[]> {
  const there = (await connection.query({ text: kindsThereQuery }, options)).rows.map(([place]) => Number(place));
  if (there.length === 0) return [];
  const { rows } = await connection.query({ text: objectsQuery(there) }, options);
  return rows.map(objectOf);
}

function objectOf([catalog, oid, kind, identity, create, owner, grants, hasOwnAccess, comment, complete, drop]: RawRow): UserObject {
  return {
    catalog: Number(catalog), oid: Number(oid), kind: kind ?? '', identity: identity ?? '', create: create ?? '', owner: owner ?? undefined,
    grants: hasOwnAccess === 't' ? (JSON.parse(grants ?? '[]') as ObjectGrant[]) : undefined, comment: comment ?? undefined, complete: complete ?? undefined, drop: drop ?? undefined,
  };
}

export async function readDependencies(connection: NodeConnection, options: CallOptions): Promise<Dependency[]> {
  const { rows } = await connection.query({ text: dependenciesQuery }, options);
  return rows.map(([catalog, oid, needed, neededOid, later]) => ({
    object: objectId(Number(catalog), Number(oid)), needs: objectId(Number(needed), Number(neededOid)), later: later === 't',
  }));
}

/** What tables need directly, beside other relations. */
export interface TableNeeds {
  /** Whether there are objects other than schemas among it. */
  readonly objects: boolean;
  readonly schemas: readonly string[];
}

export async function readNeeds(connection: NodeConnection, tables: readonly number[], options: CallOptions): Promise<TableNeeds> {
  const { rows } = await connection.query({ text: needsOfTablesQuery, values: [tables] }, options);
  const [objects, schemas = null] = at(rows, 0);
  return { objects: objects === 't', schemas: JSON.parse(schemas ?? '[]') as string[] };
}
