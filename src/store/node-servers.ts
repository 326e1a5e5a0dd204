import type { ClusterNode, ServerAddress } from '../catalog/catalog-snapshot.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { NodeConnections } from '../cluster/node-connection.ts';

/** As column `hosts` of `shardwright.node` has them. */
export type HostTuples = readonly (readonly [host: string, port: number])[];

/** What the catalog has of a node's servers; null where it has only one. */
interface StoredServers {
  readonly hosts: HostTuples | null;
  readonly patroni: readonly string[] | null;
  readonly systemIdentifier: string | null;
  readonly timeline: number | null;
}

export type NodeServersKnown = Pick<ClusterNode, 'hosts' | 'patroni' | 'systemIdentifier' | 'timeline'>;

/** Nothing for a node with one server. */
export function serversOf({ hosts, patroni, systemIdentifier, timeline }: StoredServers): NodeServersKnown {
  if (hosts === null) return {};
  return {
    hosts: hosts.map(([host, port]) => ({ host, port })),
    ...(patroni === null ? {} : { patroni }),
    ...(systemIdentifier === null ? {} : { systemIdentifier }),
    ...(timeline === null ? {} : { timeline }),
  };
}

/** For the columns `hosts` and `patroni`. */
export function storedHosts({ hosts, patroni }: { readonly hosts?: readonly ServerAddress[] | undefined; readonly patroni?: readonly string[] | undefined }): [hosts: string | null, patroni: string | null] {
  return [hosts === undefined ? null : JSON.stringify(hosts.map(({ host, port }) => [host, port])), patroni === undefined ? null : JSON.stringify(patroni)];
}

export interface PrimaryFacts {
  readonly systemIdentifier: string;
  readonly timeline: number;
}

/** Remembers on which timeline a node's primary is, unless a newer one is known. */
export async function notePrimary(coordinator: Pick<NodeConnections, 'query'>, node: NodeId, { systemIdentifier, timeline }: PrimaryFacts): Promise<void> {
  const text = 'UPDATE shardwright.node SET system_identifier = $2, timeline = $3 WHERE node_id = $1 AND hosts IS NOT NULL AND coalesce(timeline, 0) < $3';
  await coordinator.query({ text, values: [node, systemIdentifier, timeline], mayWait: true });
}
