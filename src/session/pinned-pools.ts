import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnection, NodeConnections } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';

/**
 * A session's own connection to the coordinator database. Its temporary tables, advisory locks and LISTENs are there, as in
 * any PostgreSQL session; transactions of the session use it too.
 */
export class PinnedCoordinator {
  #held: NodeConnection | undefined;
  #taking: Promise<NodeConnection> | undefined;

  constructor(private readonly pools: NodePools) {}

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** The connection, taken at first use. A broken one is replaced by a new one. */
  connection(): Promise<NodeConnection> {
    if (this.#held !== undefined) return Promise.resolve(this.#held);
    this.#taking ??= this.#take().finally(() => (this.#taking = undefined));
    return this.#taking;
  }

  /** Gives it back; what the session changed there is discarded. */
  release(error?: unknown): void {
    const held = this.#held;
    this.#held = undefined;
    held?.release(error === undefined ? { dirty: true } : { error });
  }

  /** The pools for a transaction of this session: joining the coordinator database takes the pinned connection. */
  poolsForTransaction(): NodePools {
    const { pools } = this;
    return {
      get nodeIds() {
        return pools.nodeIds;
      },
      get: (node) => (node === coordinatorNodeId ? this.#connections() : pools.get(node)),
      setNodes: (nodes) => pools.setNodes(nodes),
      end: () => pools.end(),
    };
  }

  #connections(): NodeConnections {
    const shared = this.pools.get(coordinatorNodeId);
    const acquire = async (): Promise<NodeConnection> => {
      const held = await this.connection();
      return new Proxy(held, {
        get: (target, property) => {
          if (property === 'release') return (outcome?: { readonly error?: unknown }) => this.#afterTransaction(outcome?.error);
          const value: unknown = Reflect.get(target, property, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    };
    return new Proxy(shared, {
      get: (target, property) => {
        if (property === 'acquire') return acquire;
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  #afterTransaction(error: unknown): void {
    const held = this.#held;
    if (held !== undefined && (error !== undefined || held.transactionStatus !== 'idle')) this.release(error ?? new Error('left in a transaction'));
  }

  async #take(): Promise<NodeConnection> {
    const connection = await this.pools.get(coordinatorNodeId).acquire();
    connection.markDirty();
    this.#held = connection;
    return connection;
  }
}
