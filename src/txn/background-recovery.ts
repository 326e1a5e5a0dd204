import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { gidCluster } from './gid.ts';
import { recover } from './recover.ts';

export interface BackgroundRecoveryOptions {
  readonly pools: NodePools;
  /** About how long between two turns. */
  readonly intervalMs: number;
}

/**
 * Runs recovery now and then: of all processes one at a time, whoever holds an advisory lock in the coordinator database. What goes wrong is met again the next
 * time, and by `cluster.recover()`, which says so; a turn holds a connection to each node only as long as it asks.
 */
export class BackgroundRecovery {
  readonly #options: BackgroundRecoveryOptions;
  readonly #ending = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(options: BackgroundRecoveryOptions) {
    this.#options = options;
  }

  /** Does nothing when it runs already, or is over. */
  start(clusterId: string): void {
    if (this.#timer === undefined && !this.#ending.signal.aborted) this.#schedule(clusterId);
  }

  /** Waits for a turn under way. */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    this.#ending.abort();
    await this.#turn;
  }

  #schedule(clusterId: string): void {
    // By chance, so that processes that started together do not all ask at once. It keeps no process alive.
    const delayMs = this.#options.intervalMs * (0.5 + Math.random() / 2);
    this.#timer = setTimeout(() => {
      this.#turn = this.#run(clusterId).catch(() => undefined).finally(() => !this.#ending.signal.aborted && this.#schedule(clusterId));
    }, delayMs).unref();
  }

  async #run(clusterId: string): Promise<void> {
    const { signal } = this.#ending;
    const connection = await this.#options.pools.get(coordinatorNodeId).acquire({ signal });
    let failure: { readonly error: unknown } | undefined;
    try {
      await connection.query({ text: 'BEGIN' }, { signal });
      if (await isOurs(connection, clusterId, signal)) await recover(this.#options.pools, { clusterId, signal });
      await connection.query({ text: 'ROLLBACK' });
    } catch (error) {
      failure = { error };
    } finally {
      connection.release(failure);
    }
  }
}

/** Until the end of the transaction. */
async function isOurs(connection: NodeConnection, clusterId: string, signal: AbortSignal): Promise<boolean> {
  const { rows } = await connection.query({ text: 'SELECT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))', values: [`shardwright recovery ${gidCluster(clusterId)}`] }, { signal });
  return rows[0]?.[0] === 't';
}
