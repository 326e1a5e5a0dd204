import { aroundDefinition } from './written-definition.ts';

/** Which rows of a relation of the catalogs are shown. */
export interface CatalogFilter {
  /** Leaves out what is the cluster's own. */
  readonly condition: string;
  /** All columns, in order, where one is not shown as it is. */
  readonly columns?: readonly string[];
  /** What names a relation in a row: the OID of its schema, or the schema's name; and its own. Undefined for rows that are of no relation. */
  readonly relation?: { readonly schema: string; readonly by: 'oid' | 'name'; readonly name: string };
}

/**
 * What of PostgreSQL's catalogs is the cluster's own: its schema, the triggers that keep rows out of shells, and shards, where the coordinator database is a node, too. Queries of the catalogs, such as those that psql, pg_dump and other tools
 * send, see the rest, so that they show and dump the logical tables alone. By relation of `pg_catalog`.
 */
export const catalogFilters: Readonly<Record<string, CatalogFilter>> = {
  pg_namespace: { condition: `nspname <> 'shardwright'` },
  pg_class: { condition: outside('relnamespace'), relation: { schema: 'relnamespace', by: 'oid', name: 'relname' } },
  pg_proc: { condition: outside('pronamespace') },
  pg_type: { condition: outside('typnamespace'), relation: { schema: 'typnamespace', by: 'oid', name: 'typname' } },
  pg_trigger: { condition: `tgfoid NOT IN (SELECT f.oid FROM pg_catalog.pg_proc AS f WHERE f.pronamespace = 'shardwright'::pg_catalog.regnamespace)` },
  pg_sequences: named('schemaname', 'sequencename'),
  pg_views: named('schemaname', 'viewname'),
  pg_matviews: { ...named('schemaname', 'matviewname'), columns: ['schemaname', 'matviewname', 'matviewowner', 'tablespace', 'hasindexes', 'ispopulated', `${aroundDefinition.before}definition${aroundDefinition.behind} AS definition`] },
  ...each(['pg_tables', 'pg_indexes', 'pg_stats'], named('schemaname', 'tablename')),
  ...each(['pg_stat_user_tables', 'pg_statio_user_tables', 'pg_stat_user_indexes', 'pg_stat_all_tables', 'pg_stat_all_indexes'], named('schemaname', 'relname')),
};

/** The same for `information_schema`. */
export const informationFilters: Readonly<Record<string, CatalogFilter>> = {
  schemata: { condition: `schema_name <> 'shardwright'` },
  triggers: { condition: `action_statement NOT LIKE '% FUNCTION shardwright.%'`, relation: { schema: 'event_object_schema', by: 'name', name: 'event_object_table' } },
  sequences: named('sequence_schema', 'sequence_name'),
  ...each(['routines', 'parameters'], { condition: `specific_schema <> 'shardwright'` }),
  referential_constraints: { condition: `constraint_schema <> 'shardwright'`, relation: { schema: 'constraint_schema', by: 'name', name: 'constraint_name' } },
  check_constraints: { condition: `constraint_schema <> 'shardwright'`, relation: { schema: 'constraint_schema', by: 'name', name: 'constraint_name' } },
  ...each(['tables', 'columns', 'views', 'table_constraints', 'key_column_usage', 'constraint_column_usage', 'constraint_table_usage', 'table_privileges', 'column_privileges'], named('table_schema', 'table_name')),
};

/** Rows of shards, given what gives the names of shards, their indexes and constraints, behind FROM as `shard_relations`. */
export function withoutShards({ schema, by, name }: NonNullable<CatalogFilter['relation']>, shardRelations: string): string {
  if (by === 'name') return `(${schema}, ${name}) NOT IN (SELECT shard_relations.schema::name, shard_relations.name::name FROM ${shardRelations})`;
  return `(${schema}, ${name}) NOT IN (SELECT n.oid, shard_relations.name::name FROM ${shardRelations} JOIN pg_catalog.pg_namespace AS n ON n.nspname = shard_relations.schema::name)`;
}

function outside(column: string): string {
  return `${column} <> 'shardwright'::pg_catalog.regnamespace`;
}

function named(schema: string, name: string): CatalogFilter {
  return { condition: `${schema} <> 'shardwright'`, relation: { schema, by: 'name', name } };
}

function each(views: readonly string[], filter: CatalogFilter): Record<string, CatalogFilter> {
  return Object.fromEntries(views.map((view) => [view, filter]));
}
