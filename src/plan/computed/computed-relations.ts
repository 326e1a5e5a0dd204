import { timePartitionsSql } from '../time-partitions/time-partitions-sql.ts';
import type { InputRows } from './computed-plan.ts';

/** A relation or set-returning function that is a query over what the cluster computes. */
export interface ComputedRelation {
  readonly kind: 'table' | 'function';
  readonly sql: (inputs: RelationInputs) => string;
}

/** What its query may read: each stands behind FROM, under the name that it is called by. */
export interface RelationInputs {
  readonly rows: (name: InputRows) => string;
  /** The rows of the call itself, under the name `called`, with these columns, all of them text. */
  readonly called: (columns: readonly string[]) => string;
}

/** Citus's views and metadata tables, and functions that give rows, by name; columns and types are Citus's. Of our own: `shardwright_stat_activity`, clients of the wire server as in `pg_stat_activity`. */
export const computedRelations: Readonly<Record<string, ComputedRelation>> = {
  pg_dist_node: table(({ rows }) => `SELECT nodes.node_id AS nodeid, nodes.node_id AS groupid, nodes.host AS nodename, nodes.port AS nodeport, 'default'::text AS noderack, false AS hasmetadata, true AS isactive,
    'primary'::text AS noderole, 'default'::name AS nodecluster, false AS metadatasynced, true AS shouldhaveshards FROM ${rows('nodes')} ORDER BY 1`),
  pg_dist_partition: table(({ rows }) => `SELECT tables.relation::regclass AS logicalrelid, (CASE tables.kind WHEN 'distributed' THEN 'h' ELSE 'n' END)::"char" AS partmethod,
    tables.distribution_column AS partkey, tables.colocation_id AS colocationid, (CASE tables.kind WHEN 'reference' THEN 't' ELSE 's' END)::"char" AS repmodel, false AS autoconverted
    FROM ${rows('tables')} ORDER BY tables.relation`),
  pg_dist_shard: table(({ rows }) => `SELECT shards.relation::regclass AS logicalrelid, shards.shard_id AS shardid, 't'::"char" AS shardstorage, shards.hash_min AS shardminvalue, shards.hash_max AS shardmaxvalue
    FROM ${rows('shards')} ORDER BY 2`),
  pg_dist_placement: table(({ rows }) => `SELECT placements.placement_id AS placementid, placements.shard_id AS shardid, 1 AS shardstate, 0::int8 AS shardlength, placements.node_id AS groupid FROM ${rows('placements')} ORDER BY 1`),
  pg_dist_shard_placement: table(({ rows }) => `SELECT placements.shard_id AS shardid, 1 AS shardstate, 0::int8 AS shardlength, nodes.host AS nodename, nodes.port AS nodeport, placements.placement_id AS placementid
    FROM ${rows('placements')} JOIN ${rows('nodes')} USING (node_id) ORDER BY 6`),
  pg_dist_colocation: table(({ rows }) => `SELECT colocation_groups.colocation_id AS colocationid, colocation_groups.shard_count AS shardcount, 1 AS replicationfactor,
    coalesce(colocation_groups.distribution_type::regtype::oid, 0::oid) AS distributioncolumntype, 0::oid AS distributioncolumncollation FROM ${rows('colocation_groups')} ORDER BY 1`),
  citus_tables: table(({ rows }) => `SELECT tables.relation::regclass AS table_name, ${tableType} AS citus_table_type, coalesce(tables.distribution_column, '<none>') AS distribution_column, tables.colocation_id,
    pg_catalog.pg_size_pretty(table_sizes.bytes) AS table_size, tables.shard_count, pg_catalog.pg_get_userbyid(c.relowner) AS table_owner, a.amname AS access_method
    FROM ${rows('tables')} JOIN ${rows('table_sizes')} USING (relation) JOIN pg_catalog.pg_class AS c ON c.oid = tables.relation LEFT JOIN pg_catalog.pg_am AS a ON a.oid = c.relam ORDER BY tables.relation::regclass::text`),
  citus_shards: table(({ rows }) => `SELECT shards.relation::regclass AS table_name, shards.shard_id AS shardid,
    CASE WHEN pg_catalog.pg_table_is_visible(shards.relation) THEN pg_catalog.quote_ident(placements.name) ELSE pg_catalog.format('%I.%I', placements.schema, placements.name) END AS shard_name,
    ${tableType} AS citus_table_type, tables.colocation_id, nodes.host AS nodename, nodes.port AS nodeport, shard_sizes.bytes AS shard_size
    FROM ${rows('shards')} JOIN ${rows('tables')} USING (relation) JOIN ${rows('placements')} USING (shard_id) JOIN ${rows('nodes')} USING (node_id) JOIN ${rows('shard_sizes')} USING (shard_id, node_id)
    ORDER BY shards.relation::regclass::text, shards.shard_id, nodes.node_id`),
  pg_dist_schema: table(({ rows }) => `SELECT n.oid AS schemaid, schemas.colocation_id AS colocationid FROM ${rows('schemas')} JOIN pg_catalog.pg_namespace AS n ON n.nspname = schemas.name::name ORDER BY 1`),
  citus_schemas: table(({ rows }) => `SELECT n.oid::regnamespace AS schema_name, schemas.colocation_id,
    pg_catalog.pg_size_pretty(coalesce((SELECT sum(table_sizes.bytes) FROM ${rows('tables')} JOIN ${rows('table_sizes')} USING (relation) WHERE tables.colocation_id = schemas.colocation_id), 0)) AS schema_size,
    pg_catalog.pg_get_userbyid(n.nspowner) AS schema_owner FROM ${rows('schemas')} JOIN pg_catalog.pg_namespace AS n ON n.nspname = schemas.name::name ORDER BY n.nspname`),
  citus_nodes: table(({ rows }) => `SELECT nodes.host AS nodename, nodes.port AS nodeport, 'worker'::text AS role, true AS active FROM ${rows('nodes')} ORDER BY nodes.node_id`),
  time_partitions: table(() => `${timePartitionsSql} ORDER BY p.partrelid::regclass::text, c.oid`),
  citus_stat_activity: table(({ rows }) => `SELECT activity.* FROM ${rows('activity')}`),
  citus_dist_stat_activity: table(({ rows }) => `SELECT activity.* FROM ${rows('activity')} WHERE NOT activity.is_worker_query`),
  shardwright_stat_activity: table(({ rows }) => `SELECT pg_catalog.current_database() AS datname, clients.* FROM ${rows('clients')} ORDER BY clients.pid`),
  citus_lock_waits: table(({ rows }) => `SELECT lock_waits.* FROM ${rows('lock_waits')}`),
  citus_stat_statements: table(({ rows }) => `SELECT min(statements.queryid) AS queryid, r.oid AS userid, d.oid AS dbid, statements.query, 'adaptive'::text AS executor, NULL::text AS partition_key, sum(statements.calls)::int8 AS calls
    FROM ${rows('statements')} LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = statements.role JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database() GROUP BY r.oid, d.oid, statements.query`),
  citus_rebalance_strategies: table(({ called }) => `SELECT called.name::name, called.default_strategy::bool, NULL::regprocedure AS shard_cost_function, NULL::regprocedure AS node_capacity_function,
    NULL::regprocedure AS shard_allowed_on_node_function, called.default_threshold::float4, called.minimum_threshold::float4, called.improvement_threshold::float4
    FROM ${called(['name', 'default_strategy', 'default_threshold', 'minimum_threshold', 'improvement_threshold'])}`),

  citus_shard_sizes: callable(({ rows }) => `SELECT shard_sizes.shard_id::int4 AS shard_id, shard_sizes.bytes AS size FROM ${rows('shard_sizes')} ORDER BY 1`),
  citus_get_active_worker_nodes: callable(activeNodes),
  master_get_active_worker_nodes: callable(activeNodes),
  run_command_on_workers: callable(({ called }) => `SELECT called.nodename, called.nodeport::int4, called.success::bool, called.result FROM ${called(['nodename', 'nodeport', 'success', 'result'])}`),
  run_command_on_all_nodes: callable(nodeResults),
  run_command_on_coordinator: callable(nodeResults),
  run_command_on_shards: callable(({ called }) => `SELECT called.shardid::int8, called.success::bool, called.result FROM ${called(['shardid', 'success', 'result'])}`),
  run_command_on_placements: callable(({ called }) => `SELECT called.nodename, called.nodeport::int4, called.shardid::int8, called.success::bool, called.result
    FROM ${called(['nodename', 'nodeport', 'shardid', 'success', 'result'])}`),
  run_command_on_colocated_placements: callable(({ called }) => `SELECT called.nodename, called.nodeport::int4, called.shardid1::int8, called.shardid2::int8, called.success::bool, called.result
    FROM ${called(['nodename', 'nodeport', 'shardid1', 'shardid2', 'success', 'result'])}`),
  citus_rebalance_status: callable(jobs),
  citus_job_status: callable(jobs),
  citus_job_list: callable(({ called }) => `SELECT called.job_id::int8, called.state, called.job_type::name, called.description, called.started_at::timestamptz, called.finished_at::timestamptz
    FROM ${called(['job_id', 'state', 'job_type', 'description', 'started_at', 'finished_at'])}`),
  get_rebalance_table_shards_plan: callable(({ called }) => `SELECT called.table_name::regclass, called.shardid::int8, called.shard_size::int8, called.sourcename, called.sourceport::int4, called.targetname, called.targetport::int4
    FROM ${called(['table_name', 'shardid', 'shard_size', 'sourcename', 'sourceport', 'targetname', 'targetport'])}`),
};

/** In Citus's words. */
const tableType = `CASE tables.kind WHEN 'single_shard' THEN 'distributed' ELSE tables.kind END`;

function activeNodes({ rows }: RelationInputs): string {
  return `SELECT nodes.host AS node_name, nodes.port::int8 AS node_port FROM ${rows('nodes')} ORDER BY nodes.node_id`;
}

function nodeResults({ called }: RelationInputs): string {
  return `SELECT called.nodeid::int4, called.success::bool, called.result FROM ${called(['nodeid', 'success', 'result'])}`;
}

function jobs({ called }: RelationInputs): string {
  return `SELECT called.job_id::int8, called.state, called.job_type::name, called.description, called.started_at::timestamptz, called.finished_at::timestamptz, called.details::jsonb
    FROM ${called(['job_id', 'state', 'job_type', 'description', 'started_at', 'finished_at', 'details'])}`;
}

function table(sql: ComputedRelation['sql']): ComputedRelation {
  return { kind: 'table', sql };
}

function callable(sql: ComputedRelation['sql']): ComputedRelation {
  return { kind: 'function', sql };
}
