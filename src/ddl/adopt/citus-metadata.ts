import { ClusterError } from '../../base/errors.ts';
import type { CallOptions, NodeConnections } from '../../cluster/node-connection.ts';

/** What a Citus coordinator says of its cluster. */
export interface CitusMetadata {
  /** The name of the database, on every node. */
  readonly database: string;
  readonly nodes: readonly CitusNode[];
  readonly tables: readonly CitusTable[];
}

export interface CitusNode {
  /** By which placements name it; that of the coordinator is 0. */
  readonly group: number;
  readonly host: string;
  readonly port: number;
}

export interface CitusTable {
  readonly schema: string;
  readonly name: string;
  /** `h`: by hash; `n`: without a distribution column. */
  readonly method: string;
  /** `t`: a reference table. */
  readonly model: string;
  readonly colocation: number;
  readonly column: string | null;
  /** In order of their hashes. */
  readonly shards: readonly CitusShard[];
}

export interface CitusShard {
  readonly id: number;
  readonly min: number | null;
  readonly max: number | null;
  /** Where it is. */
  readonly groups: readonly number[];
}

/** Tables that are not distributed by hash have other values there. */
const hash = (value: string): string => `CASE WHEN p.partmethod = 'h' THEN ${value}::int END`;

/** The distribution column is a node tree; what of it counts is the column's number. */
const query = `SELECT json_build_object(
  'database', current_database(),
  'nodes', (SELECT coalesce(json_agg(json_build_object('group', groupid, 'host', nodename, 'port', nodeport) ORDER BY groupid), '[]') FROM pg_dist_node WHERE isactive AND noderole::text = 'primary'),
  'tables', (SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname, 'method', p.partmethod::text, 'model', p.repmodel::text, 'colocation', p.colocationid, 'column', a.attname,
    'shards', (SELECT coalesce(json_agg(json_build_object('id', s.shardid, 'min', ${hash('s.shardminvalue')}, 'max', ${hash('s.shardmaxvalue')},
      'groups', (SELECT coalesce(json_agg(pl.groupid ORDER BY pl.groupid), '[]') FROM pg_dist_placement pl WHERE pl.shardid = s.shardid AND pl.shardstate = 1)) ORDER BY ${hash('s.shardminvalue')}, s.shardid), '[]')
      FROM pg_dist_shard s WHERE s.logicalrelid = p.logicalrelid)) ORDER BY n.nspname, c.relname), '[]')
    FROM pg_dist_partition p JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = substring(p.partkey::text FROM ':varattno (\\d+)')::int))`;

/** Reads it in one statement. `adoptionRefused` where the database has no metadata of Citus. */
export async function readCitusMetadata(citus: Pick<NodeConnections, 'query' | 'name'>, options: CallOptions): Promise<CitusMetadata> {
  const { rows } = await citus.query({ text: query }, options).catch((error: unknown) => {
    if (!(error instanceof Error) || !('code' in error) || error.code !== '42P01') throw error;
    throw new ClusterError('adoptionRefused', `${citus.name} is no coordinator of Citus`, { detail: error.message, cause: error });
  });
  return JSON.parse(rows[0]?.[0] ?? '') as CitusMetadata;
}
