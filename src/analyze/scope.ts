import type { Node } from '@pgsql/types';
import { nameParts } from '../sql/ast.ts';
import type { ColumnId } from './facts.ts';
import type { Relation } from './relation.ts';

/** A column that a FROM list shows under a name: of a relation, or merged by USING or NATURAL. */
export interface VisibleColumn {
  readonly name: string;
  readonly id: ColumnId;
  readonly type: string | undefined;
}

/** The names that one query level shows; `outer` is the level around it. */
export interface Scope {
  readonly relations: readonly Relation[];
  /** For names without a table: joins merge some. */
  readonly visible: readonly VisibleColumn[];
  readonly outer: Scope | undefined;
}

/**
 * The column that a reference means, as far as it is certain: undefined for stars, whole rows, unknown and ambiguous
 * names, and where a relation with unknown columns might offer the name. PostgreSQL itself reports the errors.
 */
export function resolveColumn(scope: Scope, fields: readonly Node[] | undefined): VisibleColumn | undefined {
  const parts = nameParts(fields);
  const column = parts.at(-1);
  if (column === undefined || column === '*') return undefined;
  if (parts.length === 1) return resolveBare(scope, column);
  const relation = resolveRelation(scope, parts.slice(0, -1));
  return relation === undefined ? undefined : columnNamed(relation, column);
}

/** The relation that a (qualified) name in front of a column means. */
export function resolveRelation(scope: Scope, parts: readonly string[]): Relation | undefined {
  const alias = parts.at(-1);
  const schema = parts.at(-2);
  for (let level: Scope | undefined = scope; level !== undefined; level = level.outer) {
    const found = level.relations.filter(
      (relation) => relation.alias === alias && (schema === undefined || relation.schema === schema),
    );
    if (found.length > 0) return found.length === 1 ? found[0] : undefined;
  }
  return undefined;
}

export function columnNamed(relation: Relation, name: string): VisibleColumn | undefined {
  const index = relation.columns?.findIndex((column) => column.name === name) ?? -1;
  const column = relation.columns?.[index];
  return column === undefined ? undefined : { name, id: relation.firstColumn + index, type: column.type };
}

function resolveBare(scope: Scope, name: string): VisibleColumn | undefined {
  for (let level: Scope | undefined = scope; level !== undefined; level = level.outer) {
    const found = level.visible.filter((column) => column.name === name);
    if (found.length > 0) return found.length === 1 ? found[0] : undefined;
    if (level.relations.some(({ columns, merging }) => columns === undefined && merging !== true)) return undefined;
  }
  return undefined;
}
