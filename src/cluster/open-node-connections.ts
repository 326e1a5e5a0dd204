import { collecting } from './commit-positions.ts';
import { committer, ExclusiveConnection, type ReleaseOutcome, runParsed, runRaw } from './exclusive-connection.ts';
import { ExclusivePool } from './exclusive-pool.ts';
import { GroupedWrites } from './grouped-writes.ts';
import { runDescribe } from './describe-statement.ts';
import type { Link } from './link.ts';
import type { Callback, CallOptions, ConnectionCounts, NodeConnection, NodeConnections, NodeQuery, ParsedQuery, RawResult, RelayedResult, RelayQuery, StatementShape } from './node-connection.ts';
import { defaultNodeLimits, type NodeLimits, type NodeSettings } from './node-settings.ts';
import { openReplication } from './open-replication.ts';
import type { ReplicationConnection } from './replication-connection.ts';
import { RelayStatement } from './relay-statement.ts';
import { SharedLinks } from './shared-links.ts';
import { at } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { QueryResult } from 'pg';

/** A node as messages call it: `host:port/database`. */
export interface NamedNode {
  readonly id: NodeId;
  readonly name: string;
}

export type NodeConnectionsConfig = Pick<NodeSettings, 'client' | 'login' | 'admission' | 'startup' | 'primaryOnly' | 'onTrouble' | 'onConnected'> & Partial<NodeLimits>;

/** The connections to one node; none is opened before it is needed. Limits not given are `defaultNodeLimits`. */
export function openNodeConnections(node: NamedNode, config: NodeConnectionsConfig): NodeConnections {
  return new PooledConnections(node.id, { ...defaultNodeLimits, ...config, name: node.name, isCoordinator: node.id === coordinatorNodeId });
}

class PooledConnections implements NodeConnections {
  readonly #shared: SharedLinks;
  readonly #exclusive: ExclusivePool;
  readonly #grouped: GroupedWrites;
  readonly #takeBack = (link: Link, outcome: ReleaseOutcome): void => this.#exclusive.release(link, outcome);
  #ending: Promise<void> | undefined = undefined;

  constructor(
    readonly node: NodeId,
    private readonly settings: NodeSettings,
  ) {
    this.#shared = new SharedLinks(settings);
    this.#exclusive = new ExclusivePool(settings);
    this.#grouped = new GroupedWrites({
      node: this.node, pool: this.#exclusive, alone: (query, options) => this.#alone((own) => this.#parsed(own, query, options), options),
    });
  }

  get name(): string {
    return this.settings.name;
  }

  get counts(): ConnectionCounts {
    return {
      open: this.#shared.open + this.#exclusive.open,
      idle: this.#shared.idle + this.#exclusive.idle,
      waiting: this.#exclusive.waiting + this.#grouped.waiting,
    };
  }

  async query(query: NodeQuery, options?: CallOptions): Promise<RawResult> {
    const link = this.#sharedFor(query, options);
    const results = await (link === undefined ? this.#alone((own) => this.#raw(own, query, options), options) : this.#raw(link, query, options));
    return at(results, results.length - 1);
  }

  queryParsed(query: ParsedQuery, options?: CallOptions): Promise<QueryResult> {
    if (query.groups === true && options?.signal === undefined && this.#ending === undefined) return this.#grouped.run(query, options);
    const link = this.#sharedFor(query, options);
    if (link === undefined) return this.#alone((own) => this.#parsed(own, query, options), options);
    return this.#parsed(link, query, options);
  }

  relay(query: RelayQuery, options: Pick<CallOptions, 'onNotice'>, done: Callback<RelayedResult>): boolean {
    const link = this.#sharedFor(query, options);
    link?.start(new RelayStatement(query, options, done));
    return link !== undefined;
  }

  describe(text: string, types?: readonly number[]): Promise<StatementShape> {
    const link = this.#ending === undefined ? this.#shared.choose() : undefined;
    return link === undefined ? this.#alone((own) => runDescribe(own, text, types), undefined) : runDescribe(link, text, types);
  }

  async acquire(options?: CallOptions): Promise<NodeConnection> {
    const link = await this.#exclusive.acquire(options?.signal);
    return new ExclusiveConnection(this.node, link, this.#takeBack);
  }

  replicate(options?: CallOptions): Promise<ReplicationConnection> {
    return openReplication(this.settings, options);
  }

  break(): void {
    this.#shared.break();
    this.#exclusive.break();
  }

  end(): Promise<void> {
    this.#ending ??= Promise.all([this.#shared.end(), this.#exclusive.end()]).then(() => undefined);
    return this.#ending;
  }

  #raw(link: Link, query: NodeQuery, options: CallOptions | undefined): Promise<RawResult[]> {
    const committed = options?.committed;
    return committed === undefined ? runRaw(link, query, options) : collecting(committed, committer(this.node, link), () => runRaw(link, query, options));
  }

  #parsed(link: Link, query: ParsedQuery, options: CallOptions | undefined): Promise<QueryResult> {
    const committed = options?.committed;
    return committed === undefined ? runParsed(link, query, options) : collecting(committed, committer(this.node, link), () => runParsed(link, query, options));
  }

  #sharedFor(query: NodeQuery, options: CallOptions | undefined): Link | undefined {
    if (options?.signal !== undefined || query.mayWait === true || this.#ending !== undefined) return undefined;
    return this.#shared.choose();
  }

  async #alone<T>(run: (link: Link) => Promise<T>, options: CallOptions | undefined): Promise<T> {
    if (this.#ending !== undefined) throw new ClusterError('clusterClosed', `the connections to node ${this.name} were closed`);
    const link = await this.#exclusive.acquire(options?.signal);
    try {
      return await run(link);
    } finally {
      this.#exclusive.release(link, {});
    }
  }
}
