import { setTimeout as wait } from 'node:timers/promises';
import { Client, type ClientConfig } from 'pg';
import { at } from '../base/assert.ts';
import { soonAgain } from '../base/background-work.ts';
import { type Milliseconds, timeoutMax } from '../base/deadline.ts';
import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot, ClusterNode } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import { addressName } from '../catalog/node-address.ts';
import { splitHosts } from '../cluster/connection-hosts.ts';
import { addressOf, configFor } from '../cluster/connection-settings.ts';
import type { LogPosition } from '../cluster/log-position.ts';
import { defaultNodeLimits } from '../cluster/node-settings.ts';
import type { NodeEndpoint, NodePools, NodeServers } from '../cluster/node-pools.ts';
import { createNodePools } from '../cluster/node-pools.ts';
import { RecentCommits } from '../cluster/recent-commits.ts';
import { withConnection } from '../cluster/with-connection.ts';
import type { DdlContext } from '../ddl/ddl-context.ts';
import type { FeedServices } from '../feed/feed-context.ts';
import { Feeds } from '../feed/feeds.ts';
import { LogLosses } from '../ha/log-losses.ts';
import { patroniMembers, patroniUrls } from '../ha/patroni.ts';
import { type ServerNews, ServerNewsDesk } from '../ha/server-news.ts';
import { ReplicatedNodes } from '../ha/replicated-nodes.ts';
import { Moves } from '../move/moves.ts';
import type { ClientActivity } from '../execute/computed/client-activity.ts';
import { NodeObjects } from '../execute/node-objects.ts';
import type { FanOutOptions } from '../execute/run-fan-out.ts';
import { HotTexts } from '../execute/write/hot-texts.ts';
import { SequenceBlocks } from '../execute/write/sequence-blocks.ts';
import type { Finishing } from '../plan/select/select-context.ts';
import { DescribeMemory } from '../session/describer.ts';
import { OwnWrites } from '../session/own-writes.ts';
import { checkReadOptions, type ReadOptions } from '../session/read-options.ts';
import { TableStatistics } from '../session/table-statistics.ts';
import { Planner } from '../session/planner.ts';
import type { SessionServices, UtilityRun, UtilityValue } from '../session/session-services.ts';
import { Rebalances } from '../rebalance/rebalances.ts';
import { once } from '../base/once.ts';
import type { Admission } from '../cluster/node-connection.ts';
import { readAdmission } from '../store/admission.ts';
import { renewNodeSql } from '../store/node-schema.ts';
import type { NodeAddress } from '../store/catalog-changes.ts';
import { notePrimary, type PrimaryFacts } from '../store/node-servers.ts';
import { listenForCatalog } from '../store/catalog-listener.ts';
import { tellProcesses } from '../store/tell-processes.ts';
import type { CatalogStore } from '../store/catalog-store.ts';
import { createCatalogStore } from '../store/catalog-store.ts';
import { ShardLoad } from '../store/shard-load.ts';
import { recoverInTurn } from '../txn/recover-in-turn.ts';
import { beginTransaction } from '../txn/begin-transaction.ts';
import { DeadlockWatch } from '../txn/deadlock-watch.ts';
import type { DistributedTransaction, BeginOptions } from '../txn/distributed-transaction.ts';
import type { VerifyServices } from '../verify/verify-context.ts';
import { BackgroundTasks, warnOfBackgroundError } from './background-tasks.ts';
import { SessionProfiles } from './session-profiles.ts';
import type { NodeAddressInput, NodeServersInput } from './node-address-input.ts';
import { coordinatorServers } from './coordinator-servers.ts';
import { type ClusterOptions, ddlLockTimeoutMsDefault, defaultIntermediateBytes, failoverTimeoutMsDefault, recoveryIntervalMsDefault } from './cluster-options.ts';

/** The composition root: everything long-lived of one cluster object is made here. */
export class Coordinator implements SessionServices {
  readonly pools: NodePools;
  readonly replicated: ReplicatedNodes;
  readonly store: CatalogStore;
  readonly planner = new Planner();
  readonly sequences: SequenceBlocks;
  readonly hotTexts = new HotTexts();
  readonly load = new ShardLoad();
  readonly describeMemory = new DescribeMemory();
  readonly serverNews: ServerNewsDesk;
  readonly objects: NodeObjects;
  readonly deadlocks: DeadlockWatch;
  readonly statistics: TableStatistics;
  readonly options: FanOutOptions;
  readonly finishing: Finishing;
  readonly statementTimeoutMs: Milliseconds;
  readonly reads: ReadOptions;
  readonly writes: OwnWrites;
  readonly ddlLockTimeoutMs: number;
  readonly distributesSchemas: boolean;
  /** Runs one of the cluster's functions; set by the cluster object, which has them as methods. */
  utility: (run: UtilityRun) => Promise<UtilityValue> = () => Promise.resolve(undefined);
  /** Each tells of the clients of a wire server, and of those of its sister processes. */
  readonly clientSources = new Set<() => Promise<readonly ClientActivity[]>>();
  /** Of sessions that act as other roles. */
  readonly profiles: SessionProfiles;
  /** Sessions change the catalog as the cluster's own user, whatever their role. */
  readonly #admission: Admission = { isNeeded: false, secret: once(() => readAdmission(this.pools.get(coordinatorNodeId))) };
  readonly #settings: ClusterOptions;
  readonly #client: ClientConfig;
  readonly #servers: NodeServers | undefined;
  /** As messages call the coordinator database. */
  readonly #name: string;
  #nodes: readonly ClusterNode[] = [];
  /** Servers that jobs need, and the catalog that is known here may not have. One may be there more than once. */
  readonly #admitted: ClusterNode[] = [];
  /** What sessions on nodes begin with: those of the cluster's own user, and those of others. */
  #startup: Readonly<Record<'own' | 'others', Readonly<Record<string, string>>>> = { own: {}, others: {} };
  #turn = 0;
  readonly #leaving = new AbortController();
  readonly #tasks: BackgroundTasks;
  readonly losses = new LogLosses(() => this.pools);
  /** What is done without anybody who waits for it. */
  readonly #background = new Set<Promise<void>>();

  constructor(settings: ClusterOptions) {
    this.#settings = settings;
    const { client, name, servers } = coordinatorServers(settings);
    this.#client = client;
    this.#name = name;
    this.#servers = servers;
    this.replicated = new ReplicatedNodes({
      failoverTimeoutMs: checkedMs('failoverTimeoutMs', settings.failoverTimeoutMs) ?? failoverTimeoutMsDefault,
      onPrimary: (node, found, before) => this.#notePrimary(node, found, before),
    });
    this.serverNews = new ServerNewsDesk((node) => this.replicated.allOf(node));
    this.pools = createNodePools(this.#endpoints(), this.replicated.open, new RecentCommits(() => this.#tasks.hasten('recovery')));
    this.profiles = new SessionProfiles(this, (whose) => this.#endpoints(whose), this.replicated.openOther);
    this.objects = new NodeObjects(this.pools);
    const onError = settings.onBackgroundError ?? warnOfBackgroundError;
    this.deadlocks = new DeadlockWatch(this.pools, (error) => onError(error, 'deadlocks'));
    this.statistics = new TableStatistics(this.pools, settings.tuning?.adjustEstimate);
    const coordinator = this.pools.get(coordinatorNodeId);
    this.store = createCatalogStore({
      coordinator,
      listen: (channel, changed) =>
        listenForCatalog({
          channel,
          changed,
          heard: (payload) => this.serverNews.hear(payload),
          newClient: () => new Client(this.#listenConfig()) as Client & { unref(): void },
          delay: (ms, signal) => wait(ms, undefined, { signal, ref: false }).catch(() => undefined),
        }),
    });
    const intervalMs = checkedMs('recoveryIntervalMs', settings.recoveryIntervalMs) ?? recoveryIntervalMsDefault;
    this.#tasks = new BackgroundTasks(intervalMs, onError);
    this.store.onChange(({ clusterId, nodes, server }) => {
      this.#startup = { own: server.sessionSettings, others: server.databaseSettings };
      this.#setNodes(nodes);
      this.#tasks.start('recovery', async () => {
        const isAll = await recoverInTurn(this.pools, { clusterId, signal: this.#leaving.signal });
        await this.losses.store({ signal: this.#leaving.signal });
        return isAll ? undefined : soonAgain;
      });
      // Those under way here are told to leave before it ends.
      this.#tasks.start('moves', () => this.moves(clusterId).carryOnAll());
      this.#tasks.start('rebalances', () => this.rebalances(clusterId).carryOnAll());
      this.#tasks.start('feeds', () => this.feeds(clusterId).lookAfterAll());
      this.#tasks.start('load', () => this.load.store(coordinator));
      // One of the same name may be another sequence now.
      this.sequences.forget();
    });
    this.sequences = new SequenceBlocks(async (text) => (await coordinator.query({ text })).rows);
    const { tuning } = settings;
    this.finishing = tuning?.finishing ?? 'application';
    const { reads, maxLagMs, maxLagBytes } = settings;
    this.reads = { reads, maxLagMs, maxLagBytes };
    checkReadOptions(this.reads);
    this.writes = new OwnWrites({ always: settings.readTokens ?? false, secret: settings.readTokenSecret });
    this.statementTimeoutMs = checkedMs('statementTimeoutMs', settings.statementTimeoutMs);
    this.ddlLockTimeoutMs = checkedMs('ddlLockTimeoutMs', settings.ddlLockTimeoutMs) ?? ddlLockTimeoutMsDefault;
    this.distributesSchemas = settings.enableSchemaBasedSharding ?? false;
    this.options = {
      maxIntermediateBytes: settings.maxIntermediateBytes ?? defaultIntermediateBytes,
      connectionsPerNode: settings.connectionsPerStatement ?? 2,
      batchRows: tuning?.batchRows,
      unite: tuning?.unite,
      lookupCostMax: tuning?.lookupCostMax,
      arrayRowsMax: tuning?.arrayRowsMax,
    };
  }

  async clients(): Promise<readonly ClientActivity[]> {
    return (await Promise.all([...this.clientSources].map((source) => source()))).flat();
  }

  nextNode(): NodeId {
    if (this.#nodes.length === 0) throw new ClusterError('noNodes', 'the cluster has no nodes', { hint: 'Add one with addNode().' });
    this.#turn = (this.#turn + 1) % this.#nodes.length;
    return at(this.#nodes, this.#turn).id;
  }

  async renewNodes(): Promise<void> {
    await Promise.all(this.#nodes.map(({ id }) => withConnection(this.pools.get(id), undefined, (connection) => connection.query({ text: renewNodeSql, simple: true }))));
  }

  begin(snapshot: CatalogSnapshot, modes = '', how?: Pick<BeginOptions, 'order' | 'reads'>): DistributedTransaction {
    return beginTransaction(this.pools, { clusterId: snapshot.clusterId, modes, watch: this.deadlocks, ...how });
  }

  ddlContext(snapshot: CatalogSnapshot): DdlContext {
    return {
      begin: () => this.begin(snapshot),
      admitNodes: (nodes) => this.#setNodes([...this.#nodes.filter(({ id }) => !nodes.some((node) => node.id === id)), ...nodes]),
      dismissNode: (node) => this.#setNodes(this.#nodes.filter(({ id }) => id !== node)),
      refreshCatalog: (options) => this.store.refreshIfOld(options),
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
      refreshCatalog: () => this.store.refreshIfOld(),
      admitNodes: (nodes) => this.#admit(nodes),
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
  addressOf(address: NodeAddressInput): NodeAddress {
    const own = addressOf(this.#client);
    if (typeof address === 'string') {
      const several = splitHosts(address);
      const { host, port, database } = addressOf({ connectionString: several?.first ?? address });
      return { host, port, database, ...(several === undefined ? {} : { hosts: several.hosts }) };
    }
    const { database = own.database } = address;
    if ('host' in address) return { host: address.host, port: address.port ?? own.port, database };
    const hosts = address.hosts.map(({ host, port = own.port }) => ({ host, port }));
    const [first] = hosts;
    if (first === undefined) throw new ClusterError('invalidParameter', 'a node needs at least one address');
    return { ...first, database, hosts };
  }

  /** URLs of the Patronis of the coordinator database, if it has any. */
  get patroni(): readonly string[] | undefined {
    return this.#servers?.patroni;
  }

  /** All other processes hear it. */
  tell(news: ServerNews): Promise<void> {
    return tellProcesses(this.pools.get(coordinatorNodeId), this.serverNews.format(news));
  }

  /** As `addressOf`; Patroni is asked for the servers that it knows. */
  async serversAt(address: NodeServersInput, signal: AbortSignal | undefined): Promise<NodeAddress> {
    if (typeof address === 'string' || !('patroni' in address)) return this.addressOf(address);
    const patroni = patroniUrls(address.patroni);
    const hosts = await patroniMembers(patroni, signal);
    return { ...at(hosts, 0), database: address.database ?? addressOf(this.#client).database, hosts, patroni };
  }

  async end(): Promise<void> {
    // Idle sockets do not keep the process alive; without this it could exit before they have said goodbye.
    const alive = setInterval(() => undefined, 60_000);
    try {
      this.deadlocks.end();
      this.serverNews.end();
      this.#leaving.abort(new ClusterError('clusterClosed', 'the cluster was ended'));
      await Promise.all([this.#tasks.end(), ...this.#background]);
      await this.store.end();
      await this.profiles.end();
      await this.pools.end();
    } finally {
      clearInterval(alive);
    }
  }

  #setNodes(nodes: readonly ClusterNode[]): void {
    this.#nodes = nodes;
    this.#endpointsChanged();
  }

  #admit(nodes: readonly ClusterNode[]): Disposable {
    this.#admitted.push(...nodes);
    this.#endpointsChanged();
    return {
      [Symbol.dispose]: () => {
        for (const node of nodes) this.#admitted.splice(this.#admitted.indexOf(node), 1);
        this.#endpointsChanged();
      },
    };
  }

  #endpointsChanged(): void {
    this.pools.setNodes(this.#endpoints());
    this.profiles.nodesChanged();
  }

  #endpoints(whose: 'own' | 'others' = 'own'): NodeEndpoint[] {
    const unlisted = this.#admitted.filter(({ id }) => !this.#nodes.some((node) => node.id === id));
    return [this.#coordinatorEndpoint(), ...this.#nodes.map((node) => this.#endpoint(node, whose)), ...unlisted.map((node) => ({ ...this.#endpoint(node, whose), isUnlisted: true }))];
  }

  #coordinatorEndpoint(): NodeEndpoint {
    const limits = this.#limits();
    // A job keeps one for as long as it runs, and works with another.
    const exclusiveMax = Math.max(limits.exclusiveMax ?? defaultNodeLimits.exclusiveMax, 2);
    return { id: coordinatorNodeId, name: this.#name, config: { client: this.#client, ...limits, exclusiveMax, admission: this.#admission }, servers: this.#servers };
  }

  /** Where the primary of the coordinator database is. */
  #listenConfig(): ClientConfig {
    const address = this.replicated.of(coordinatorNodeId)?.primaryAddress;
    return address === undefined ? this.#client : configFor(this.#client, { ...address, database: addressOf(this.#client).database });
  }

  /** Other processes, and those to come, shall not take an older primary for the newest. */
  #notePrimary(node: NodeId, found: PrimaryFacts, before: LogPosition | undefined): void {
    if (before !== undefined) this.inBackground(this.losses.check(node, before));
    if (node !== coordinatorNodeId && this.#nodes.some(({ id, timeline = 0 }) => id === node && timeline < found.timeline)) this.inBackground(notePrimary(this.pools.get(coordinatorNodeId), node, found));
  }

  #endpoint(node: ClusterNode, whose: 'own' | 'others'): NodeEndpoint {
    const { host, port, database } = node;
    const own = this.#settings.nodeConfig?.({ host, port, database }) ?? {};
    const client = { ...configFor(this.#client, node), ...own, host, port, database };
    const servers = node.hosts === undefined ? undefined : { ...node, hosts: node.hosts };
    return { id: node.id, name: addressName(node), config: { client, startup: this.#startup[whose], ...this.#limits() }, servers };
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
