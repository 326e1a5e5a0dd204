import { setTimeout as wait } from 'node:timers/promises';
import { orAborted, throwIfAborted } from '../base/abort.ts';
import { present } from '../base/assert.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection, RawResult } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { allSettledOrThrow } from './run-batches.ts';
import { notSettled, settleDecided } from './settle-decided.ts';

/** In order: snapshots have their turn, no decision can be made, what was decided is committed everywhere, the snapshots are there. */
export type SnapshotStep = 'turn' | 'closed' | 'settled' | 'taken';

export interface GateContext {
  readonly pools: NodePools;
  readonly clusterId: string;
  /** To every node and the coordinator database, in transaction blocks. For snapshots of REPEATABLE READ or SERIALIZABLE, in which nothing has been read yet. */
  readonly connections: ReadonlyMap<NodeId, NodeConnection>;
  readonly onStep?: ((step: SnapshotStep) => void | Promise<void>) | undefined;
}

/** How long the gate waits on a node for decisions under way. While it does, later ones wait behind it; so at first it gives up soon. */
const gateWaitsMs = [100, 100, 200, 400, 800, 1600, 1600, 1600];
/** Waiting for other snapshots holds up nobody. */
const turnWaitMs = 30_000;
/** A server ends the session of a process that stopped with the gate closed. */
const idleMsMax = 5_000;

/**
 * Keeps transactions over several nodes from being decided anywhere, by locks in sessions that must outlive it ([decision 15](../../docs/decisions/0015-commit-gate.md)). In order: `takeTurn`, `close`, what is to be done, `open`. When one of them
 * throws, the transactions are to be rolled back.
 */
export class CommitGate {
  constructor(
    private readonly context: GateContext,
    private readonly options: CallOptions,
  ) {}

  async takeTurn(): Promise<void> {
    const coordinator = present(this.context.connections.get(coordinatorNodeId));
    await coordinator.query({ text: `${guarded('turn', turnWaitMs)}; LOCK TABLE shardwright.cluster IN SHARE UPDATE EXCLUSIVE MODE`, simple: true }, this.options);
    await this.context.onStep?.('turn');
  }

  /** Returns when the gate is closed and all decided transactions have committed. Between two tries it is open. */
  async close(): Promise<void> {
    let cause: unknown;
    for (const waitMs of gateWaitsMs) {
      throwIfAborted(this.options.signal);
      try {
        await this.onAll(`${guarded('gate', waitMs)}; LOCK TABLE shardwright.decision IN SHARE MODE`);
        await this.context.onStep?.('closed');
        await settleDecided(this.context, this.options);
        await this.context.onStep?.('settled');
        return;
      } catch (error) {
        if (!isTooLong(error)) throw error;
        cause = error;
      }
      await this.onAll(leave('gate'));
      await orAborted(wait(waitMs * Math.random()), this.options.signal);
    }
    throw tookTooLong(cause);
  }

  async open(): Promise<void> {
    await this.onAll(leave('gate'));
    await present(this.context.connections.get(coordinatorNodeId)).query({ text: leave('turn'), simple: true }, this.options);
  }

  /** Side by side, in the order of the connections. */
  async onAll(text: string): Promise<RawResult[]> {
    return allSettledOrThrow([...this.context.connections.values()].map((connection) => connection.query({ text, simple: true }, this.options)));
  }
}

/** Everything set here, and every lock taken behind it, ends with `leave`. The session's own role may not be allowed to lock. */
function guarded(name: 'turn' | 'gate', waitMs: number): string {
  return `SAVEPOINT shardwright_${name}; SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL lock_timeout = ${waitMs}; SET LOCAL idle_in_transaction_session_timeout = ${idleMsMax}`;
}

function leave(name: 'turn' | 'gate'): string {
  return `ROLLBACK TO SAVEPOINT shardwright_${name}; RELEASE SAVEPOINT shardwright_${name}`;
}

const lockNotAvailable = '55P03';
const deadlockDetected = '40P01';

function isTooLong(error: unknown): boolean {
  const state = sqlStateOf(error);
  return error === notSettled || state === lockNotAvailable || state === deadlockDetected;
}

function tookTooLong(cause: unknown): ClusterError {
  return new ClusterError('snapshotUnavailable', 'could not take a consistent snapshot in time', {
    detail: 'Some transaction over several nodes did not come to the end of its COMMIT.', hint: 'See transactions(), and pg_stat_activity of the nodes.', cause,
  });
}
