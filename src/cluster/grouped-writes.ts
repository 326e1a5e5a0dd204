import { BatchStatement } from './batch-statement.ts';
import { ParsedStatement } from './collect-statement.ts';
import { collecting } from './commit-positions.ts';
import { committer, runParsed } from './exclusive-connection.ts';
import type { ExclusivePool } from './exclusive-pool.ts';
import type { Link } from './link.ts';
import { positionQuery } from './log-position.ts';
import type { CallOptions, ParsedQuery } from './node-connection.ts';
import { isConnectionFailure } from './translate-error.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { QueryResult } from 'pg';

/** Links that carry groups at the same time, while none of them is slow. */
const lanesMax = 2;
const groupMax = 32;
/** A group that takes longer does not keep others waiting: they get a further link. */
const slowMs = 20;

interface Write {
  readonly query: ParsedQuery;
  readonly options: CallOptions | undefined;
  readonly resolve: (result: QueryResult | Promise<QueryResult>) => void;
  readonly reject: (error: unknown) => void;
}

interface Target {
  readonly node: NodeId;
  readonly pool: ExclusivePool;
  /** Runs a statement over a connection of its own. */
  readonly alone: (query: ParsedQuery, options: CallOptions | undefined) => Promise<QueryResult>;
}

interface Lane {
  /** When its group was sent; infinite before it has a link. */
  sinceMs: number;
}

/**
 * Writes outside transactions that may share one. Those that arrive while the links are busy go together: one packet, one transaction,
 * one flush of the server's log for all of them.
 *
 * - Nothing is sent behind a group before it has ended, so what waits here can go elsewhere when a group is slow.
 * - A group holds the locks of its first statements while it waits for those of later ones, which alone they would not. So it waits
 *   for a lock no longer than `slowMs`: far below the time after which servers look for deadlocks.
 * - If a group fails, nothing of it was done. Each of its statements then runs alone, for a result or an error of its own. With a lost connection
 *   that is not known, and they all fail, as one alone would.
 */
export class GroupedWrites {
  readonly #queue: Write[] = [];
  readonly #lanes = new Set<Lane>();
  #scheduled = false;
  /** Statements per group; small while groups fail. */
  #limit = groupMax;
  #watch: NodeJS.Timeout | undefined = undefined;

  constructor(private readonly to: Target) {}

  get waiting(): number {
    return this.#queue.length;
  }

  run(query: ParsedQuery, options: CallOptions | undefined): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ query, options, resolve, reject });
      this.#schedule();
    });
  }

  /** At the end of the tick, when all that it brings are here. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(this.#start);
  }

  readonly #start = (): void => {
    this.#scheduled = false;
    if (this.#queue.length === 0) return;
    if (this.#quickLanes() < lanesMax) void this.#runLane();
    else if (this.#watch === undefined) this.#watch = setTimeout(this.#look, slowMs).unref();
  };

  readonly #look = (): void => {
    this.#watch = undefined;
    this.#start();
  };

  #quickLanes(): number {
    const oldestMs = performance.now() - slowMs;
    let quick = 0;
    for (const { sinceMs } of this.#lanes) if (sinceMs > oldestMs) quick += 1;
    return quick;
  }

  /** Whether a lane has a link that will soon take the next group. */
  #isServed(): boolean {
    const oldestMs = performance.now() - slowMs;
    return [...this.#lanes].some(({ sinceMs }) => sinceMs > oldestMs && sinceMs !== Number.POSITIVE_INFINITY);
  }

  async #runLane(): Promise<void> {
    const lane: Lane = { sinceMs: Number.POSITIVE_INFINITY };
    this.#lanes.add(lane);
    try {
      const link = await this.to.pool.acquire(undefined);
      try {
        while (this.#queue.length > 0 && link.state === 'open') await this.#runNext(link, lane);
      } finally {
        this.to.pool.release(link, {});
      }
    } catch (error) {
      if (!this.#isServed()) for (const write of this.#queue.splice(0)) write.reject(error);
    } finally {
      this.#lanes.delete(lane);
      if (this.#queue.length > 0) this.#schedule();
    }
  }

  async #runNext(link: Link, lane: Lane): Promise<void> {
    const group = this.#queue.splice(0, this.#limit);
    lane.sinceMs = performance.now();
    const [only] = group;
    if (only !== undefined && group.length === 1) {
      this.#grow();
      await collecting(only.options?.committed, committer(this.to.node, link), () => runParsed(link, only.query, only.options)).then(only.resolve, only.reject);
    } else await this.#runGroup(link, group);
  }

  /** Groups may be larger again. */
  #grow(): void {
    this.#limit = Math.min(this.#limit * 2, groupMax);
  }

  async #runGroup(link: Link, group: readonly Write[]): Promise<void> {
    const failure = await sent(link, group, committer(this.to.node, link));
    if (failure === undefined) {
      this.#grow();
      return;
    }
    this.#limit = 1;
    // Only a server that is ready for more has said that the transaction is rolled back.
    const isUnknown = isConnectionFailure(failure.error) || link.state !== 'open';
    for (const { query, options, resolve, reject } of group) {
      if (isUnknown) reject(failure.error);
      else void this.to.alone(query, options).then(resolve, reject);
    }
  }
}

/** Resolves when the group has committed and its results are out; with the error if it failed. */
function sent(link: Link, group: readonly Write[], behind: ReturnType<typeof committer>): Promise<{ readonly error: unknown } | undefined> {
  return new Promise((resolve) => {
    let asked: Promise<unknown> | undefined;
    const members = group.map(({ query, options, resolve: settle, reject }) => new ParsedStatement(query, options, (error, result) => {
      if (result === undefined) reject(error);
      else settle(asked === undefined || options?.committed === undefined ? result : behindAnswer(asked, result));
    }));
    const limit = new ParsedStatement(limitWaiting, undefined, () => resolve(undefined));
    link.start(new BatchStatement([limit, ...members], undefined, (error) => resolve({ error })));
    asked = askedBehind(group, behind);
  });
}

async function behindAnswer(asked: Promise<unknown>, result: QueryResult): Promise<QueryResult> {
  await asked;
  return result;
}

/** One question for all of a group that want to know where it was committed. */
function askedBehind(group: readonly Write[], { node, query }: ReturnType<typeof committer>): Promise<unknown> | undefined {
  const wanting = group.flatMap(({ options }) => (options?.committed?.wants(node) === true ? [options.committed] : []));
  if (wanting.length === 0) return undefined;
  const answer = query(positionQuery);
  return Promise.all(wanting.map((committed) => committed.askBehind(node, () => answer)));
}

/** For the group's transaction alone; unlike SET LOCAL it may stand in a transaction without BEGIN. */
const limitWaiting: ParsedQuery = {
  name: 'shardwright_limit_waiting',
  text: `SELECT pg_catalog.set_config('lock_timeout', '${slowMs}ms', true)`,
};
