import { setTimeout as wait } from 'node:timers/promises';
import { orAborted, throwIfAborted } from '../base/abort.ts';
import { present } from '../base/assert.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { rollbackParticipant } from './participant.ts';
import { allSettledOrThrow } from './run-batches.ts';
import { notSettled, settleDecided } from './settle-decided.ts';

/** In order: snapshots have their turn, no decision can be made, what was decided is committed everywhere, the snapshots are there. */
export type SnapshotStep = 'turn' | 'closed' | 'settled' | 'taken';

export interface SnapshotContext {
  readonly pools: NodePools;
  readonly clusterId: string;
  /** To every node, in a transaction block of REPEATABLE READ or SERIALIZABLE in which nothing has been read yet. */
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
 * Takes the snapshots of a transaction, on all nodes, so that together they show each two-phase transaction wholly or not at all:
 * 1. have a turn among snapshots, by a lock in the coordinator database that nothing else waits for: two at a time could wait for each other's nodes;
 * 2. close the gate: on every node lock `shardwright.decision` in a mode that lets nobody write there. It waits for decisions under way; those that come wait for it;
 * 3. commit what is decided and still prepared somewhere. From here on every transaction has either committed everywhere, or cannot commit anywhere;
 * 4. take the snapshots, by any query;
 * 5. open the gate, by going back to the savepoint before the locks. The snapshots stay.
 *
 * All of it but 3 runs in the sessions whose snapshots are taken, and only statements that need no snapshot stand before 4. So a session that is lost, and the lock with it, takes its snapshot along:
 * the call fails. Errors: `snapshotUnavailable` when commits took too long, for several tries; what the servers throw. The transaction is over then on all servers.
 */
export async function takeSnapshot(context: SnapshotContext, options: CallOptions = {}): Promise<void> {
  const gate = new Gate(context, options);
  try {
    await gate.takeTurn();
    await gate.close();
    await gate.onAll('SELECT 1');
    await context.onStep?.('taken');
    await gate.open();
  } catch (error) {
    // Nobody shall wait for locks until the caller has heard of it.
    await Promise.all([...context.connections.values()].map((connection) => rollbackParticipant({ connection })));
    throw error;
  }
}

class Gate {
  constructor(
    private readonly context: SnapshotContext,
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

  async onAll(text: string): Promise<void> {
    await allSettledOrThrow([...this.context.connections.values()].map((connection) => connection.query({ text, simple: true }, this.options)));
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
