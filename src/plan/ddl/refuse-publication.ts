import type { Node } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { ClusterError } from '../../base/errors.ts';

interface Published {
  readonly isForAll: boolean;
  readonly names: RelationNames;
}

/** A publication is the coordinator database's, whose shells never change: whoever subscribes would wait for ever. `unsupportedDdl` where it has distributed or reference tables, by name, by their schema, or since it has all. */
export function refusePublication(objects: readonly Node[] = [], { isForAll, names }: Published): void {
  const tables = [...names.snapshot.tables.values()];
  if (isForAll && tables.length > 0) throw refused('all tables, distributed ones among them,');
  for (const object of objects) {
    if (!('PublicationObjSpec' in object)) continue;
    const { name, pubtable, pubobjtype } = object.PublicationObjSpec;
    const relation = pubtable?.relation;
    if (relation !== undefined && names.resolve(relation.schemaname, relation.relname ?? '') !== undefined) throw refused(`distributed table "${relation.relname}"`);
    const isCurrent = pubobjtype === 'PUBLICATIONOBJ_TABLES_IN_CUR_SCHEMA';
    if (isCurrent && tables.some(({ schema }) => schema === names.searchPath[0])) throw refused('the distributed tables of the current schema');
    if (pubobjtype === 'PUBLICATIONOBJ_TABLES_IN_SCHEMA' && tables.some(({ schema }) => schema === name)) throw refused(`the distributed tables of schema "${name}"`);
  }
}

function refused(what: string): ClusterError {
  return new ClusterError('unsupportedDdl', `${what} cannot be in a publication`, {
    detail: 'A publication is of one server, and the rows are on many.', hint: 'Read their changes by cluster.changes(), and name local tables here.',
  });
}
