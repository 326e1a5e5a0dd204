import { setTimeout as wait } from 'node:timers/promises';
import { Client, type ClientConfig } from 'pg';
import { NowAndThen } from '../base/now-and-then.ts';
import { at } from '../base/assert.ts';
import { type Milliseconds, timeoutMax } from '../base/deadline.ts';
import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot, ClusterNode } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import { addressOf, configFor } from '../cluster/connection-settings.ts';
import { defaultNodeLimits } from '../cluster/node-settings.ts';
import type { NodeEndpoint, NodePools } from '../cluster/node-pools.ts';
import { createNodePools } from '../cluster/node-pools.ts';
import type { DdlContext } from '../ddl/ddl-context.ts';
import type { FeedServices } from '../feed/feed-context.ts';
import { Feeds } from '../feed/feeds.ts';
import { Moves } from '../move/moves.ts';
import { NodeObjects } from '../execute/node-objects.ts';
import type { FanOutOptions } from '../execute/run-fan-out.ts';
import { HotTexts } from '../execute/write/hot-texts.ts';
import { SequenceBlocks } from '../execute/write/sequence-blocks.ts';
import type { Finishing } from '../plan/select/select-context.ts';
import { DescribeMemory } from '../session/describer.ts';
import { TableStatistics } from '../session/table-statistics.ts';
import { Planner } from '../session/planner.ts';
import type { SessionServices, UtilityRun, UtilityValue } from '../session/session-services.ts';
import { Rebalances } from '../rebalance/rebalances.ts';
import { listenForCatalog } from '../store/catalog-listener.ts';
import type { CatalogStore } from '../store/catalog-store.ts';
import { createCatalogStore } from '../store/catalog-store.ts';
import { ShardLoad } from '../store/shard-load.ts';
import { BackgroundRecovery } from '../txn/background-recovery.ts';
import { beginTransaction } from '../txn/begin-transaction.ts';
import { DeadlockWatch } from '../txn/deadlock-watch.ts';
import type { DistributedTransaction, WriteOrder } from '../txn/distributed-transaction.ts';
import type { VerifyServices } from '../verify/verify-context.ts';
import { SessionProfiles } from './session-profiles.ts';
import { type ClusterOptions, ddlLockTimeoutMsDefault, defaultIntermediateBytes, recoveryIntervalMsDefault } from './cluster-options.ts';

/** The composition root: everything long-lived of one cluster object is made here. */
export class Coordinator implements SessionServices {
  readonly pools: NodePools;
  readonly store: CatalogStore;
  readonly planner = new Planner();
  readonly sequences: SequenceBlocks;
  readonly hotTexts = new HotTexts();
  readonly load = new ShardLoad();
  readonly describeMemory = new DescribeMemory();
  readonly objects: NodeObjects;
  readonly deadlocks: DeadlockWatch;
  readonly statistics: TableStatistics;
  readonly options: FanOutOptions;
  readonly finishing: Finishing;
  readonly statementTimeoutMs: Milliseconds;
  readonly ddlLockTimeoutMs: number;
  readonly distributesSchemas: boolean;
  /** Runs one of the cluster's functions; set by the cluster object, which has them as methods. */
  utility: (run: UtilityRun) => Promise<UtilityValue> = () => Promise.resolve(undefined);
  /** Of sessions that act as other roles. */
  readonly profiles: SessionProfiles;
  readonly #settings: ClusterOptions;
  readonly #client: ClientConfig;
  #nodes: readonly ClusterNode[] = [];
  #startup: Readonly<Record<string, string>> = {};
  #turn = 0;
  readonly #leaving = new AbortController();
  readonly #recovery: BackgroundRecovery | undefined;
  /** Carries on moves that a process has left; those under way here are told to leave before it ends. */
  readonly #moving: NowAndThen | undefined;
  /** The same for rebalances. */
  readonly #rebalancing: NowAndThen | undefined;
  /** Looks after change feeds that nobody reads. */
  readonly #feeding: NowAndThen | undefined;
  /** What is done without anybody who waits for it. */
  readonly #background = new Set<Promise<void>>();
  /** Stores what was counted of the load. */
  readonly #counting: NowAndThen | undefined;

  constructor(settings: ClusterOptions) {
    this.#settings = settings;
    this.#client = clientConfig(settings);
    this.pools = createNodePools(this.#endpoints());
    this.profiles = new SessionProfiles(this, () => this.#endpoints());
    this.objects = new NodeObjects(this.pools);
    this.deadlocks = new DeadlockWatch(this.pools);
    this.statistics = new TableStatistics(this.pools, settings.tuning?.adjustEstimate);
    const coordinator = this.pools.get(coordinatorNodeId);
    this.store = createCatalogStore({
      coordinator,
      listen: (channel, changed) =>
        listenForCatalog({
          channel,
          changed,
          newClient: () => new Client(this.#client) as Client & { unref(): void },
          delay: (ms, signal) => wait(ms, undefined, { signal, ref: false }).catch(() => undefined),
        }),
    });
    const intervalMs = checkedMs('recoveryIntervalMs', settings.recoveryIntervalMs) ?? recoveryIntervalMsDefault;
    this.#recovery = intervalMs === 0 ? undefined : new BackgroundRecovery({ pools: this.pools, intervalMs });
    this.#moving = intervalMs === 0 ? undefined : new NowAndThen(intervalMs);
    this.#rebalancing = intervalMs === 0 ? undefined : new NowAndThen(intervalMs);
    this.#feeding = intervalMs === 0 ? undefined : new NowAndThen(intervalMs);
    this.#counting = intervalMs === 0 ? undefined : new NowAndThen(intervalMs);
    this.store.onChange(({ clusterId, nodes, server }) => {
      this.#startup = server.sessionSettings;
      this.#setNodes(nodes);
      this.#recovery?.start(clusterId);
      this.#moving?.start(() => this.moves(clusterId).carryOnAll());
      this.#rebalancing?.start(() => this.rebalances(clusterId).carryOnAll());
      this.#feeding?.start(() => this.feeds(clusterId).lookAfterAll());
      this.#counting?.start(() => this.load.store(coordinator));
      // One of the same name may be another sequence now.
      this.sequences.forget();
    });
    this.sequences = new SequenceBlocks(async (text) => (await coordinator.query({ text })).rows);
    const { tuning } = settings;
    this.finishing = tuning?.finishing ?? 'application';
    this.statementTimeoutMs = checkedMs('statementTimeoutMs', settings.statementTimeoutMs);
    this.ddlLockTimeoutMs = checkedMs('ddlLockTimeoutMs', settings.ddlLockTimeoutMs) ?? ddlLockTimeoutMsDefault;
    this.distributesSchemas = settings.enableSchemaBasedSharding ?? false;
    this.options = {
      maxIntermediateBytes: settings.maxIntermediateBytes ?? defaultIntermediateBytes,
      connectionsPerNode: settings.connectionsPerStatement ?? 2,
      batchRows: tuning?.batchRows,
      unite: tuning?.unite,
      arrayRowsMax: tuning?.arrayRowsMax,
    };
  }

  nextNode(): NodeId {
    if (this.#nodes.length === 0) throw new ClusterError('noNodes', 'the cluster has no nodes', { hint: 'Add one with addNode().' });
    this.#turn = (this.#turn + 1) % this.#nodes.length;
    return at(this.#nodes, this.#turn).id;
  }

  begin(snapshot: CatalogSnapshot, modes = '', order?: WriteOrder): DistributedTransaction {
    return beginTransaction(this.pools, { clusterId: snapshot.clusterId, modes, order, watch: this.deadlocks });
  }

  ddlContext(snapshot: CatalogSnapshot): DdlContext {
    return {
      begin: () => this.begin(snapshot),
      admitNodes: (nodes) => this.#setNodes([...this.#nodes.filter(({ id }) => !nodes.some((node) => node.id === id)), ...nodes]),
      dismissNode: (node) => this.#setNodes(this.#nodes.filter(({ id }) => id !== node)),
      refreshCatalog: (options) => this.store.refresh(options),
    };
  }

  verifying(snapshot: CatalogSnapshot): VerifyServices {
    return { pools: this.pools, begin: (modes) => this.begin(snapshot, modes), newestCatalog: (options) => this.store.refreshIfOld(options) };
  }

  moves(clusterId: string): Moves {
    return new Moves({
      pools: this.pools,
      clusterId,
      begin: (onStep) => beginTransaction(this.pools, { clusterId, onStep }),
      refreshCatalog: () => this.store.refresh(),
    }, this.#leaving.signal);
  }

  rebalances(clusterId: string): Rebalances {
    return new Rebalances({ pools: this.pools, clusterId, moves: this.moves(clusterId), leave: this.#leaving.signal });
  }

  feeds(clusterId: string): Feeds {
    return new Feeds(this.feedServices(clusterId));
  }

  feedServices(clusterId: string): FeedServices {
    return { pools: this.pools, clusterId, refreshCatalog: () => this.store.refresh() };
  }

  /** Aborted when the cluster is ended. */
  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  /** Work whose end nobody waits for but that of the cluster; what goes wrong is stored where it is done. */
  inBackground(work: Promise<void>): void {
    const done: Promise<void> = work.catch(() => undefined).finally(() => this.#background.delete(done));
    this.#background.add(done);
  }

  /** A node's address; port and database are the coordinator database's where not given. */
  addressOf(address: string | { readonly host: string; readonly port?: number; readonly database?: string }): { host: string; port: number; database: string } {
    const own = addressOf(this.#client);
    if (typeof address === 'string') {
      const { host, port, database } = addressOf({ connectionString: address });
      return { host, port, database };
    }
    return { host: address.host, port: address.port ?? own.port, database: address.database ?? own.database };
  }

  async end(): Promise<void> {
    // Idle sockets do not keep the process alive; without this it could exit before they have said goodbye.
    const alive = setInterval(() => undefined, 60_000);
    try {
      this.deadlocks.end();
      this.#leaving.abort(new ClusterError('clusterClosed', 'the cluster was ended'));
      await Promise.all([this.#recovery?.end(), this.#moving?.end(), this.#rebalancing?.end(), this.#feeding?.end(), this.#counting?.end(), ...this.#background]);
      await this.store.end();
      await this.profiles.end();
      await this.pools.end();
    } finally {
      clearInterval(alive);
    }
  }

  #setNodes(nodes: readonly ClusterNode[]): void {
    this.#nodes = nodes;
    this.pools.setNodes(this.#endpoints());
    this.profiles.nodesChanged();
  }

  #endpoints(): NodeEndpoint[] {
    return [this.#coordinatorEndpoint(), ...this.#nodes.map((node) => this.#endpoint(node))];
  }

  #coordinatorEndpoint(): NodeEndpoint {
    const { host, port, database } = addressOf(this.#client);
    return { id: coordinatorNodeId, name: `${host}:${port}/${database}`, config: { client: this.#client, ...this.#limits() } };
  }

  #endpoint(node: ClusterNode): NodeEndpoint {
    const { host, port, database } = node;
    const own = this.#settings.nodeConfig?.({ host, port, database }) ?? {};
    const client = { ...configFor(this.#client, node), ...own, host, port, database };
    return { id: node.id, name: `${host}:${port}/${database}`, config: { client, startup: this.#startup, ...this.#limits() } };
  }

  #limits() {
    const { tuning, exclusivePerNode, sharedPerNode, repeatedPerConnection, connectTimeoutMs, connectionTimeoutMillis, max } = this.#settings;
    // Each client may be in a transaction on the same node.
    const exclusiveMax = tuning?.exclusivePerNode ?? exclusivePerNode ?? (max === undefined || max <= defaultNodeLimits.exclusiveMax ? undefined : max);
    const timeout = connectTimeoutMs ?? (connectionTimeoutMillis === 0 ? undefined : connectionTimeoutMillis);
    return {
      ...(exclusiveMax === undefined ? {} : { exclusiveMax }),
      ...(sharedPerNode === undefined ? {} : { sharedMax: sharedPerNode }),
      ...(repeatedPerConnection === undefined ? {} : { repeatedMax: repeatedPerConnection }),
      ...(timeout === undefined ? {} : { connectTimeoutMs: timeout }),
    };
  }
}

/** As `statement_timeout` is checked. */
function checkedMs(name: string, ms: number | undefined): Milliseconds {
  if (ms === undefined || (Number.isInteger(ms) && ms >= 0 && ms <= timeoutMax)) return ms;
  throw new ClusterError('invalidParameter', `${name} must be an integer from 0 to ${timeoutMax}`, { detail: `It is ${ms}.` });
}

/** The options that pg.Client knows. */
function clientConfig(settings: ClusterOptions): ClientConfig {
  const {
    nodeConfig: _nodeConfig, exclusivePerNode: _exclusive, sharedPerNode: _shared, repeatedPerConnection: _repeated, connectionsPerStatement: _connections, connectTimeoutMs: _timeout,
    maxIntermediateBytes: _bytes, statementTimeoutMs: _statement, recoveryIntervalMs: _recovery, ddlLockTimeoutMs: _ddl, enableSchemaBasedSharding: _schemas, tuning: _tuning, max: _max, min: _min, idleTimeoutMillis: _idle, log: _log, Promise: _promise, allowExitOnIdle: _exit,
    maxUses: _uses, maxLifetimeSeconds: _lifetime, Client: _client, ...client
  } = settings;
  return client;
}
