import { type Dependency, isRelation, objectId, type UserObject } from './user-object.ts';

/**
 * The objects that can be on every node, each after those that it needs: not those that need a table or another relation. With `of`, only those that this object needs, however
 * indirectly. Time: O(objects + dependencies).
 */
export function orderObjects(objects: readonly UserObject[], dependencies: readonly Dependency[], of?: string): UserObject[] {
  const known = new Map(objects.map((object) => [objectId(object.catalog, object.oid), object]));
  const needs = new Map<string, Dependency[]>();
  for (const dependency of dependencies) needs.set(dependency.object, [...(needs.get(dependency.object) ?? []), dependency]);
  const ordered: UserObject[] = [];
  /** Whether all that an object needs can be on nodes; true while that is being found out. */
  const portable = new Map<string, boolean>();
  const visit = (id: string): boolean => {
    const before = portable.get(id);
    if (before !== undefined) return before;
    if (isRelation(id)) return false;
    portable.set(id, true);
    const own = needs.get(id) ?? [];
    const first = own.filter(({ later }) => !later).map((dependency) => visit(dependency.needs));
    const object = known.get(id);
    if (object !== undefined) ordered.push(object);
    const rest = own.filter(({ later }) => later).map((dependency) => visit(dependency.needs));
    const all = [...first, ...rest].every(Boolean);
    portable.set(id, all);
    return all;
  };
  for (const id of of === undefined ? known.keys() : (needs.get(of) ?? []).map((dependency) => dependency.needs)) visit(id);
  return ordered.filter(({ catalog, oid }) => portable.get(objectId(catalog, oid)) === true);
}
