import { isIP } from 'node:net';
import { inTime } from '../base/in-time.ts';
import type { ServerAddress } from '../catalog/catalog-snapshot.ts';
import { configFor, addressOf } from '../cluster/connection-settings.ts';
import type { NodeConnections } from '../cluster/node-connection.ts';
import type { NodeEndpoint } from '../cluster/node-pools.ts';
import { openNodeConnections } from '../cluster/open-node-connections.ts';
import { ClusterError } from '../base/errors.ts';
import { type Health, neverAsked } from './health-machine.ts';
import { probe, type ProbeAnswer } from '../cluster/probe.ts';

/** How long a probe may take until it counts as not answered. */
const probeTimeoutMs = 1_500;
const probeLimits = { connectTimeoutMs: probeTimeoutMs, exclusiveMax: 1, sharedMax: 1, queueMax: 10 };
const busySql = `SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity
  WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid() AND datname = current_database() AND usename = current_user AND state <> 'idle')`;
/** Of the last probe in the latency. */
const newestWeight = 0.3;

/** One server of a node: the connections for writing, for reading and for probes, and what is known of it. None is opened before it is needed. */
export class WatchedServer {
  health: Health = neverAsked;
  /** The last answer, however old. */
  answer: ProbeAnswer | undefined;
  /** When it was asked for that. */
  askedMs = 0;
  /** Where it was reached last: what its name stood for then. */
  ip: string | undefined;
  /** How long its answers take, the last ones counting most. */
  latencyMs: number | undefined;
  /** Statements of this process that read on it, and waits for a connection to do so. */
  reads = 0;
  /** Why the last probe failed. */
  failure: unknown;
  readonly name: string;
  readonly #opened = new Map<'write' | 'read' | 'probe', NodeConnections>();

  constructor(
    readonly address: ServerAddress,
    private readonly endpoint: NodeEndpoint,
    private readonly onTrouble: (server: WatchedServer) => void,
  ) {
    this.name = `${address.host}:${address.port}/${this.#database}`;
  }

  /** Connections that a server in recovery refuses. */
  get writing(): NodeConnections {
    return this.#open('write', { primaryOnly: true });
  }

  get reading(): NodeConnections {
    return this.#open('read', {});
  }

  /** Connections for work that are open, in either use. */
  get all(): readonly NodeConnections[] {
    return [...this.#opened].flatMap(([use, connections]) => (use === 'probe' ? [] : [connections]));
  }

  async ask(): Promise<ProbeAnswer> {
    const connections = this.#open('probe', probeLimits);
    const begunMs = performance.now();
    try {
      const answer = await inTime(probe(connections), probeTimeoutMs, new ClusterError('nodeUnreachable', `server ${this.name} did not answer within ${probeTimeoutMs} ms`));
      this.answer = answer;
      this.askedMs = begunMs;
      const tookMs = performance.now() - begunMs;
      this.latencyMs = (this.latencyMs ?? tookMs) * (1 - newestWeight) + tookMs * newestWeight;
      this.failure = undefined;
      return answer;
    } catch (error) {
      this.failure = error;
      // What it has not answered yet is of no use any more.
      connections.break();
      throw error;
    }
  }

  /** The next question goes to what the server's name stands for then. */
  resolveAnew(): void {
    if (isIP(this.address.host) === 0) this.#opened.get('probe')?.break();
  }

  /** Whether sessions of our role, of whatever process, run something there, or are in a transaction. */
  async isBusy(): Promise<boolean> {
    const { rows } = await this.#open('probe', probeLimits).query({ text: busySql });
    return rows[0]?.[0] === 't';
  }

  /** What runs fails, and the next use connects anew. */
  break(which: 'all' | 'writing'): void {
    this.#opened.get('write')?.break();
    if (which === 'all') this.#opened.get('read')?.break();
  }

  async end(): Promise<void> {
    await Promise.all([...this.#opened.values()].map((connections) => connections.end()));
  }

  get #database(): string {
    return addressOf(this.endpoint.config.client).database;
  }

  #open(use: 'write' | 'read' | 'probe', limits: Partial<NodeEndpoint['config']>): NodeConnections {
    const known = this.#opened.get(use);
    if (known !== undefined) return known;
    const { id, config } = this.endpoint;
    const client = configFor(config.client, { ...this.address, database: this.#database });
    const events = use === 'probe' ? { onConnected: (ip: string) => void (this.ip = ip) } : { onTrouble: () => this.onTrouble(this) };
    const connections = openNodeConnections({ id, name: this.name }, { ...config, ...limits, client, ...events });
    this.#opened.set(use, connections);
    return connections;
  }
}
