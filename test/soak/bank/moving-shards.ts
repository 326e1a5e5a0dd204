import { setTimeout as wait } from 'node:timers/promises';
import { Cluster } from '../../../src/index.ts';
import type { Random } from '../../oracle/random.ts';

const endMsMax = 60_000;

/** Those that were not made met harm: they were undone, or carried on at the end. */
export interface Moves {
  begun: number;
  made: number;
}

/** Shard groups of the bank move to other nodes, one after the other, whatever happens meanwhile. */
export class MovingShards {
  readonly #cluster: Cluster;
  readonly #over = new AbortController();
  readonly #done: Promise<void>;
  readonly #moves: Moves = { begun: 0, made: 0 };

  constructor(connectionString: string, private readonly random: Random) {
    this.#cluster = new Cluster({ connectionString, recoveryIntervalMs: 300, connectTimeoutMs: 2_000 });
    this.#done = this.#moveAlways();
  }

  /** When servers and connections are whole again: ends what has been begun. Throws when a job does not come to its end. */
  async end(): Promise<Moves> {
    this.#over.abort();
    try {
      await this.#done;
      for (const deadline = performance.now() + endMsMax; ;) {
        const left = (await this.#cluster.jobs()).filter(({ state }) => state !== 'retain');
        if (left.length === 0) return this.#moves;
        if (performance.now() > deadline) throw new Error(`jobs do not end: ${JSON.stringify(left)}`);
        for (const { jobId } of left) await this.#cluster.resumeJob(jobId).catch(() => wait(100));
      }
    } finally {
      await this.#cluster.end();
    }
  }

  async #moveAlways(): Promise<void> {
    while (!this.#over.signal.aborted) {
      // It is undone, or left to be resumed, where a server is gone.
      await this.#moveOne().then(() => (this.#moves.made += 1), () => undefined);
      await wait(this.random.int(100, 800));
    }
  }

  async #moveOne(): Promise<void> {
    const shards = (await this.#cluster.shards()).filter(({ table }) => table === 'accounts');
    const { shardId, nodeId } = this.random.pick(shards);
    const others = (await this.#cluster.nodes()).filter(({ id }) => id !== nodeId);
    this.#moves.begun += 1;
    await this.#cluster.moveShardGroup(shardId, { to: this.random.pick(others).id, signal: AbortSignal.any([this.#over.signal, AbortSignal.timeout(15_000)]) });
  }
}
