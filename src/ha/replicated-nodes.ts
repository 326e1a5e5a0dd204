import type { ServerAddress } from '../catalog/catalog-snapshot.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { LogPosition } from '../cluster/log-position.ts';
import { defaultNodeLimits } from '../cluster/node-settings.ts';
import type { NodeEndpoint, OpenConnections } from '../cluster/node-pools.ts';
import { openNodeConnections } from '../cluster/open-node-connections.ts';
import type { PrimaryFacts } from '../store/node-servers.ts';
import { patroniMembers } from './patroni.ts';
import { ReplicatedConnections } from './replicated-connections.ts';

export interface ReplicatedNodesOptions {
  readonly failoverTimeoutMs: number;
  /** Called when another primary of a node is found than was known; `before`: where the old one's log was when it last answered, if that is known here. */
  readonly onPrimary: (node: NodeId, found: PrimaryFacts, before: LogPosition | undefined) => void;
}

/** Opens the connections to nodes, and knows those that have several servers. */
export class ReplicatedNodes {
  readonly #nodes = new Map<NodeId, ReplicatedConnections>();
  /** Further connections to the same nodes, such as those in another role. */
  readonly #others = new Set<ReplicatedConnections>();

  constructor(private readonly options: ReplicatedNodesOptions) {}

  readonly open: OpenConnections = (endpoint) => {
    const replicated = this.#replicated(endpoint);
    if (replicated === undefined) this.#nodes.delete(endpoint.id);
    else this.#nodes.set(endpoint.id, replicated);
    return replicated ?? openNodeConnections(endpoint, endpoint.config);
  };

  readonly openOther: OpenConnections = (endpoint) => {
    const replicated = this.#replicated(endpoint);
    if (replicated !== undefined) this.#others.add(replicated);
    return replicated ?? openNodeConnections(endpoint, endpoint.config);
  };

  #replicated(endpoint: NodeEndpoint): ReplicatedConnections | undefined {
    const { servers } = endpoint;
    if (servers === undefined) return undefined;
    return new ReplicatedConnections(endpoint, servers, {
      failoverTimeoutMs: this.options.failoverTimeoutMs,
      waitersMax: endpoint.config.queueMax ?? defaultNodeLimits.queueMax,
      onPrimary: (found, before) => this.options.onPrimary(endpoint.id, found, before),
      discover: discovery(endpoint),
    });
  }

  /** Undefined for a node with one server, and for one that was not used yet. */
  of(node: NodeId): ReplicatedConnections | undefined {
    return this.#nodes.get(node);
  }

  /** All connections to the node, those of `of` first; none for a node with one server. */
  allOf(node: NodeId): readonly ReplicatedConnections[] {
    for (const other of this.#others) if (other.isEnded) this.#others.delete(other);
    return [this.#nodes.get(node), ...this.#others].filter((one) => one !== undefined).filter((one) => one.node === node);
  }
}

function discovery({ servers }: NodeEndpoint): (() => Promise<readonly ServerAddress[]>) | undefined {
  const patroni = servers?.patroni;
  return patroni === undefined ? undefined : () => patroniMembers(patroni);
}
