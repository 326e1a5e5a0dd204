import type { Node, RangeVar } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import type { CatalogTable, ColumnDefault } from '../../catalog/catalog-snapshot.ts';
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

/** Tables that have a default from the sequence of that name. */
export function tablesDrawingFrom({ snapshot, searchPath }: RelationNames, { schema, name }: WrittenName): readonly CatalogTable[] {
  const schemas = schema === undefined ? searchPath : [schema];
  const draws = ({ default: value }: CatalogTable['columns'][number]): boolean => sequencesIn(value).some((named) => {
    const [own = '', sequence] = unquotedParts(named);
    return sequence === name && schemas.includes(own);
  });
  return [...snapshot.tables.values()].filter(({ columns }) => columns.some(draws));
}

/** As PostgreSQL writes them in expressions, with their schemas. */
function sequencesIn(value: ColumnDefault | undefined): string[] {
  if (value?.kind === 'sequence') return [value.sequence];
  return value?.ofCoordinator === true ? [...value.sql.matchAll(/'((?:[^']|'')*)'::regclass/g)].map(([, named = '']) => named.replaceAll("''", "'")) : [];
}

/** Of a qualified name, quoted where it has to be. */
function unquotedParts(name: string): string[] {
  return (name.match(/"(?:[^"]|"")*"|[^."]+/g) ?? []).map((part) => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part));
}
