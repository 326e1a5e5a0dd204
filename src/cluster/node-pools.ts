import type { NodeConnections } from './node-connection.ts';
import { type NamedNode, type NodeConnectionsConfig, openNodeConnections } from './open-node-connections.ts';
import { ClusterError } from '../base/errors.ts';
import type { ServerAddress } from '../catalog/catalog-snapshot.ts';
import type { NodeId } from '../catalog/ids.ts';
import { RecentCommits } from './recent-commits.ts';

/** Where a node is and how to connect to it. */
export interface NodeEndpoint extends NamedNode {
  readonly config: NodeConnectionsConfig;
  /** All servers of the node, where it has several: one of them is the primary, the others are its replicas. */
  readonly servers?: NodeServers | undefined;
  /** It is not in the catalog: whoever knows its id may use it, what is about all nodes passes it over. */
  readonly isUnlisted?: boolean | undefined;
}

export interface NodeServers {
  readonly hosts: readonly ServerAddress[];
  /** URLs of Patroni's REST interface, which may know of others. */
  readonly patroni?: readonly string[] | undefined;
  /** What is known of the primary from before. */
  readonly systemIdentifier?: string | undefined;
  readonly timeline?: number | undefined;
}

/** The connections to every node of a cluster, the coordinator database (`coordinatorNodeId`) among them. */
export interface NodePools {
  readonly nodeIds: readonly NodeId[];
  /** Whether some node has several servers, so that what fails with one may be tried again with another. */
  readonly failsOver?: boolean | undefined;
  /** Where nodes have replicas: what was committed lately. */
  readonly commits?: RecentCommits | undefined;
  /** Opens nothing yet. Also for nodes that are not listed. Throws `undefinedNode`, and `clusterClosed` after `end`. */
  get(node: NodeId): NodeConnections;
  /** Replaces the nodes. The connections to one that is gone, or has a new name, are closed when their work is done. */
  setNodes(nodes: readonly NodeEndpoint[]): void;
  /** Waits for running statements and held connections, then closes all. */
  end(): Promise<void>;
}

export type OpenConnections = (endpoint: NodeEndpoint) => NodeConnections;

/** `commits`: another's, who has connections to the same nodes. */
export function createNodePools(nodes: readonly NodeEndpoint[], open: OpenConnections = (endpoint) => openNodeConnections(endpoint, endpoint.config), commits = new RecentCommits()): NodePools {
  const pools = new LazyPools(open, commits);
  pools.setNodes(nodes);
  return pools;
}

class LazyPools implements NodePools {
  #endpoints = new Map<NodeId, NodeEndpoint>();
  readonly #opened = new Map<NodeId, NodeConnections>();
  readonly #closing = new Set<Promise<void>>();
  #ended = false;

  constructor(private readonly open: OpenConnections, readonly commits: RecentCommits) {}

  get failsOver(): boolean {
    for (const { servers } of this.#endpoints.values()) if (servers !== undefined) return true;
    return false;
  }

  get nodeIds(): readonly NodeId[] {
    return [...this.#endpoints.values()].flatMap(({ id, isUnlisted }) => (isUnlisted === true ? [] : [id]));
  }

  get(node: NodeId): NodeConnections {
    return this.#opened.get(node) ?? this.#open(node);
  }

  setNodes(nodes: readonly NodeEndpoint[]): void {
    this.#endpoints = new Map(nodes.map((endpoint) => [endpoint.id, endpoint]));
    for (const [id, connections] of this.#opened) {
      if (this.#endpoints.get(id)?.name !== connections.name) this.#close(id, connections);
    }
  }

  async end(): Promise<void> {
    this.#ended = true;
    for (const [id, connections] of this.#opened) this.#close(id, connections);
    await Promise.all(this.#closing);
  }

  #open(node: NodeId): NodeConnections {
    if (this.#ended) throw new ClusterError('clusterClosed', 'the cluster was ended');
    const endpoint = this.#endpoints.get(node);
    if (endpoint === undefined) throw new ClusterError('undefinedNode', `node ${node} does not exist`);
    const connections = this.open(endpoint);
    this.#opened.set(node, connections);
    return connections;
  }

  #close(id: NodeId, connections: NodeConnections): void {
    this.#opened.delete(id);
    const closing = connections.end().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}
