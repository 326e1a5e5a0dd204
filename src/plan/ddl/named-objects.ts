import type { Node, RangeVar } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { nameParts } from '../../sql/ast.ts';

/** A name as it was written. */
export interface WrittenName {
  readonly schema: string | undefined;
  readonly name: string;
}

export function writtenName({ schemaname, relname = '' }: Pick<RangeVar, 'schemaname' | 'relname'>): WrittenName {
  return { schema: schemaname, name: relname };
}

/** The dotted name of DROP or COMMENT; `undefined` for anything else. */
export function dottedName(node: Node | undefined): string[] | undefined {
  return node !== undefined && 'List' in node ? nameParts(node.List.items) : undefined;
}

export function nameOfParts(parts: readonly string[]): WrittenName {
  return { schema: parts.at(-2), name: parts.at(-1) ?? '' };
}

/** The distributed or reference table of the name, or that of which an index has it: PostgreSQL takes one for the other in many statements. */
export function tableNamed(names: RelationNames, { schema, name }: WrittenName): CatalogTable | undefined {
  return names.resolve(schema, name) ?? tableOfIndex(names, { schema, name });
}

function tableOfIndex({ snapshot, searchPath }: RelationNames, { schema, name }: WrittenName): CatalogTable | undefined {
  const schemas = schema === undefined ? searchPath : [schema];
  const owners = [...snapshot.tables.values()].filter(({ indexes }) => indexes.some((index) => index.name === name));
  return schemas.flatMap((candidate) => owners.filter((table) => table.schema === candidate))[0];
}
