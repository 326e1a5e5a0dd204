import type { InputRows } from './computed-plan.ts';

/** The columns of rows that the cluster computes, as a column definition list. */
export const inputColumns: Readonly<Record<InputRows, string>> = {
  nodes: 'node_id int4, host text, port int4, database text',
  tables: 'relation oid, kind text, distribution_column text, colocation_id int4, shard_count int8',
  schemas: 'name text, colocation_id int4',
  shards: 'relation oid, shard_id int8, hash_min text, hash_max text',
  placements: 'placement_id int8, shard_id int8, node_id int4, schema text, name text',
  colocation_groups: 'colocation_id int4, shard_count int4, distribution_type text',
  shard_relations: 'schema text, name text',
  shard_sizes: 'shard_id int8, node_id int4, bytes int8',
  table_sizes: 'relation oid, bytes int8',
  activity: `global_pid int8, nodeid int4, is_worker_query bool, datid oid, datname name, pid int4, leader_pid int4, usesysid oid, usename name, application_name text, client_addr inet,
    client_hostname text, client_port int4, backend_start timestamptz, xact_start timestamptz, query_start timestamptz, state_change timestamptz, wait_event_type text, wait_event text, state text,
    backend_xid xid, backend_xmin xid, query_id int8, query text, backend_type text`,
  clients: `pid int4, usename name, application_name text, client_addr inet, client_port int4, backend_start timestamptz, xact_start timestamptz, query_start timestamptz, state_change timestamptz, state text, query text`,
  lock_waits: `waiting_gpid int8, blocking_gpid int8, blocked_statement text, current_statement_in_blocking_process text, waiting_nodeid int4, blocking_nodeid int4`,
  statements: 'queryid int8, role name, query text, calls int8',
};
