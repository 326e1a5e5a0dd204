import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { type Gid, gidCluster, parseGid } from './gid.ts';

/** A prepared transaction of this cluster, as its node lists it. */
export interface PreparedTransaction {
  readonly text: string;
  readonly gid: Gid;
  readonly ageMs: number;
}

export async function listPrepared(pools: NodePools, node: NodeId, options: CallOptions & { readonly clusterId: string }): Promise<PreparedTransaction[]> {
  const { rows } = await pools.get(node).query({ text: listPreparedSql, simple: true }, options);
  const cluster = gidCluster(options.clusterId);
  return rows.flatMap(([text, ageMs]) => {
    const gid = parseGid(text ?? '');
    const ours = gid?.cluster === cluster && gid.participant === node;
    return ours ? [{ text: text ?? '', gid, ageMs: Number(ageMs) }] : [];
  });
}

const listPreparedSql = `
SELECT gid, (extract(epoch FROM clock_timestamp() - prepared) * 1000)::bigint
FROM pg_catalog.pg_prepared_xacts
WHERE database = pg_catalog.current_database() AND gid LIKE 'shardwright:%'`;
