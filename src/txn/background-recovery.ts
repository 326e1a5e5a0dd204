import { NowAndThen } from '../base/now-and-then.ts';
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
  readonly #turns: NowAndThen;

  constructor(options: BackgroundRecoveryOptions) {
    this.#options = options;
    this.#turns = new NowAndThen(options.intervalMs);
  }

  /** Does nothing when it runs already, or is over. */
  start(clusterId: string): void {
    this.#turns.start(() => this.#run(clusterId));
  }

  /** Waits for a turn under way. */
  async end(): Promise<void> {
    this.#ending.abort();
    await this.#turns.end();
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
