import type { CallOptions } from '../cluster/node-connection.ts';
import { CommitGate, type GateContext } from './commit-gate.ts';
import { rollbackParticipant } from './participant.ts';

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
export async function takeSnapshot(context: GateContext, options: CallOptions = {}): Promise<void> {
  const gate = new CommitGate(context, options);
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
