import { withMember } from '../base/with-member.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnection, NodeConnections, NodeNotification } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { isConnectionFailure } from '../cluster/translate-error.ts';

interface PinnedInput {
  readonly pools: NodePools;
  /** Statements that give a new connection the session's state. */
  readonly settings: () => readonly string[];
  /** Told when there is a connection in which nobody has taken values of sequences, and when it is there no more. */
  readonly onConnected: (isThere: boolean) => void;
  readonly onNotification?: ((notification: NodeNotification) => void) | undefined;
}

/**
 * A session's own connection to the coordinator database. Its temporary tables, advisory locks and LISTENs are there, as in
 * any PostgreSQL session; transactions of the session use it too.
 */
export class PinnedCoordinator {
  #held: NodeConnection | undefined;
  #taking: Promise<NodeConnection> | undefined;
  /** The transaction's, while there is none of the session's own. */
  #borrowed: NodeConnection | undefined;

  /** The pools for a transaction of this session: joining the coordinator database takes the pinned connection, if there is one. */
  readonly poolsForTransaction: NodePools;

  constructor(private readonly input: PinnedInput) {
    const { pools } = input;
    this.poolsForTransaction = {
      get nodeIds() {
        return pools.nodeIds;
      },
      get failsOver() {
        return pools.failsOver;
      },
      get commits() {
        return pools.commits;
      },
      get: (node) => (node === coordinatorNodeId ? this.#connections() : pools.get(node)),
      setNodes: (nodes) => pools.setNodes(nodes),
      end: () => pools.end(),
    };
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** The connection, taken and given the session's settings at first use. */
  connection(): Promise<NodeConnection> {
    if (this.#held !== undefined) return Promise.resolve(this.#held);
    this.#taking ??= this.#take().finally(() => (this.#taking = undefined));
    return this.#taking;
  }

  /** Runs something on the connection. A broken one is let go, so that the next use takes another. */
  async use<T>(work: (connection: NodeConnection) => Promise<T>): Promise<T> {
    const connection = await this.connection();
    try {
      return await work(connection);
    } catch (error) {
      if (isConnectionFailure(error) && this.#held === connection) this.release(error);
      throw error;
    }
  }

  /** From now on the transaction's connection is the session's: something is left behind in it that must outlive the transaction. */
  keepBorrowed(): void {
    if (this.#borrowed === undefined || this.#held !== undefined) return;
    this.#hold(this.#borrowed);
    this.#borrowed = undefined;
  }

  /** Gives it back; what the session changed there is discarded. */
  release(error?: unknown): void {
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.input.onConnected(false);
    held?.onNotification(undefined);
    held?.release(error === undefined ? { dirty: true } : { error });
  }

  #connections(): NodeConnections {
    const shared = this.input.pools.get(coordinatorNodeId);
    const acquire: NodeConnections['acquire'] = async (options) => {
      const held = this.#held ?? (this.#borrowed = this.#withoutSequences(await shared.acquire(options)));
      const release: NodeConnection['release'] = (outcome) => this.#afterTransaction(held, outcome);
      return withMember(held, 'release', release);
    };
    return withMember(shared, 'acquire', acquire);
  }

  #afterTransaction(connection: NodeConnection, outcome: Parameters<NodeConnection['release']>[0]): void {
    if (this.#borrowed === connection) this.#borrowed = undefined;
    if (this.#held !== connection) {
      if (this.#held === undefined) this.input.onConnected(false);
      connection.release(outcome);
    }
    else if (outcome?.error !== undefined || connection.transactionStatus !== 'idle') this.release(outcome?.error ?? new Error('left in a transaction'));
  }

  async #take(): Promise<NodeConnection> {
    const connection = this.#withoutSequences(await this.input.pools.get(coordinatorNodeId).acquire());
    const settings = this.input.settings();
    try {
      if (settings.length > 0) await connection.query({ text: settings.join(';\n'), simple: true });
    } catch (error) {
      this.input.onConnected(false);
      connection.release({ error });
      throw error;
    }
    this.#hold(connection);
    return connection;
  }

  #hold(connection: NodeConnection): void {
    connection.markDirty();
    connection.onNotification(this.input.onNotification);
    this.#held = connection;
  }

  /** `currval` and `lastval` must not tell what others have taken who had the connection before. Not awaited: what is asked goes behind it, and fails as it does where the connection is lost. */
  #withoutSequences(connection: NodeConnection): NodeConnection {
    connection.query({ text: 'DISCARD SEQUENCES', simple: true }).catch(() => undefined);
    this.input.onConnected(true);
    return connection;
  }
}
