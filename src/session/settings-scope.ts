import type { QueryResult } from 'pg';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CommitPositions } from '../cluster/commit-positions.ts';
import type { CallOptions, NodeConnection, NodeNotice, ParsedQuery, RawResult } from '../cluster/node-connection.ts';
import { type AtomicHow, type AtomicWork, type Effect, mayRunAgain, type StatementScope, type SteadyScope } from '../execute/statement-scope.ts';
import type { Undoable } from '../txn/distributed-transaction.ts';
import { type NodeBatch, runBatches } from '../txn/run-batches.ts';
import type { PinnedCoordinator } from './pinned-coordinator.ts';
import { type Begin, inOwnTransaction, type PoolScope } from './pool-scope.ts';
import { SessionTransaction } from './session-transaction.ts';
import { ownSteady } from './steady-scope.ts';

interface SettingsInput {
  readonly pinned: PinnedCoordinator;
  readonly settings: readonly string[];
  readonly begin: Begin;
  /** Those of a transaction for which none are given, where the session has set defaults: they count at BEGIN only. */
  readonly modes: () => Promise<string>;
}

/** Outside a transaction, for a session with settings or a connection of its own: each connection is set up before it is used, and cleaned after. */
export class SettingsScope implements StatementScope {
  readonly inTransaction = false;
  readonly hasOneCoordinator = true;
  readonly snapshot: CatalogSnapshot;
  readonly signal: AbortSignal | undefined;
  readonly onNotice: ((notice: NodeNotice) => void) | undefined;
  readonly committed: CommitPositions | undefined;

  constructor(
    private readonly pool: PoolScope,
    private readonly input: SettingsInput,
  ) {
    this.snapshot = pool.snapshot;
    this.signal = pool.signal;
    this.onNotice = pool.onNotice;
    this.committed = pool.committed;
  }

  run(node: NodeId, query: ParsedQuery, effect: Effect): Promise<RawResult> {
    if (this.#isPlain(node)) return this.pool.run(node, query, effect);
    return this.withConnection(node, effect, (connection) => connection.query(query, this.#options()));
  }

  runParsed(node: NodeId, query: ParsedQuery, effect: Effect): Promise<QueryResult> {
    if (this.#isPlain(node)) return this.pool.runParsed(node, query, effect);
    return this.withConnection(node, effect, (connection) => connection.queryParsed(query, this.#options()));
  }

  async withConnection<T>(node: NodeId, effect: Effect, use: (connection: NodeConnection) => Promise<T>): Promise<T> {
    if (node === coordinatorNodeId) return this.input.pinned.use((connection) => this.#onPinned(connection, effect, use));
    const { settings } = this.input;
    return this.pool.withConnection(node, effect, async (connection) => {
      if (settings.length > 0) {
        connection.markDirty();
        await connection.query({ text: settings.join(';\n'), simple: true }, this.#options());
      }
      return use(connection);
    });
  }

  undoable(): Promise<Undoable> {
    return this.pool.undoable();
  }

  async atomically<T>(work: AtomicWork<T>, how?: AtomicHow): Promise<T> {
    const modes = await this.input.modes();
    return inOwnTransaction((order) => new SessionTransaction(this.input.begin(modes, { order }), this.input.settings), work, { snapshot: this.snapshot, signal: this.signal, onNotice: this.onNotice, pools: this.pool.pools, committed: this.committed, ...how });
  }

  steady(): SteadyScope {
    const { snapshot, signal, onNotice, committed, pool: { reads, pools } } = this;
    return ownSteady(this.input.begin, { snapshot, signal, onNotice, committed, reads, pools }, (transaction) => new SessionTransaction(transaction, this.input.settings));
  }

  writeBatches(batches: readonly NodeBatch[]): Promise<RawResult[][]> {
    return this.atomically((transaction, options) => runBatches(transaction, batches, options), mayRunAgain);
  }

  async #onPinned<T>(connection: NodeConnection, effect: Effect, use: (connection: NodeConnection) => Promise<T>): Promise<T> {
    const used = await use(connection);
    if (effect === 'write') await this.committed?.askAfter(connection);
    return used;
  }

  /** Nothing has been set that the node would have to know of. */
  #isPlain(node: NodeId): boolean {
    return node !== coordinatorNodeId && this.input.settings.length === 0;
  }

  #options(): CallOptions {
    return { signal: this.signal, onNotice: this.onNotice };
  }
}
