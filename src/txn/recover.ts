import { type Outcome, finishPrepared, learnOutcome } from './decision.ts';
import { forgetDecisions, listDecisions } from './forget-decisions.ts';
import type { Gid } from './gid.ts';
import { listPrepared, type PreparedTransaction } from './list-prepared.ts';
import { throwIfAborted } from '../base/abort.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';

export interface RecoveryOptions extends CallOptions {
  readonly clusterId: string;
  /** Younger prepared transactions are left to their owner: 5 000 ms by default, by the node's clock. Politeness, not safety. */
  readonly graceMs?: number;
  /** Decisions younger than that are kept: an hour by default, by the node's clock. */
  readonly keepDecisionsMs?: number;
}

export interface RecoveryReport {
  /** Gids of prepared transactions that were finished so. */
  readonly committed: readonly string[];
  readonly rolledBack: readonly string[];
  /** What has to wait for the next time, and why. */
  readonly left: readonly { readonly node: NodeId; readonly gid: string | undefined; readonly reason: unknown }[];
  /** Decision rows that nobody needs any more and that were deleted. */
  readonly decisionsForgotten: number;
}

const graceMsDefault = 5_000;
const keepDecisionsMsDefault = 3_600_000;

/**
 * Finishes the prepared transactions whose owner is gone. Any process may run it at any time, several at once too:
 * 1. read the decision rows, before 2: a transaction with a row prepares nothing any more;
 * 2. list the prepared transactions of all nodes;
 * 3. for each that is old enough insert an *abort* row where its decision belongs. The row's unique key decides: success means
 *    abort, a conflict means what is written there. An owner still alive finds the row when it decides, and rolls back;
 * 4. finish it accordingly; one that is not there any more was finished by another;
 * 5. delete the rows of 1 that have nothing prepared in 2, if all nodes answered.
 * A node that does not answer is reported under `left`. Throws only `canceled`.
 */
export async function recover(pools: NodePools, options: RecoveryOptions): Promise<RecoveryReport> {
  const run = new Recovery(pools, options);
  const decisions = await run.onEach((node) => listDecisions(pools.get(node), options));
  const prepared = await run.onEach((node) => run.list(node));
  throwIfAborted(options.signal);
  await Promise.all([...prepared].flatMap(([node, list]) => list.map((transaction) => run.finish(node, transaction))));
  throwIfAborted(options.signal);
  if (run.left.length === 0) await run.forget(decisions, prepared);
  throwIfAborted(options.signal);
  return run.report();
}

class Recovery {
  readonly left: { node: NodeId; gid: string | undefined; reason: unknown }[] = [];
  readonly #finished: Record<Outcome, string[]> = { commit: [], abort: [] };
  readonly #outcomes = new Map<string, Promise<Outcome>>();
  #forgotten = 0;

  constructor(
    private readonly pools: NodePools,
    private readonly options: RecoveryOptions,
  ) {}

  /** What each node answers; those that fail are noted. */
  async onEach<T>(ask: (node: NodeId) => Promise<T>): Promise<Map<NodeId, T>> {
    const answers = new Map<NodeId, T>();
    await Promise.all(
      this.pools.nodeIds.map((node) => this.#noting(node, undefined, async () => answers.set(node, await ask(node)))),
    );
    return answers;
  }

  list(node: NodeId): Promise<PreparedTransaction[]> {
    return listPrepared(this.pools, node, this.options);
  }

  async finish(node: NodeId, { text, gid, ageMs }: PreparedTransaction): Promise<void> {
    if (ageMs < (this.options.graceMs ?? graceMsDefault)) return;
    await this.#noting(node, text, async () => {
      const outcome = await this.#outcome(gid);
      await finishPrepared(this.pools.get(node), { gid: text, outcome }, this.options);
      this.#finished[outcome].push(text);
    });
  }

  async forget(decisions: ReadonlyMap<NodeId, readonly string[]>, prepared: ReadonlyMap<NodeId, readonly PreparedTransaction[]>): Promise<void> {
    const needed = new Set([...prepared.values()].flat().map(({ gid }) => gid.transactionId));
    const keepMs = this.options.keepDecisionsMs ?? keepDecisionsMsDefault;
    await this.onEach(async (node) => {
      const transactionIds = (decisions.get(node) ?? []).filter((id) => !needed.has(id));
      this.#forgotten += await forgetDecisions(this.pools.get(node), { transactionIds, keepMs }, this.options);
    });
  }

  report(): RecoveryReport {
    const { commit: committed, abort: rolledBack } = this.#finished;
    return { committed, rolledBack, left: this.left, decisionsForgotten: this.#forgotten };
  }

  /** One question for all the participants of a transaction. */
  #outcome({ decisionNode: node, transactionId }: Gid): Promise<Outcome> {
    let outcome = this.#outcomes.get(transactionId);
    if (outcome === undefined) {
      outcome = learnOutcome(this.pools, { node, transactionId }, this.options);
      this.#outcomes.set(transactionId, outcome);
    }
    return outcome;
  }

  async #noting(node: NodeId, gid: string | undefined, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (reason) {
      this.left.push({ node, gid, reason });
    }
  }
}
