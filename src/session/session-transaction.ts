import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import type { DistributedTransaction, Undoable, WriteOrder } from '../txn/distributed-transaction.ts';

/** No user's savepoint is meant by it: one of the same name is hidden, and is found again afterwards. */
const guard = 'shardwright_part';

/**
 * A transaction block of a session: what the session has set, and its savepoints, reach each server when it joins, in the
 * order they were made; later ones reach all that have joined.
 */
export class SessionTransaction implements DistributedTransaction {
  /** Statements to be repeated on a server that joins later. */
  readonly #history: string[];
  /** Whether a statement in it has changed settings. */
  changedSettings = false;
  /** Names of cursors that its statements have given out: several may be open. */
  readonly names = { last: 0 };
  readonly #joined = new Map<NodeId, Promise<NodeConnection>>();
  /** Those of them that have repeated what was to be repeated. */
  readonly #ready = new Set<NodeId>();
  /** The last broadcast. */
  #sending: Promise<void> | undefined;

  constructor(
    private readonly inner: DistributedTransaction,
    settings: readonly string[],
  ) {
    this.#history = [...settings];
  }

  get id(): string {
    return this.inner.id;
  }

  get order(): WriteOrder | undefined {
    return this.inner.order;
  }

  has(node: NodeId): boolean {
    return this.#joined.has(node);
  }

  async join(node: NodeId, effect: 'read' | 'write', options?: CallOptions): Promise<NodeConnection> {
    const repeats = this.#history.length > 0;
    // As a writer it would be asked something at once, and SET TRANSACTION has to come before that.
    const connection = await this.inner.join(node, repeats ? 'read' : effect, options);
    let ready = this.#joined.get(node);
    if (ready === undefined) {
      ready = this.#prepare(connection, this.#sending, options);
      this.#joined.set(node, ready);
    }
    await ready;
    this.#ready.add(node);
    return repeats ? this.inner.join(node, effect, options) : connection;
  }

  joined(node: NodeId, effect: 'read' | 'write'): NodeConnection | undefined {
    return this.#ready.has(node) ? this.inner.joined?.(node, effect) : undefined;
  }

  /** SET TRANSACTION comes before what the session has set, which may read: so where no server has joined yet, it becomes the first statement everywhere. False where one has. */
  beginWith(text: string): boolean {
    if (this.#joined.size > 0) return false;
    this.#history.unshift(text);
    return true;
  }

  hasModes(modes: string): void {
    this.inner.hasModes?.(modes);
  }

  /** Before anything is read in it. What the session has set reaches the servers later, with the first statement there: setting may read. */
  async takeSnapshot(options?: CallOptions): Promise<void> {
    await this.inner.takeSnapshot?.(options);
  }

  /** Runs a statement that changes the block itself (SAVEPOINT, SET) on all servers that joined, and on later ones. */
  broadcast(text: string, options?: CallOptions): Promise<void> {
    const sent = this.#send(text, options);
    this.#sending = sent.catch(() => undefined);
    return sent;
  }

  /** The same of ROLLBACK TO SAVEPOINT. */
  async rollbackTo(text: string, options?: CallOptions): Promise<void> {
    await this.broadcast(text, options);
    this.inner.partUndone?.();
  }

  /** To those that have joined when it is called. One that joins before it is done waits for that, and repeats the text if it held. */
  async #send(text: string, options: CallOptions | undefined): Promise<void> {
    const connections = await Promise.all(this.#joined.values());
    const settled = await Promise.allSettled(connections.map((connection) => {
      connection.markDirty();
      return connection.query({ text, simple: true }, options);
    }));
    // One that was refused must not be repeated elsewhere.
    for (const outcome of settled) if (outcome.status === 'rejected') throw outcome.reason;
    this.#history.push(text);
  }

  /**
   * A savepoint of the library's own around a part of one statement. It reaches servers that join meanwhile; it is not among what later ones repeat, however
   * it ends.
   */
  async undoable(options?: CallOptions): Promise<Undoable> {
    const start = this.#history.length;
    const end = async (sent: Promise<void>): Promise<void> => {
      await sent;
      this.#history.length = start;
    };
    await this.broadcast(`SAVEPOINT ${guard}`, options);
    return {
      keep: () => end(this.broadcast(`RELEASE SAVEPOINT ${guard}`, options)),
      undo: () => end(this.rollbackTo(`ROLLBACK TO SAVEPOINT ${guard};\nRELEASE SAVEPOINT ${guard}`, options)),
    };
  }

  commit(options?: CallOptions): Promise<void> {
    return this.inner.commit(options);
  }

  rollback(): Promise<void> {
    return this.inner.rollback();
  }

  async #prepare(connection: NodeConnection, sending: Promise<void> | undefined, options: CallOptions | undefined): Promise<NodeConnection> {
    // Not what is sent from now on, which waits for this server.
    await sending;
    if (this.#history.length > 0) {
      connection.markDirty();
      await connection.query({ text: this.#history.join(';\n'), simple: true }, options);
    }
    return connection;
  }
}
