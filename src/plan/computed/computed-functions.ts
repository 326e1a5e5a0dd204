/** A function whose value is an expression over its arguments, which are `a.x` and `a.y`, and what the cluster computes. */
export interface ComputedFunction {
  /** How many arguments it takes. */
  readonly least: number;
  readonly most: number;
  /** The first is a relation, and may be its name as a constant. */
  readonly ofRelation?: boolean;
  readonly sql: (inputs: FunctionInputs) => string;
}

export interface FunctionInputs {
  readonly arguments: number;
  /** Sizes of relations by their OIDs: jsonb. With `forks`, of each fork besides. */
  readonly sizes: (forks: boolean) => string;
  /** The cluster's nodes, behind FROM. */
  readonly nodes: () => string;
}

/** PostgreSQL's functions about sizes, which know nothing of shards. */
export const sizeFunctions: Readonly<Record<string, ComputedFunction>> = {
  pg_table_size: sizeOf('table', 'pg_table_size'),
  pg_relation_size: { least: 1, most: 2, ofRelation: true, sql: (inputs) => (inputs.arguments === 1 ? looked(inputs.sizes(false), `'main'`, 'pg_relation_size(a.x)') : looked(inputs.sizes(true), 'a.y', 'pg_relation_size(a.x, a.y)')) },
  pg_indexes_size: sizeOf('indexes', 'pg_indexes_size'),
  pg_total_relation_size: sizeOf('total', 'pg_total_relation_size'),
};

/** Citus's functions by name, those whose arguments may be any expression. Their values are as in Citus where the comment does not say otherwise. */
export const computedFunctions: Readonly<Record<string, ComputedFunction>> = {
  // Of a local table its own size; Citus refuses it.
  citus_table_size: sizeOf('table', 'pg_table_size'),
  citus_relation_size: sizeOf('main', 'pg_relation_size'),
  citus_total_relation_size: { ...sizeOf('total', 'pg_total_relation_size'), most: 2 },
  citus_version: { least: 0, most: 0, sql: () => `'shardwright, with the SQL interface of Citus 13'::text` },
  citus_is_coordinator: { least: 0, most: 0, sql: () => 'true' },
  citus_coordinator_nodeid: { least: 0, most: 0, sql: () => '0' },
  // Of the session's process in the coordinator database.
  citus_backend_gpid: { least: 0, most: 0, sql: () => 'pg_catalog.pg_backend_pid()::int8' },
  citus_calculate_gpid: { least: 2, most: 2, sql: () => `a.x::int8 * ${processesPerNode} + a.y::int8` },
  citus_nodeid_for_gpid: { least: 1, most: 1, sql: () => `(a.x::int8 / ${processesPerNode})::int4` },
  citus_pid_for_gpid: { least: 1, most: 1, sql: () => `(a.x::int8 % ${processesPerNode})::int4` },
  citus_nodename_for_nodeid: { least: 1, most: 1, sql: ({ nodes }) => `(SELECT nodes.host FROM ${nodes()} WHERE nodes.node_id = a.x)` },
  citus_nodeport_for_nodeid: { least: 1, most: 1, sql: ({ nodes }) => `(SELECT nodes.port FROM ${nodes()} WHERE nodes.node_id = a.x)` },
  // pg_dist_partition.partkey is the column's name here.
  column_to_column_name: { least: 2, most: 2, ofRelation: true, sql: () => 'a.y::text' },
};

/** A global process id is the node's id times this, and the id of its process; the coordinator database is node 0. */
export const processesPerNode = '10000000000';

function sizeOf(measure: string, own: string): ComputedFunction {
  return { least: 1, most: 1, ofRelation: true, sql: ({ sizes }) => looked(sizes(false), `'${measure}'`, `${own}(a.x)`) };
}

/** A relation without shards has its own size. */
function looked(sizes: string, measure: string, own: string): string {
  return `coalesce(((${sizes} OPERATOR(pg_catalog.->) (a.x::pg_catalog.regclass::pg_catalog.oid)::text) OPERATOR(pg_catalog.->>) ${measure})::int8, pg_catalog.${own})`;
}
