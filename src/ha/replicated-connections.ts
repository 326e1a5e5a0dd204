import type { QueryResult } from 'pg';
import { throwIfAborted } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import type { ServerAddress } from '../catalog/catalog-snapshot.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions, ConnectionCounts, NodeConnection, NodeConnections, NodeQuery, ParsedQuery, RawResult, StatementShape } from '../cluster/node-connection.ts';
import type { NodeEndpoint, NodeServers } from '../cluster/node-pools.ts';
import type { ReadRoute } from '../cluster/read-route.ts';
import type { ReplicationConnection } from '../cluster/replication-connection.ts';
import { connectionLost } from '../cluster/translate-error.ts';
import { chooseReplica, fitReplicas } from './choose-replica.ts';
import type { ServerState } from './health-machine.ts';
import { judgeFailure } from './judge-failure.ts';
import { ServerWatch, type WatchOptions } from './server-watch.ts';
import type { WatchedServer } from './watched-server.ts';
import { writeOutcomeUnknown } from './write-outcome-unknown.ts';

export interface FailoverOptions extends WatchOptions {
  /** How long a statement that has not run waits for a primary. */
  readonly failoverTimeoutMs: number;
}

/**
 * The connections to a node of several servers: all go to the primary. A statement that has certainly not run is tried again, on whichever server is the primary then, for as long as `failoverTimeoutMs`; one that may
 * have run fails with `connectionLost`, or `writeOutcomeUnknown` when it writes.
 */
export class ReplicatedConnections implements NodeConnections {
  readonly node: NodeId;
  readonly name: string;
  readonly watch: ServerWatch;
  readonly hasReplicas = true;
  readonly #failoverTimeoutMs: number;
  #ended = false;

  constructor(endpoint: NodeEndpoint, servers: NodeServers, options: FailoverOptions) {
    this.node = endpoint.id;
    this.name = endpoint.name;
    this.watch = new ServerWatch(endpoint, servers, options);
    this.#failoverTimeoutMs = options.failoverTimeoutMs;
  }

  /** Where the primary is, or was last; the first address before one was found. */
  get primaryAddress(): ServerAddress | undefined {
    return (this.watch.lastPrimary ?? this.watch.servers[0])?.address;
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  get counts(): ConnectionCounts {
    const counts = this.watch.servers.flatMap((server) => server.all.map((connections) => connections.counts));
    const sum = (key: keyof ConnectionCounts): number => counts.reduce((total, one) => total + one[key], 0);
    return { open: sum('open'), idle: sum('idle'), waiting: sum('waiting') };
  }

  query(query: NodeQuery, options?: CallOptions): Promise<RawResult> {
    return this.#route({ query, options }, (connections) => connections.query(query, options));
  }

  queryParsed(query: ParsedQuery, options?: CallOptions): Promise<QueryResult> {
    return this.#route({ query, options }, (connections) => connections.queryParsed(query, options));
  }

  describe(text: string): Promise<StatementShape> {
    return this.#onPrimary({}, (connections) => connections.describe(text));
  }

  acquire(options?: CallOptions): Promise<NodeConnection> {
    return this.#route({ options }, (connections) => connections.acquire(options));
  }

  replicate(options?: CallOptions): Promise<ReplicationConnection> {
    return this.#onPrimary({ options }, (connections) => connections.replicate(options));
  }

  break(): void {
    for (const server of this.watch.servers) server.break('all');
  }

  end(): Promise<void> {
    this.#ended = true;
    return this.watch.end();
  }

  #route<T>(call: Call, run: (connections: NodeConnections) => Promise<T>): Promise<T> {
    const reads = call.options?.reads;
    return reads === undefined ? this.#onPrimary(call, run) : this.#onReplica(reads, { call, run });
  }

  async #onReplica<T>(reads: ReadRoute, { call, run }: Pick<Failed<T>, 'call' | 'run'>): Promise<T> {
    const name = await this.#chosenFor(reads, call.options?.signal);
    if (name === 'primary' && reads.from === 'replica') throw noReplica(this.name);
    if (name === 'primary') return this.#onPrimary(call, run);
    reads.onReplicas += 1;
    const server = this.#readable(name);
    server.reads += 1;
    return run(server.reading).finally(() => (server.reads -= 1));
  }

  /**
   * Where the statement reads this node, by the server's name: what the first of its requests has chosen, which is the best replica that has applied what it must see. One that is about to is waited for briefly. Of requests that come at once the first to choose
   * does so for all: two replicas, or one and the primary, would show them two different moments.
   */
  async #chosenFor(reads: ReadRoute, signal: AbortSignal | undefined): Promise<string> {
    if (this.#ended) throw new ClusterError('clusterClosed', `the connections to node ${this.name} were closed`);
    const { maxLagMs, maxLagBytes, chosen, after } = reads;
    const limits = { maxLagMs, maxLagBytes, after: after.get(this.node) };
    if (maxLagMs !== undefined) this.watch.askEvery(maxLagMs / 4);
    await this.watch.known(signal);
    const deadlineMs = performance.now() + tokenWaitMs;
    for (;;) {
      const known = chosen.get(this.node);
      if (known !== undefined) return known;
      const replicas = this.watch.replicas();
      const found = chooseReplica(replicas, limits);
      const behind = fitReplicas(replicas, limits);
      // Nothing is waited for between the look at what is chosen and this.
      if (found !== undefined || behind.length === 0 || performance.now() > deadlineMs) chosen.set(this.node, found?.name ?? 'primary');
      else {
        throwIfAborted(signal);
        await Promise.all([this.watch.askAgain(behind.map(({ server }) => server)), pause(retryMs / 2)]);
      }
    }
  }

  /** The server on which a part may have been read already, so that the rest can be read nowhere else. `connectionLost` when it cannot be read any more. */
  #readable(name: string): WatchedServer {
    const server = this.watch.servers.find((one) => one.name === name);
    if (server !== undefined && readableStates.includes(server.health.state)) return server;
    throw connectionLost(server?.failure ?? new Error(server?.health.why ?? 'it is not known any more'), name);
  }

  #onPrimary<T>(call: Call, run: (connections: NodeConnections) => Promise<T>): Promise<T> {
    const { primary } = this.watch;
    if (primary === undefined || this.#ended) return this.#again(call, run);
    call.options?.entered?.add(this.node);
    return run(primary.writing).catch((error: unknown) => this.#afterFailure(primary, { call, run, error, deadlineMs: performance.now() + this.#failoverTimeoutMs }));
  }

  /** Waits for a primary, and runs there. */
  async #again<T>(call: Call, run: (connections: NodeConnections) => Promise<T>, deadlineMs = performance.now() + this.#failoverTimeoutMs): Promise<T> {
    if (this.#ended) throw new ClusterError('clusterClosed', `the connections to node ${this.name} were closed`);
    // A statement that is running on this node already is let to its end while the node is held.
    const held = call.options?.entered?.has(this.node) === true ? this.watch.lastPrimary : undefined;
    const server = held?.health.state === 'primary' ? held : await this.watch.waitForPrimary(Math.max(0, deadlineMs - performance.now()), call.options?.signal);
    call.options?.entered?.add(this.node);
    try {
      return await run(server.writing);
    } catch (error) {
      return await this.#afterFailure(server, { call, run, error, deadlineMs });
    }
  }

  async #afterFailure<T>(server: WatchedServer, { call, run, error, deadlineMs }: Failed<T>): Promise<T> {
    const kind = judgeFailure(error, call.query);
    if (kind === 'own') throw error;
    if (kind === 'unknown') throw call.query?.mayWait === true ? writeOutcomeUnknown(this.name, error) : error;
    if (performance.now() >= deadlineMs) throw error;
    if (kind === 'refused' && (await this.#takesWrites(server))) throw error;
    if (server.health.state === 'primary') {
      // Nothing is known against it yet.
      this.watch.trouble(server);
      await pause(retryMs);
    }
    return this.#again(call, run, deadlineMs);
  }

  async #takesWrites(server: WatchedServer): Promise<boolean> {
    const answer = await server.ask().catch(() => undefined);
    return answer?.inRecovery === false && server.health.state === 'primary';
  }
}

interface Call {
  /** What is sent; undefined for what sends no statement. */
  readonly query?: NodeQuery;
  readonly options?: CallOptions | undefined;
}

interface Failed<T> {
  readonly call: Call;
  readonly run: (connections: NodeConnections) => Promise<T>;
  readonly error: unknown;
  readonly deadlineMs: number;
}

/** Of a server that was a replica when it was chosen. */
const readableStates: readonly ServerState[] = ['replica', 'suspect', 'primary'];
const retryMs = 20;
/** How long a reader waits for a replica to apply what it must see, before it goes to the primary. */
const tokenWaitMs = 100;

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function noReplica(name: string): ClusterError {
  return new ClusterError('noReplica', `no replica of node ${name} is fit to be read`, { detail: 'None answers, or none is within the limits of lag.', hint: `Read with 'prefer-replica' or 'primary', or allow for more lag. cluster.health() shows the replicas.` });
}
