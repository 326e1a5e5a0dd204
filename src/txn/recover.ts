import { type Outcome, finishPrepared, settleOutcomes } from './decision.ts';
import { forgetDecisions, listDecisions } from './forget-decisions.ts';
import { allSettledOrThrow } from './run-batches.ts';
import { listPrepared, type PreparedTransaction } from './list-prepared.ts';
import { throwIfAborted } from '../base/abort.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';

export interface RecoveryOptions extends CallOptions {
  readonly clusterId: string;
  /** Decisions younger than that are kept: an hour by default, by the node's clock. */
  readonly keepDecisionsMs?: number;
  /** Called, and awaited, at each step. One that throws ends recovery there. For tests. */
  readonly onStep?: ((step: RecoveryStep) => void | Promise<void>) | undefined;
}

/** In order; `one_finished` for each prepared transaction. */
export const recoverySteps = ['decisions_listed', 'prepared_listed', 'outcomes_settled', 'one_finished', 'finished', 'forgotten'] as const;
export type RecoveryStep = (typeof recoverySteps)[number];

export interface RecoveryReport {
  /** Gids of prepared transactions that were finished so. */
  readonly committed: readonly string[];
  readonly rolledBack: readonly string[];
  /** What has to wait for the next time, and why. */
  readonly left: readonly { readonly node: NodeId; readonly gid: string | undefined; readonly reason: unknown }[];
  /** Decision rows that nobody needs any more and that were deleted. */
  readonly decisionsForgotten: number;
}

const keepDecisionsMsDefault = 3_600_000;
/** Prepared transactions that are finished side by side, on all nodes together. */
const finishedAtOnceMax = 100;

interface Located extends PreparedTransaction {
  readonly node: NodeId;
}

/**
 * Finishes the prepared transactions whose owner is gone. Any process may run it at any time, several at once too:
 * 1. read the decision rows, before 2: a transaction with a row prepares nothing any more;
 * 2. list the prepared transactions of all nodes;
 * 3. ask each node that decides about some of them: where nobody holds the claim, it gets an *abort* row. The row's unique key decides: success means
 *    abort, a conflict means what is written there. One that is claimed and has no row is left to its owner. Should an owner come to decide
 *    nevertheless, it finds the row, and rolls back;
 * 4. finish the others accordingly; one that is not there any more was finished by another;
 * 5. delete the rows of 1 that have nothing prepared in 2, if all nodes answered.
 * A node that does not answer is reported under `left`. Throws only `canceled`.
 */
export async function recover(pools: NodePools, options: RecoveryOptions): Promise<RecoveryReport> {
  const run = new Recovery(pools, options);
  const decisions = await run.onEach(pools.nodeIds, (node) => listDecisions(pools.get(node), options));
  await run.step('decisions_listed');
  const prepared = await run.list();
  await run.step('prepared_listed');
  const outcomes = await run.settle(prepared);
  await run.step('outcomes_settled');
  await run.finishAll(prepared, outcomes);
  await run.step('finished');
  if (run.left.length === 0) await run.forget(decisions, prepared);
  await run.step('forgotten');
  return run.report();
}

class Recovery {
  readonly left: { node: NodeId; gid: string | undefined; reason: unknown }[] = [];
  readonly #finished: Record<Outcome, string[]> = { commit: [], abort: [] };
  #forgotten = 0;

  constructor(
    private readonly pools: NodePools,
    private readonly options: RecoveryOptions,
  ) {}

  async step(step: RecoveryStep): Promise<void> {
    throwIfAborted(this.options.signal);
    await this.options.onStep?.(step);
  }

  /** What each node answers; those that fail are noted. */
  async onEach<T>(nodes: readonly NodeId[], ask: (node: NodeId) => Promise<T>): Promise<Map<NodeId, T>> {
    const answers = new Map<NodeId, T>();
    await Promise.all(nodes.map((node) => this.#noting(node, undefined, async () => answers.set(node, await ask(node)))));
    return answers;
  }

  async list(): Promise<Located[]> {
    const listed = await this.onEach(this.pools.nodeIds, (node) => listPrepared(this.pools, node, this.options));
    return [...listed].flatMap(([node, transactions]) => transactions.map((transaction) => ({ ...transaction, node })));
  }

  /** By transaction; those left to their owners are not among them. */
  async settle(prepared: readonly Located[]): Promise<Map<string, Outcome>> {
    const deciders = [...new Set(prepared.map(({ gid }) => gid.decisionNode))];
    const settled = await Promise.all(deciders.map(async (node) => {
      const deciding = prepared.filter(({ gid }) => gid.decisionNode === node);
      try {
        const ids = new Set(deciding.map(({ gid }) => gid.transactionId));
        return [...(await settleOutcomes(this.pools.get(node), [...ids], this.options))];
      } catch (reason) {
        for (const { node: where, text } of deciding) this.left.push({ node: where, gid: text, reason });
        return [];
      }
    }));
    return new Map(settled.flat());
  }

  async finishAll(prepared: readonly Located[], outcomes: ReadonlyMap<string, Outcome>): Promise<void> {
    const waiting = prepared.values();
    const finishOneByOne = async (): Promise<void> => {
      for (const transaction of waiting) {
        throwIfAborted(this.options.signal);
        const outcome = outcomes.get(transaction.gid.transactionId);
        if (outcome !== undefined) await this.#finish(transaction, outcome);
      }
    };
    await allSettledOrThrow(Array.from({ length: finishedAtOnceMax }, finishOneByOne));
  }

  async #finish({ node, text }: Located, outcome: Outcome): Promise<void> {
    await this.#noting(node, text, async () => {
      // Quick, and over shared connections, which a signal would rule out.
      await finishPrepared(this.pools.get(node), { gid: text, outcome });
      this.#finished[outcome].push(text);
    });
    await this.step('one_finished');
  }

  async forget(decisions: ReadonlyMap<NodeId, readonly string[]>, prepared: readonly Located[]): Promise<void> {
    const needed = new Set(prepared.map(({ gid }) => gid.transactionId));
    const keepMs = this.options.keepDecisionsMs ?? keepDecisionsMsDefault;
    await this.onEach([...decisions.keys()], async (node) => {
      const transactionIds = (decisions.get(node) ?? []).filter((id) => !needed.has(id));
      this.#forgotten += await forgetDecisions(this.pools.get(node), { transactionIds, keepMs }, this.options);
    });
  }

  report(): RecoveryReport {
    const { commit: committed, abort: rolledBack } = this.#finished;
    return { committed, rolledBack, left: this.left, decisionsForgotten: this.#forgotten };
  }

  async #noting(node: NodeId, gid: string | undefined, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (reason) {
      this.left.push({ node, gid, reason });
    }
  }
}
