import type { Column } from '../../catalog/catalog-snapshot.ts';

/**
 * The column's type for a cast of a value that is assigned afterwards, which is what checks its length: without a length a cast to `character` or `bit` would cut the value to one.
 */
export function assignableType(column: Column): string {
  return withoutLength(column.type.sql);
}

/** A type as SQL names it, without modifier; types that would then have a length of one give way to those without a length. */
export function withoutLength(typeSql: string): string {
  return typeSql.replace(/^character\(\d+\)/, 'pg_catalog.bpchar').replace(/^bit\(\d+\)/, 'bit varying').replace(/\(.*\)/, '');
}
