import { decideAndCommit, finishPrepared, learnOutcomePatiently, type Outcome, untilBack } from './decision.ts';
import type { BeginOptions, CommitStep } from './distributed-transaction.ts';
import { formatGid, gidCluster } from './gid.ts';
import { claiming, noteClaim } from './claim.ts';
import { commitParticipant, outcomeUnknown, type Participant, rollbackParticipant, transactionAborted, type TransactionName } from './participant.ts';
import { allSettledOrThrow } from './run-batches.ts';
import { throwIfAborted } from '../base/abort.ts';
import { at, present } from '../base/assert.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import { collecting, CommitPositions } from '../cluster/commit-positions.ts';
import { positionQuery, readPosition } from '../cluster/log-position.ts';
import type { CallOptions, NodeConnection, NodeQuery, RawResult } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { isConnectionFailure } from '../cluster/translate-error.ts';

export interface CommitContext extends TransactionName, Pick<BeginOptions, 'onStep'> {
  readonly pools: NodePools;
  /** Called when all have prepared. */
  readonly beforeDecision?: (() => void) | undefined;
}

export interface Participants {
  /** Two at least. */
  readonly writers: readonly Participant[];
  readonly readers: readonly Participant[];
}

const uniqueViolation = '23505';

/**
 * Two-phase commit with a last agent, which has claimed the transaction:
 * 1. PREPARE TRANSACTION on every writer but the last agent, and COMMIT of the readers, side by side. Any failure: roll back all.
 * 2. The last agent commits its work together with the decision row. That is the moment of commit. If the row is there already,
 *    recovery has decided for abort: roll back all. If the connection is lost, the row tells.
 * 3. COMMIT PREPARED on the others, side by side. What fails now is left to recovery: the transaction has committed.
 *
 * Throws what refused step 1 or 2 when nothing was committed, and `outcomeUnknown` when the decision cannot be learned. The
 * signal counts until the decision is on its way. Source: presumed abort with the last-agent optimisation, Mohan et al. 1986.
 */
export async function commitInTwoPhases(context: CommitContext, participants: Participants, options: CallOptions | undefined): Promise<void> {
  const agent = chooseLastAgent(participants.writers);
  const prepared = participants.writers.filter((writer) => writer !== agent);
  const commit = new TwoPhaseCommit(context, agent, prepared);
  try {
    await commit.prepare(participants.readers, options);
    await commit.decide(options);
  } catch (error) {
    if (!commit.inDoubt) await commit.rollback();
    throw error;
  }
  await commit.finish(options);
}

/** What a participant does in a transaction all of whose statements are known beforehand. */
export interface Work {
  readonly participant: Participant;
  readonly queries: readonly NodeQuery[];
}

/**
 * Runs and commits a whole transaction of two writers or more, none of which has begun. As `commitInTwoPhases`, but step 1 is one message to
 * each server, with its statements between BEGIN and PREPARE TRANSACTION: where one fails, the server skips what is behind it. The last agent, which does
 * not prepare, is the one with the most to do.
 */
export async function runInTwoPhases(context: CommitContext, work: readonly Work[], options: CallOptions | undefined): Promise<RawResult[][]> {
  const most = work.reduce((a, b) => (b.queries.length > a.queries.length ? b : a));
  const commit = new TwoPhaseCommit(context, most.participant, work.filter((one) => one !== most).map(({ participant }) => participant));
  try {
    const results = await commit.runAndPrepare(work, options);
    await commit.decide(options);
    await commit.finish(options);
    return results;
  } catch (error) {
    if (!commit.inDoubt) await commit.rollback();
    throw error;
  }
}

/** The coordinator database if it writes, since it may be unable to prepare. Else one with a claim. */
function chooseLastAgent(writers: readonly Participant[]): Participant {
  return writers.find(({ node }) => node === coordinatorNodeId) ?? writers.find(({ claimed }) => claimed === true) ?? at(writers, 0);
}

class TwoPhaseCommit {
  /** The decision may have been made, and nobody here knows which. */
  inDoubt = false;
  /** Behind what nodes with replicas have prepared, and the decision. */
  readonly #positions: CommitPositions;

  constructor(
    private readonly context: CommitContext,
    private readonly agent: Participant,
    private readonly prepared: readonly Participant[],
  ) {
    this.#positions = new CommitPositions(context.pools);
  }

  async prepare(readers: readonly Participant[], options: CallOptions | undefined): Promise<void> {
    await this.#step('before_prepare');
    throwIfAborted(options?.signal);
    await this.#claim();
    const settled = await Promise.allSettled([
      ...this.prepared.map((participant) => this.#prepareOne(participant, options)),
      ...readers.map((reader) => commitParticipant(reader)),
    ]);
    const refused = settled.find(({ status }) => status === 'rejected');
    if (refused?.status === 'rejected') throw refused.reason;
    await this.#step('prepared');
  }

  /** Nearly always it is there already; it has to be, before anything is prepared. */
  async #claim(): Promise<void> {
    if (this.agent.claimed !== true) noteClaim(this.agent, await this.agent.connection.query(claiming(this.context.transactionId, this.agent.node)));
  }

  async runAndPrepare(work: readonly Work[], options: CallOptions | undefined): Promise<RawResult[][]> {
    await this.#step('before_prepare');
    throwIfAborted(options?.signal);
    const results = await allSettledOrThrow(work.map(async ({ participant: { node, connection }, queries }) => {
      if (connection === this.agent.connection) return this.#runAndClaim(queries, options);
      const results = await collecting(this.#positions, connection, () => connection.batch([{ text: 'BEGIN' }, ...queries, { text: this.#prepareSql(node) }], options));
      await this.#step('one_prepared');
      return results;
    }));
    await this.#step('prepared');
    return results.map((own, i) => own.slice(1, 1 + at(work, i).queries.length));
  }

  /** The results as those of the others, which begin with that of BEGIN. */
  async #runAndClaim(queries: readonly NodeQuery[], options: CallOptions | undefined): Promise<RawResult[]> {
    const { node, connection } = this.agent;
    const [begin, claim, ...results] = await connection.batch([{ text: 'BEGIN' }, claiming(this.context.transactionId, node), ...queries], options);
    noteClaim(this.agent, present(claim));
    return [present(begin), ...results];
  }

  #prepareSql(node: NodeId): string {
    return `PREPARE TRANSACTION '${this.#gid(node)}'`;
  }

  async #prepareOne({ node, connection }: Participant, options: CallOptions | undefined): Promise<void> {
    const { command } = await collecting(this.#positions, connection, () => connection.query({ text: this.#prepareSql(node), simple: true }, options));
    // A transaction that has failed already is rolled back instead, without an error.
    if (command === 'ROLLBACK') throw transactionAborted();
    await this.#step('one_prepared');
  }

  async decide(options: CallOptions | undefined): Promise<void> {
    this.context.beforeDecision?.();
    await this.#step('before_decision');
    throwIfAborted(options?.signal);
    try {
      const { connection, node } = this.agent;
      const told = { onNotice: options?.onNotice };
      await collecting(options?.committed ?? this.#positions, connection, () => connection.batch(decideAndCommit({ node, transactionId: this.context.transactionId }), told));
      this.#noteCommit(options?.committed);
    } catch (error) {
      if (!isConnectionFailure(error)) throw isOvertaken(error) ? overtaken(error) : error;
      await this.#learn(error);
      options?.committed?.missed(this.agent.node);
    }
  }

  /** For who has to tell, after a failover, what it has not kept. */
  #noteCommit(committed: CommitPositions | undefined): void {
    const { pools: { commits }, transactionId } = this.context;
    if (commits === undefined) return;
    const { node } = this.agent;
    const decided = committed?.found.get(node);
    commits.note({ transactionId, decisionNode: node, parts: new Map([...this.#positions.found, ...(decided === undefined ? [] : [[node, decided] as const])]) });
  }

  /** Never throws: from the decision on the transaction has committed. */
  async finish({ committed }: Pick<CallOptions, 'committed'> = {}): Promise<void> {
    try {
      await this.#step('decided');
      await this.#finishAll('commit', committed);
      await this.#step('committed');
    } catch {
      // Recovery does the rest.
      for (const { node } of this.prepared) committed?.isLate(node);
    }
  }

  /** Never throws; what cannot be reached is left to recovery, which finds no decision. */
  async rollback(): Promise<void> {
    await Promise.all([rollbackParticipant(this.agent), this.#finishAll('abort')]);
  }

  async #learn(cause: unknown): Promise<void> {
    this.inDoubt = true;
    const { pools, transactionId } = this.context;
    const outcome = await learnOutcomePatiently(pools, { node: this.agent.node, transactionId });
    if (outcome === undefined) {
      pools.commits?.onLeft();
      throw outcomeUnknown(this.context, this.agent, cause);
    }
    this.inDoubt = false;
    if (outcome === 'abort') throw cause;
  }

  async #finishAll(outcome: Outcome, committed?: CommitPositions): Promise<void> {
    await allSettledOrThrow(this.prepared.map(async (participant) => {
      await this.#finishOne(participant, outcome, committed);
      if (outcome === 'commit') await this.#step('one_committed');
    }));
  }

  /** Over the connection that prepared; if that is lost, over another. A commit is not acknowledged before its server is back, if that comes back soon: nobody who was told of it would find it there. */
  async #finishOne({ node, connection }: Participant, outcome: Outcome, committed: CommitPositions | undefined): Promise<void> {
    const work = { gid: this.#gid(node), outcome };
    if (await isRolledBack(connection)) return;
    try {
      await collecting(committed, connection, () => finishPrepared(connection, work));
    } catch {
      const finish = (): Promise<void> => this.#finishElsewhere(node, work);
      await (outcome === 'commit' ? untilBack(finish) : finish()).then(() => committed?.missed(node), () => this.#leave(node, committed));
    }
  }

  /** To recovery, which is told, since others may wait for what is prepared there. */
  #leave(node: NodeId, committed: CommitPositions | undefined): void {
    committed?.isLate(node);
    this.context.pools.commits?.onLeft();
  }

  /** On another server, perhaps, which had it prepared as well. */
  async #finishElsewhere(node: NodeId, work: { readonly gid: string; readonly outcome: Outcome }): Promise<void> {
    const { pools, transactionId } = this.context;
    const connections = pools.get(node);
    const isFinished = await finishPrepared(connections, work);
    if (!isFinished || work.outcome !== 'commit' || connections.hasReplicas !== true) return;
    pools.commits?.isThere(transactionId, node, readPosition(await connections.query(positionQuery)));
  }

  async #step(step: CommitStep): Promise<void> {
    await this.context.onStep?.(step);
  }

  #gid(participant: NodeId): string {
    const { clusterId, transactionId } = this.context;
    return formatGid({ cluster: gidCluster(clusterId), decisionNode: this.agent.node, transactionId, participant });
  }
}

/** Rolls back what is still open. A server that was in a transaction block has not prepared it; a lost connection cannot tell. */
async function isRolledBack(connection: NodeConnection): Promise<boolean> {
  if (isIdle(connection)) return false;
  await rollbackParticipant({ connection });
  return isIdle(connection);
}

function isIdle({ transactionStatus }: NodeConnection): boolean {
  return transactionStatus === 'idle';
}

function overtaken(cause: unknown): ClusterError {
  return new ClusterError('overtaken', 'the transaction was rolled back by recovery', {
    detail: 'It was taken for one that a process has left: the server that was to decide had not heard of it when others had prepared.',
    hint: 'Try it again.',
    cause,
  });
}

/** Whether the decision row was there before ours: a deferred constraint of the caller's may say 23505 as well. */
function isOvertaken(error: unknown): boolean {
  return sqlStateOf(error) === uniqueViolation && error instanceof Error && 'schema' in error && error.schema === 'shardwright';
}
