/**
 * What of PostgreSQL's catalogs is the cluster's own: its schema, and the triggers that keep rows out of shells. Queries of the catalogs, such as those that psql, pg_dump and other tools send, see the rest, so that they show and dump the logical
 * tables alone. By relation of `pg_catalog`, the condition for its rows.
 */
export const catalogFilters: Readonly<Record<string, string>> = {
  pg_namespace: `nspname <> 'shardwright'`,
  pg_class: outside('relnamespace'),
  pg_proc: outside('pronamespace'),
  pg_type: outside('typnamespace'),
  pg_trigger: `tgfoid <> 'shardwright.refuse_shell_write()'::pg_catalog.regprocedure`,
  ...Object.fromEntries(['pg_tables', 'pg_views', 'pg_indexes', 'pg_sequences', 'pg_stat_user_tables', 'pg_statio_user_tables', 'pg_stat_user_indexes', 'pg_stat_all_tables', 'pg_stat_all_indexes', 'pg_stats'].map((view) => [view, `schemaname <> 'shardwright'`])),
};

/** The same for `information_schema`. */
export const informationFilters: Readonly<Record<string, string>> = {
  schemata: `schema_name <> 'shardwright'`,
  triggers: `action_statement NOT LIKE '%shardwright.refuse_shell_write()'`,
  sequences: `sequence_schema <> 'shardwright'`,
  routines: `specific_schema <> 'shardwright'`,
  parameters: `specific_schema <> 'shardwright'`,
  referential_constraints: `constraint_schema <> 'shardwright'`,
  check_constraints: `constraint_schema <> 'shardwright'`,
  ...Object.fromEntries(['tables', 'columns', 'views', 'table_constraints', 'key_column_usage', 'constraint_column_usage', 'constraint_table_usage', 'table_privileges', 'column_privileges'].map((view) => [view, `table_schema <> 'shardwright'`])),
};

function outside(column: string): string {
  return `${column} <> 'shardwright'::pg_catalog.regnamespace`;
}
