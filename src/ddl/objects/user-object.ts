/** An object beside tables that a user has made in a database, as the statements say that make it. */
export interface UserObject {
  /** OID of its system catalog, and its own: both of this database. */
  readonly catalog: number;
  readonly oid: number;
  /** As PostgreSQL names its kind and itself, with schema and quotes: the same in every database. */
  readonly kind: string;
  readonly identity: string;
  readonly create: string;
  /** What is to be run when all objects are there: constraints of domains, whose functions may need the domain. */
  readonly complete: string | undefined;
  /** What takes it away, where DROP has no word for it. */
  readonly drop: string | undefined;
  /** Undefined for kinds that have none, or no owner but that of something else. */
  readonly owner: string | undefined;
  /** Undefined while they are those that such an object has by default. */
  readonly grants: readonly ObjectGrant[] | undefined;
  readonly comment: string | undefined;
}

export interface ObjectGrant {
  /** Null for PUBLIC. */
  readonly grantee: string | null;
  readonly privilege: string;
  readonly grantable: boolean;
}

/** What an object is known by in all databases. */
export function objectKey({ kind, identity }: Pick<UserObject, 'kind' | 'identity'>): string {
  return `${kind} ${identity}`;
}

/** `needs` must be there before the object can be made. Objects that are not `UserObject`s may stand between two that are. */
export interface Dependency {
  readonly object: string;
  readonly needs: string;
  /** It can be made without, but not completed. */
  readonly later: boolean;
}

/** What an object is known by in one database. */
export function objectId(catalog: number, oid: number): string {
  return `${catalog}/${oid}`;
}

/** OID of pg_class. */
const relations = 1259;

export function relationId(oid: number): string {
  return objectId(relations, oid);
}

export function isRelation(id: string): boolean {
  return id.startsWith(`${relations}/`);
}
