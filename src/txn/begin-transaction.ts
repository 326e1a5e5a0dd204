import type { BeginOptions, DistributedTransaction, WriteOrder } from './distributed-transaction.ts';
import type { WatchedTransaction } from './deadlock-watch.ts';
import { claiming, noteClaim } from './claim.ts';
import { commitOnlyWriter, commitParticipant, type Participant, rollbackParticipant, transactionAborted } from './participant.ts';
import { takeSnapshot } from './take-snapshot.ts';
import { newTransactionId } from './transaction-id.ts';
import { commitInTwoPhases } from './two-phase-commit.ts';
import { assert, at } from '../base/assert.ts';
import { throwIfAborted } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { ReadRoute } from '../cluster/read-route.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';

/** What may stand behind BEGIN; anything else could end in a server running statements outside a transaction. */
const mode = '(isolation level (serializable|repeatable read|read committed|read uncommitted)|read (write|only)|(not )?deferrable)';
/** Levels whose first statement takes the snapshot of all. */
const oneSnapshot = /repeatable read|serializable/i;
/** Whether a server in recovery can run a transaction of these modes. */
export function canBeOnReplicas(modes: string): boolean {
  return /read\s+only/i.test(modes) && !/serializable/i.test(modes);
}

const modesPattern = new RegExp(`^(${mode}(,? ${mode})*)?$`, 'i');

/** Begins a transaction; no server hears of it before it joins. Throws `invalidParameter` for modes that BEGIN does not know. */
export function beginTransaction(pools: NodePools, options: BeginOptions): DistributedTransaction {
  if (options.modes === undefined || options.modes === '') return new LazyTransaction(pools, { ...options, modes: '' });
  const modes = options.modes.trim().replaceAll(/\s+/g, ' ').replaceAll(' ,', ',');
  if (!modesPattern.test(modes)) throw new ClusterError('invalidParameter', `unknown transaction mode: ${modes}`);
  return new LazyTransaction(pools, { ...options, modes });
}

class LazyTransaction implements DistributedTransaction, WatchedTransaction {
  readonly id = newTransactionId();
  readonly #participants = new Map<NodeId, Promise<Participant>>();
  /** Those of them that have joined. */
  readonly #entered = new Map<NodeId, Participant>();
  readonly began = Date.now();
  readonly connections = new Map<NodeId, NodeConnection>();
  #over = false;
  /** In the order in which they came to write. */
  readonly #writers: Participant[] = [];
  /** Where a claim was sent. */
  readonly #claimed = new Set<NodeId>();
  /** Not with BEGIN, hence perhaps behind a savepoint. */
  readonly #claimedLate = new Set<Participant>();
  /** It has a snapshot of all servers, and no other can join. */
  #complete = false;

  #modes: string;
  /** For nodes that join from now on. */
  #reads: ReadRoute | undefined;
  /** Those that joined by it: they have written nothing, whatever was sent there, and can prepare nothing. */
  readonly #read = new Set<NodeId>();

  constructor(
    private readonly pools: NodePools,
    private readonly options: BeginOptions & { readonly modes: string },
  ) {
    this.#modes = options.modes;
    this.#reads = options.reads;
  }

  get order(): WriteOrder | undefined {
    return this.options.order;
  }

  async join(node: NodeId, effect: 'read' | 'write', options?: CallOptions): Promise<NodeConnection> {
    assert(!this.#over, 'a server joins a transaction that is over');
    let entering = this.#participants.get(node);
    if (entering === undefined) {
      if (this.#complete) throw outsideSnapshot(this.pools.get(node).name);
      entering = this.#enter(node, this.#beginsWithClaim(node, effect), options);
      this.#participants.set(node, entering);
    }
    return this.#joins(await entering, effect);
  }

  joined(node: NodeId, effect: 'read' | 'write'): NodeConnection | undefined {
    assert(!this.#over, 'a server joins a transaction that is over');
    const participant = this.#entered.get(node);
    return participant === undefined ? undefined : this.#joins(participant, effect);
  }

  hasModes(modes: string): void {
    this.#modes = modes;
    if (!canBeOnReplicas(modes)) this.#reads = undefined;
  }

  partUndone(): void {
    for (const participant of this.#claimedLate) participant.claimed = false;
  }

  async takeSnapshot(options?: CallOptions): Promise<void> {
    const { pools, connections } = this;
    this.#reads = undefined;
    await Promise.all(pools.nodeIds.map((node) => this.join(node, 'read', options)));
    this.#complete = true;
    await takeSnapshot({ pools, connections, clusterId: this.options.clusterId, onStep: this.options.onSnapshotStep }, options);
  }

  async commit(options?: CallOptions): Promise<void> {
    assert(!this.#over, 'a transaction that is over is committed');
    this.#end();
    const participants = await this.#joined();
    try {
      throwIfAborted(options?.signal);
      if (participants.some(({ connection }) => connection.transactionStatus === 'failed')) throw transactionAborted();
      await this.#commit(participants, options);
    } finally {
      const open = participants.filter(({ connection }) => connection.transactionStatus !== 'idle');
      if (open.length > 0) await Promise.all(open.map(rollbackParticipant));
      for (const { connection } of participants) connection.release();
    }
  }

  async rollback(): Promise<void> {
    if (this.#over) return;
    this.#end();
    const participants = await this.#joined();
    await Promise.all(participants.map(rollbackParticipant));
    for (const { connection } of participants) connection.release();
  }

  #end(): void {
    this.#over = true;
    if (this.connections.size > 1) this.options.watch?.leave(this);
  }

  /**
   * Whether BEGIN is sent with the claim of whoever may come to decide: the first writer, and the coordinator database. Not where the claim would take the transaction's only
   * snapshot.
   */
  #beginsWithClaim(node: NodeId, effect: 'read' | 'write'): boolean {
    if (effect === 'read' || this.#hasOneSnapshot || this.#routeFor(node) !== undefined || !this.#mayClaim(node)) return false;
    this.#claimed.add(node);
    return true;
  }

  #joins(participant: Participant, effect: 'read' | 'write'): NodeConnection {
    if (effect === 'write' && participant.effect === 'read' && !this.#read.has(participant.node)) this.#becomeWriter(participant);
    return participant.connection;
  }

  /** Claims are under way before COMMIT comes, so that it need not wait for one. */
  #becomeWriter(participant: Participant): void {
    participant.effect = 'write';
    this.#writers.push(participant);
    // With a single snapshot, only where the first statement has been sent.
    const claimant = this.#hasOneSnapshot ? this.#writers.find((writer) => writer !== participant) : participant;
    if (claimant === undefined || !this.#mayClaim(claimant.node)) return;
    this.#claimed.add(claimant.node);
    this.#claimedLate.add(claimant);
    claimant.connection.query(claiming(this.id, claimant.node)).then((claim) => noteClaim(claimant, claim), () => undefined);
  }

  #mayClaim(node: NodeId): boolean {
    return !this.#claimed.has(node) && (this.#claimed.size === 0 || node === coordinatorNodeId);
  }

  get #hasOneSnapshot(): boolean {
    return oneSnapshot.test(this.#modes);
  }

  #routeFor(node: NodeId): ReadRoute | undefined {
    return node === coordinatorNodeId ? undefined : this.#reads;
  }

  async #enter(node: NodeId, claims: boolean, options: CallOptions | undefined): Promise<Participant> {
    const reads = this.#routeFor(node);
    if (reads !== undefined) this.#read.add(node);
    try {
      const connection = await this.pools.get(node).acquire({ ...options, reads });
      const participant: Participant = { node, connection, effect: 'read' };
      // Not awaited: the first statement follows in the same write. It can fail only with the connection, as that one does then.
      this.#begin(participant, claims).catch(() => undefined);
      this.connections.set(node, connection);
      this.#entered.set(node, participant);
      // Who only reads, on replicas, is in nobody's way; and servers of one node call different processes by the same number.
      if (this.connections.size === 2 && !this.#over && this.#read.size === 0) this.options.watch?.enter(this);
      return participant;
    } catch (error) {
      this.#participants.delete(node);
      this.#read.delete(node);
      throw error;
    }
  }

  async #begin(participant: Participant, claims: boolean): Promise<void> {
    const { node, connection } = participant;
    const text = `BEGIN ${this.options.modes}`;
    if (claims) noteClaim(participant, at(await connection.batch([{ text }, claiming(this.id, node)]), 1));
    else await connection.query({ text, simple: true });
  }

  /** Those that made it; a server that could not be joined takes no part. */
  async #joined(): Promise<Participant[]> {
    if (this.#entered.size < this.#participants.size) await Promise.allSettled(this.#participants.values());
    return [...this.#entered.values()];
  }

  async #commit(participants: readonly Participant[], options: CallOptions | undefined): Promise<void> {
    const name = { clusterId: this.options.clusterId, transactionId: this.id };
    const [only] = participants;
    if (participants.length === 1 && only?.effect === 'write') return commitOnlyWriter(only, name, options);
    const writers = participants.filter(({ effect }) => effect === 'write');
    const readers = participants.filter(({ effect }) => effect === 'read');
    const [writer, second] = writers;
    const onNotice = options?.onNotice;
    if (second !== undefined) {
      await commitInTwoPhases({ ...name, pools: this.pools, onStep: this.options.onStep }, { writers, readers }, options);
    } else if (writer === undefined) await Promise.all(readers.map((reader) => commitParticipant(reader, { onNotice })));
    else if (/serializable/i.test(this.#modes)) {
      // A reader's COMMIT may find a conflict, so it has to come before anything is final.
      await Promise.all(readers.map((reader) => commitParticipant(reader, { onNotice })));
      await commitOnlyWriter(writer, name, options);
    } else await Promise.all([commitOnlyWriter(writer, name, options), ...readers.map(commitQuietly)]);
  }
}

/** What a reader read is not changed by how its transaction ends. */
async function commitQuietly(reader: Participant): Promise<void> {
  await commitParticipant(reader).catch(() => undefined);
}

function outsideSnapshot(name: string): ClusterError {
  return new ClusterError('snapshotUnavailable', `the transaction's snapshot does not reach node ${name}`, {
    sqlState: '55000', detail: 'The node was added after the snapshot was taken.', hint: 'Begin the transaction again.',
  });
}
