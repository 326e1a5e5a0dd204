import { Readable } from 'node:stream';
import { Pool, type PoolConfig, type QueryResult, types as defaultTypes } from 'pg';
import { canceled, orAborted } from '../base/abort.ts';
import { at, present } from '../base/assert.ts';
import { eachWithinTime, withinTime } from '../base/deadline.ts';
import { ClusterError } from '../base/errors.ts';
import { clusterHealth, type ServerHealth } from '../ha/cluster-health.ts';
import { promoterOf, switchOver, type SwitchoverOptions } from '../ha/switch-over.ts';
import type { CatalogSnapshot, ClusterNode, ServerAddress } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import { nodeId, type NodeId, shardGroupId } from '../catalog/ids.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { positionQuery, readPosition } from '../cluster/log-position.ts';
import { adoptTables } from '../ddl/adopt/adopt-tables.ts';
import { releaseTables } from '../ddl/adopt/release-tables.ts';
import { alterDistributedTable, type AlterDistributedTableOptions } from '../ddl/alter-distributed-table.ts';
import { createDistributedTable, type CreateDistributedTableOptions } from '../ddl/create-distributed-table.ts';
import { createReferenceTable } from '../ddl/create-reference-table.ts';
import type { Within } from '../ddl/ddl-context.ts';
import { checkSchema } from '../ddl/drift/check-schema.ts';
import type { SchemaReport } from '../ddl/drift/schema-report.ts';
import { dropDistributedTable } from '../ddl/drop-distributed-table.ts';
import { createUniqueLookup, type CreateUniqueLookupOptions } from '../ddl/lookups/create-unique-lookup.ts';
import { dropUniqueLookup } from '../ddl/lookups/drop-unique-lookup.ts';
import { removeNode } from '../ddl/remove-node.ts';
import { replaceNode } from '../ddl/replace-node.ts';
import { distributeSchema } from '../ddl/schemas/distribute-schema.ts';
import { moveEmptySchema } from '../ddl/schemas/move-empty-schema.ts';
import { undistributeSchema } from '../ddl/schemas/undistribute-schema.ts';
import { undistributeTable } from '../ddl/undistribute-table.ts';
import type { VerifyReport } from '../verify/row-difference.ts';
import type { VerifyOptions } from '../verify/verify-context.ts';
import { verifyTables } from '../verify/verify-tables.ts';
import type { ChangeStream } from '../feed/change-stream.ts';
import type { ClusterRecoveryReport } from '../ha/log-losses.ts';
import type { FeedInfo, Feeds } from '../feed/feeds.ts';
import { pullFeed } from '../feed/pull-feed.ts';
import type { CopySource } from '../execute/copy/copy-source.ts';
import { findTable } from '../execute/find-table.ts';
import type { JobInfo, Moves } from '../move/moves.ts';
import { drainPreflight, type DrainPreflight, type PreflightedMove, type PreflightReport } from '../move/preflight/preflight-check.ts';
import { withLogicalNames } from '../execute/logical-names.ts';
import { againWhileStale } from '../session/again-while-stale.ts';
import { plannedCopy, type PlannedQuery } from '../session/copy-query.ts';
import { type ExplainHow, type Explanation, explainStatement } from '../session/explain-statement.ts';
import { PoolScope } from '../session/pool-scope.ts';
import { positionedError } from '../session/positioned-error.ts';
import { answer, askedReads, type QueryCallback, readQueryCall } from '../session/query-call.ts';
import { runCopyIn, runCopyOut } from '../session/run-copy.ts';
import type { ReadYourWrites, WithReadToken } from '../session/own-writes.ts';
import { mergedReads, type ReadOptions, readsOfServer } from '../session/read-options.ts';
import { mayReadOnReplicas, routeBy } from '../session/routed-reads.ts';
import { RowIterator } from '../session/row-iterator.ts';
import { type Routing, runRouted } from '../session/run-routed.ts';
import { type RunContext, runStatement } from '../session/run-statement.ts';
import { Session, type SessionQuery } from '../session/session.ts';
import { SessionClient } from '../session/session-client.ts';
import { UnrememberedSequences } from '../session/unremembered-sequences.ts';
import { mayBeStale } from '../session/stale-patience.ts';
import { isOnlyRows } from '../session/statement-kinds.ts';
import { StatementNames } from '../session/statement-names.ts';
import { streamStatement } from '../session/stream-rows.ts';
import { type PlannedShardMove, planRebalance, type RebalancePlanOptions } from '../rebalance/plan-rebalance.ts';
import type { RebalanceInfo, Rebalances } from '../rebalance/rebalances.ts';
import { loadGrammar, type Statement } from '../sql/parse.ts';
import { listTransactions, type TransactionInDoubt } from '../txn/list-transactions.ts';
import { outcomeOf, type TransactionOutcome } from '../txn/outcome-of.ts';
import { recover } from '../txn/recover.ts';
import { type AdoptCitusOptions, type AdoptedCitus, nodesOf, noSuchNode, readAdoption } from './cluster-adoption.ts';
import { createRestorePoint, type RestorePoint } from '../txn/restore-point.ts';
import type { NodeAddress } from '../store/catalog-changes.ts';
import type { ClusterOptions } from './cluster-options.ts';
import { type ChangesOptions, checkedBytes, fedTables, feedPatienceMs, waitingBytesMax } from './cluster-feeds.ts';
import { distributeOnline, type OnlineDistributionOptions } from './distribute-online.ts';
import { type AddNodeOptions, type MovedShardGroup, movedGroup, type MoveOptions, nodeAt, shardGroupOf } from './cluster-moves.ts';
import { type RebalanceOptions, settingsOf } from './cluster-rebalance.ts';
import { isolate, type IsolatedTenant, isolationWish, mergeShards, mergeWish, type ReplacedShardGroups, type SplitOptions, splitShards, splitWish, type Tenant } from './cluster-splits.ts';
import { listShards, listTables, locateShard, locateValue, type ShardInfo, type TableInfo, tablesToVerify } from './cluster-tables.ts';
import { columnsOf, listLookups, type LookupInfo } from './cluster-lookups.ts';
import { createTimePartitions, dropOldTimePartitions, type MissingTimePartition, missingTimePartitions, type TimePartition, type TimePartitionRange, timePartitions } from './cluster-time-partitions.ts';
import { findSchema, listSchemas, type MovedSchema, type SchemaInfo } from './cluster-schemas.ts';
import { Coordinator } from './coordinator.ts';
import type { NodeAddressInput, NodeServersInput } from './node-address-input.ts';
import type { ClusterClient, ClusterQuery, ConnectCallback, ConnectOptions, PoolMethods, SignalOption } from './pool-interface.ts';
import { runSnapshot, type SnapshotOptions } from './run-snapshot.ts';
import { runTransaction, type TransactionOptions } from './run-transaction.ts';
import { runUtility, type TableCreator } from './run-utility.ts';

export type { ClusterOptions };

export type { NodeAddressInput, NodeServersInput };

export interface StreamOptions extends SignalOption, ReadOptions {
  /** Rows per batch read from the servers, a hint: 256 by default. */
  readonly batchRows?: number | undefined;
  readonly rowMode?: 'array' | undefined;
}

type QueryOutcome = QueryResult | QueryResult[];

/** pg.Pool with the methods that this class has its own types for left open. It *is* pg.Pool when the program runs. */
const PoolBase = Pool as unknown as new (config: object) => Omit<Pool, 'query' | keyof PoolMethods> & PoolMethods;

/**
 * Many PostgreSQL servers as one database: a drop-in for pg.Pool. Connects lazily, to a server when a statement needs it; the catalog is
 * read from the coordinator database in one round trip at first use.
 *
 * `query` and `connect()` are pg's. Results are pg's own, errors are PostgreSQL's (or a `ClusterError`, shaped alike).
 *
 * ```ts
 * const cluster = new Cluster({ connectionString: 'postgres://app@coordinator/app' });
 * await cluster.addNode('postgres://node-1/app');
 * await cluster.query('CREATE TABLE orders (tenant_id bigint, id bigint, total numeric, PRIMARY KEY (tenant_id, id))');
 * await cluster.createDistributedTable('orders', 'tenant_id');
 * await cluster.query('SELECT sum(total) FROM orders WHERE tenant_id = $1', [42]);
 * ```
 */
export class Cluster extends PoolBase {
  readonly #coordinator: Coordinator;
  readonly #names = new StatementNames();
  readonly #sequences: UnrememberedSequences;
  #ended: Promise<void> | undefined;
  /** Calls of `query` under way. */
  #running = 0;
  #onQuiet: () => void = () => undefined;

  constructor(options: ClusterOptions = {}) {
    const coordinator = new Coordinator(options);
    super({
      ...options,
      Client: class extends SessionClient {
        constructor(config: ClusterOptions) {
          super(coordinator, config);
        }
      },
    });
    this.#coordinator = coordinator;
    this.#sequences = new UnrememberedSequences(coordinator.sequences, coordinator.pools);
    coordinator.utility = ({ within, ...run }) => runUtility(this, run, within === undefined ? this : this.#inside(within));
    this.on('release', (_error: unknown, client: unknown) => {
      if (client instanceof SessionClient) client.reset();
    });
  }

  /** What can be a part of a session's transaction. */
  #inside(within: Within): TableCreator {
    const context = { ...this.#coordinator.ddlContext(present(this.#coordinator.store.current())), within };
    return {
      createDistributedTable: (table, column, options) => createDistributedTable(context, table, column, options),
      createReferenceTable: (table, options) => createReferenceTable(context, table, options),
    };
  }

  /** What is long-lived of a cluster, for the wire server. */
  static coordinatorOf(cluster: Cluster): Coordinator {
    return cluster.#coordinator;
  }

  /** As pg.Pool's `query`, in all its shapes; a query config may also have a `signal`, which cancels on the servers. */
  readonly query: ClusterQuery = ((...args: readonly unknown[]) => this.#query(args)) as ClusterQuery;

  /** As pg.Pool's `connect`: a session, with pg's client interface. Aborting `signal` gives up the wait for one; the other options say where it reads until it is released. */
  override connect(options?: ConnectOptions): Promise<ClusterClient>;
  override connect(callback: ConnectCallback): void;
  override connect(given?: ConnectOptions | ConnectCallback): Promise<ClusterClient> | undefined {
    if (typeof given === 'function') {
      super.connect(given);
      return undefined;
    }
    if (given === undefined) return super.connect();
    if (given.signal?.aborted === true) return Promise.reject(canceled(given.signal));
    const connected = this.#connected(given, () => super.connect());
    return orAborted(connected, given.signal).catch((error: unknown) => {
      // Nobody waits for it any more; if it never comes, its error is the one thrown.
      if (given.signal?.aborted === true) connected.then((client) => client.release(), () => undefined);
      throw error;
    });
  }

  async #connected(options: ReadOptions, connect: () => Promise<ClusterClient>): Promise<ClusterClient> {
    const reads = askedReads(options);
    const client = await connect();
    if (reads !== undefined && client instanceof SessionClient) client.readBy(reads);
    return client;
  }

  /**
   * The rows of a query one by one, pulled: memory stays flat whatever their number. Leaving the loop early, or aborting `signal`,
   * cancels on the servers.
   */
  stream<Row = Record<string, unknown>>(sql: string, values: readonly unknown[] = [], options: StreamOptions = {}): AsyncGenerator<Row, void, undefined> {
    return new RowIterator(this.streamBatches<Row>(sql, values, options));
  }

  /** As `stream`, in batches: cheaper for very many rows. */
  streamBatches<Row = Record<string, unknown>>(sql: string, values: readonly unknown[] = [], options: StreamOptions = {}): AsyncGenerator<readonly Row[], void, undefined> {
    const { statementTimeoutMs } = this.#coordinator;
    return eachWithinTime(statementTimeoutMs, options.signal, (signal) => againWhileStale(this.#coordinator.store, { text: sql, signal, onlyReplicas: this.#readsOnlyReplicas(options) }, () => this.#batches<Row>(sql, values, { ...options, signal })));
  }

  #readsOnlyReplicas(asked: ReadOptions): boolean {
    const { reads, store } = this.#coordinator;
    const server = store.current()?.server;
    return mergedReads(reads, server === undefined ? undefined : readsOfServer(server), asked).reads === 'replica';
  }

  async *#batches<Row>(sql: string, values: readonly unknown[], options: StreamOptions): AsyncGenerator<readonly Row[], void, undefined> {
    const session = new Session(this.#coordinator, { isBrief: true });
    try {
      const { rowMode, batchRows, signal } = options;
      const reads = askedReads(options);
      const { prepared } = await this.#prepare(session, sql, { signal, reads });
      const batches = session.routedRows(prepared, { reads }, (routing) => streamStatement(prepared, this.#contextOf(session, prepared.snapshot, signal, routing), { values, rowMode, batchRows, types: this.#types() }));
      for await (const batch of batches) yield batch as readonly Row[];
    } catch (error) {
      throw await this.#translated(error, sql);
    } finally {
      await session.end();
    }
  }

  /**
   * COPY … FROM STDIN: text, CSV or binary, from a stream, async iterable, string or buffer. All or nothing; an error's `where` has the
   * line of the input.
   */
  async copyFrom(sql: string, source: CopySource, options: CallOptions = {}): Promise<{ readonly rowCount: number } & WithReadToken> {
    const session = new Session(this.#coordinator, { isBrief: true });
    try {
      return await withinTime(this.#coordinator.statementTimeoutMs, options.signal, async (signal) => {
        const { statement, snapshot } = await this.#open(session, sql, signal);
        return session.writing(snapshot, async (routing) => {
          const context = this.#contextOf(session, snapshot, signal, routing);
          return { rowCount: await runCopyIn(statement, source, { context, searchPath: snapshot.server.searchPath }) };
        });
      });
    } catch (error) {
      throw await this.#translated(error, sql);
    } finally {
      await session.end();
    }
  }

  /** COPY … TO STDOUT of a table or query as a stream of bytes. Destroying it cancels on the servers. */
  copyTo(sql: string, options: SignalOption & ReadOptions = {}): Readable {
    const chunks = eachWithinTime(this.#coordinator.statementTimeoutMs, options.signal, (signal) => againWhileStale(this.#coordinator.store, { text: sql, signal, onlyReplicas: this.#readsOnlyReplicas(options) }, () => this.#copyOut(sql, { ...options, signal })));
    return Readable.from(chunks, { objectMode: false });
  }

  /**
   * The distributed plan of a statement, as data and as text. Only with `analyze` is the statement run, which must be a query then; `verbose` adds a
   * node's own plan to each task.
   */
  async explain(sql: string, values: readonly unknown[] = [], options: CallOptions & ExplainHow = {}): Promise<Explanation> {
    const session = new Session(this.#coordinator, { isBrief: true });
    try {
      return await withinTime(this.#coordinator.statementTimeoutMs, options.signal, async (signal) => {
        const { prepared, context } = await this.#prepare(session, sql, { signal });
        return explainStatement(prepared, context, values, options);
      });
    } catch (error) {
      throw await this.#translated(error, sql);
    } finally {
      await session.end();
    }
  }

  /**
   * Adds a server that will store shards, or several that are one node: a primary and its replicas. It gets all types, functions and other objects beside tables, and a copy of every reference table, which are written meanwhile: statements
   * for them wait for some milliseconds at the end. It is a job: any process can carry it on if this one dies, as does the same call again; when it fails nothing is left on the server. `referenceTables: 'block_writes'` copies them while
   * nobody can use them, and needs no replication slot. Errors: `nodeExists`, `nodeOfAnotherCluster`, `nodeUnreachable`, `unsupportedNode` (with the command that mends it), `moveRefused`, `moveUndone`, `canceled`.
   */
  async addNode(address: NodeServersInput, { referenceTables, signal, onProgress, ...limits }: AddNodeOptions = {}): Promise<ClusterNode> {
    const servers = await this.#coordinator.serversAt(address, signal);
    const node = await (await this.#moves()).addNode({ address: servers, referenceTables, limits }, { cancel: signal, onProgress });
    await this.#coordinator.store.refresh();
    return node;
  }

  /** Takes a server out of the cluster. `nodeInUse` while it holds shards, or a change feed has not read what has changed there. */
  async removeNode(which: NodeAddressInput | number, options: CallOptions = {}): Promise<void> {
    const snapshot = await this.#coordinator.store.refresh(options);
    await (await this.#feeds()).leaveNode(this.#nodeAt(snapshot, which), options);
    await removeNode(this.#coordinator.ddlContext(snapshot), typeof which === 'number' ? nodeId(which) : this.#address(which), options);
  }

  /**
   * Gives a node the address where its database is now: of a replica that was promoted, or a backup that was restored. The database there must be this node's, and have its shards; the old server must be stopped,
   * or be the same. Other processes hear of it at once. Errors: `undefinedNode`, `nodeExists`, `nodeOfAnotherCluster`, `nodeInUse` (the old server still takes writes), `unsupportedNode`, `nodeUnreachable`.
   */
  async replaceNode(which: NodeAddressInput | number, { to, signal }: CallOptions & { readonly to: NodeAddressInput }): Promise<ClusterNode> {
    const snapshot = await this.#coordinator.store.load({ signal });
    return replaceNode(this.#coordinator.ddlContext(snapshot), typeof which === 'number' ? nodeId(which) : this.#address(which), { address: this.#address(to), signal });
  }

  /**
   * Says where a node's servers are: replicas that it has now, or other ones; the primary must be among them, and is found. Nothing is copied. Other processes hear of it at once. Errors as of `replaceNode`.
   */
  async setNodeAddresses(which: NodeAddressInput | number, addresses: NodeServersInput, { signal }: CallOptions = {}): Promise<ClusterNode> {
    const snapshot = await this.#coordinator.store.load({ signal });
    const address = await this.#coordinator.serversAt(addresses, signal);
    return replaceNode(this.#coordinator.ddlContext(snapshot), typeof which === 'number' ? nodeId(which) : this.#address(which), { address, signal });
  }

  /** Every server of the nodes and of the coordinator database (node 0), asked now: role, state and why, timeline, lag. Also those that do not answer. */
  async health(options: CallOptions = {}): Promise<ServerHealth[]> {
    await this.#coordinator.store.load(options).catch(() => undefined);
    return orAborted(clusterHealth(this.#coordinator.pools, this.#coordinator.replicated), options.signal);
  }

  /**
   * A short text that stands for all that is committed by now, on all nodes: a query that is given it (`{ text, token }`) sees that, on whichever server it reads. One question to each primary; the tokens of results, of clients and of
   * `withReadYourWrites` stand for their own writes, and cost none. `nodeUnreachable`.
   */
  async readToken(options: CallOptions = {}): Promise<string> {
    const { pools, store, writes } = this.#coordinator;
    const { version } = await store.load(options);
    const positions = await Promise.all(pools.nodeIds.map(async (node) => [node, readPosition(await pools.get(node).query(positionQuery))] as const));
    return writes.tokens.format({ positions: new Map(positions), catalogVersion: version });
  }

  /**
   * Runs `work` so that its queries see what it has written, wherever they read: what is written in it is kept, also behind awaits, in parallel and in functions that it calls, with nothing to pass on (by an `AsyncLocalStorage`). `token`: what was
   * written before, perhaps in another process, as `readToken` of what `work` is given said then. One inside of another sees what that has written, and that sees what the inner one does. Resolves to what `work` does. `invalidParameter` for a bad token.
   *
   * ```ts
   * app.use((request, response, next) => cluster.withReadYourWrites((own) => {
   *   onHeaders(response, () => own.readToken && response.cookie('seen', own.readToken));
   *   next();
   * }, { token: request.cookies.seen }));
   * ```
   */
  withReadYourWrites<T>(work: (own: ReadYourWrites) => T, { token }: Pick<ReadOptions, 'token'> = {}): T {
    return this.#coordinator.writes.within(work, token);
  }

  /**
   * A planned switchover of a node with several servers, or of the coordinator database (`'coordinator'`): new statements for it wait, in all processes of the cluster, those under way end, `promote`, or Patroni, makes another server the primary, and all
   * go on with that. Statements outside of transaction blocks do not fail, as long as it takes less than `failoverTimeoutMs`. Resolves to the new primary's address. Errors: `switchoverFailed`, `invalidParameter`, `undefinedNode`, `nodeUnreachable`,
   * `coordinatorUnreachable`, `canceled`.
   */
  async switchover(which: NodeAddressInput | number, options: SwitchoverOptions = {}): Promise<ServerAddress> {
    const { pools, replicated, store } = this.#coordinator;
    const snapshot = await store.load(options);
    const id = this.#serversOf(snapshot, which);
    const { name } = pools.get(id);
    const [node, ...others] = replicated.allOf(id);
    if (node === undefined) throw new ClusterError('invalidParameter', `node ${name} has one server only`, { hint: 'setNodeAddresses() names its replicas.' });
    const promote = promoterOf(options, id === coordinatorNodeId ? this.#coordinator.patroni : snapshot.nodes.find((one) => one.id === id)?.patroni);
    return switchOver([node, ...others], { ...options, promote, tell: (news) => this.#coordinator.tell({ ...news, node: id }) });
  }

  /**
   * Has all processes of the cluster ask all servers of a node, or of the coordinator database (`'coordinator'`), what they are, and Patroni for further ones, at once instead of within the second: for whoever knows that something has changed, such
   * as Patroni's callbacks. Errors: `undefinedNode`, `coordinatorUnreachable`, `canceled`.
   */
  async serversChanged(which: NodeAddressInput | number, options: CallOptions = {}): Promise<void> {
    const node = this.#serversOf(await this.#coordinator.store.load(options), which);
    await Promise.all([this.#coordinator.tell({ kind: 'changed', node }), ...this.#coordinator.replicated.allOf(node).map(({ watch }) => watch.lookAround())]);
  }

  /** The servers that store shards, in order of id. */
  async nodes(options: CallOptions = {}): Promise<readonly ClusterNode[]> {
    return (await this.#coordinator.store.refresh(options)).nodes;
  }

  /**
   * Distributes a table by the hash of `column`, with its rows. `null` makes it a single-shard table: all of its rows are on one node, beside those of the other single-shard tables of its colocation
   * group, so that nothing needs a distribution column. All or nothing. Errors: `unsupportedTable` with reason and hint, and
   * others of `docs/errors.md`.
   *
   * Nobody can read or write the table meanwhile, unless it is done `online`: then it goes on being read and written, and its statements wait for some milliseconds at the end. That is a job, as moves are: any process can carry it on if this
   * one dies. Besides: `moveRefused` (the detail has all the reasons), `moveInProgress`, `moveUndone` (the cause says why), `canceled`.
   */
  async createDistributedTable(table: string, column: string | null, options: (CreateDistributedTableOptions & { readonly online?: false }) | OnlineDistributionOptions = {}): Promise<void> {
    const snapshot = await this.#coordinator.store.load(options);
    const context = this.#coordinator.ddlContext(snapshot);
    const { online = false, ...how } = options;
    if (online) await distributeOnline(await this.#moves(), context, { ...how, table, column });
    else await createDistributedTable(context, table, column, how);
  }

  /** Puts a full copy of a table on every node. */
  async createReferenceTable(table: string, options: CallOptions = {}): Promise<void> {
    const snapshot = await this.#coordinator.store.load(options);
    await createReferenceTable(this.#coordinator.ddlContext(snapshot), table, options);
  }

  /**
   * Gives a distributed table another distribution column, shard count or colocation group, or turns a distributed table into a reference table and back, with its rows. All or nothing; the table cannot be
   * read or written meanwhile. Errors as of `createDistributedTable`, and `unsupportedTable` while foreign keys connect it to tables that stay.
   */
  async alterDistributedTable(table: string, options: AlterDistributedTableOptions): Promise<void> {
    const snapshot = await this.#coordinator.store.load(options);
    await alterDistributedTable(this.#coordinator.ddlContext(snapshot), table, options);
  }

  /**
   * Makes columns of a distributed table unique over all of its rows, as `UNIQUE (…)` does where the distribution column is among them: NULLs are distinct, and a row with a key that another one has is refused with 23505 and the constraint's name. The
   * keys are in a distributed table of the library's own, each with the distribution value of its row, and are written in the transaction that writes the row; so a query that compares the columns with constants or parameters goes to one
   * shard. It is built beside reads and writes. Where that is broken off, a second call goes on. Errors: `duplicateKeys` (nothing is left of it), `unsupportedTable`, `undefinedColumn`, `invalidParameter`, `lockNotAvailable`.
   */
  async createUniqueLookup(table: string, columns: string | readonly string[], options: CreateUniqueLookupOptions = {}): Promise<void> {
    const snapshot = await this.#coordinator.store.load(options);
    await createUniqueLookup(this.#coordinator.ddlContext(snapshot), table, columnsOf(columns), options);
  }

  /** Drops a unique lookup, whole or half made. `unknownLookup`. */
  async dropUniqueLookup(table: string, columns: string | readonly string[], options: CallOptions = {}): Promise<void> {
    const snapshot = await this.#coordinator.store.load(options);
    await dropUniqueLookup(this.#coordinator.ddlContext(snapshot), table, columnsOf(columns), options);
  }

  /**
   * Makes the partitions that a table lacks, which is partitioned by ranges of one date, timestamp or timestamptz, for times from `startFrom` (by default now) up to `endAt`: of whole intervals, aligned with the first partition that there is, or with hours,
   * days, weeks, months or years; called `events_p2026_11_28`, `events_p2026w48`, `events_p2026_11` and so on. All or none, in one transaction; the table can be read and written meanwhile, and jobs of several processes may call it at once. Resolves to whether
   * there was one to make. Of local tables as of distributed ones. As Citus's `create_time_partitions`. Errors: PostgreSQL's, such as 23514 where the default partition has rows of such a range, 22023 where partitions are not of that interval, 42809.
   */
  createTimePartitions(table: string, range: TimePartitionRange): Promise<boolean> {
    return createTimePartitions(this, table, range);
  }

  /** Drops the partitions that end at `olderThan` or before, with their rows, in one transaction. As Citus's `drop_old_time_partitions`. */
  dropOldTimePartitions(table: string, options: { readonly olderThan: Date | string }): Promise<void> {
    return dropOldTimePartitions(this, table, options.olderThan);
  }

  /** The partitions that `createTimePartitions` would make, in order of time. */
  missingTimePartitions(table: string, range: TimePartitionRange): Promise<MissingTimePartition[]> {
    return missingTimePartitions(this, table, range);
  }

  /** The partitions of a table that is partitioned by ranges of one column. */
  timePartitions(table: string): Promise<TimePartition[]> {
    return timePartitions(this, table);
  }

  /** The unique lookups of all tables. */
  async lookups(options: CallOptions = {}): Promise<LookupInfo[]> {
    return listLookups(await this.#coordinator.store.refresh(options));
  }

  /** Makes a distributed or reference table a local one again, with its rows. */
  async undistributeTable(table: string, options: CallOptions = {}): Promise<void> {
    const snapshot = await this.#coordinator.store.load(options);
    await undistributeTable(this.#coordinator.ddlContext(snapshot), table, options);
  }

  /**
   * Makes a schema whose tables are single-shard tables, all on one node: a tenant's. One that exists keeps its tables, which are distributed with their rows; each table that is made there later is distributed at
   * once. All or nothing. Errors: `alreadyDistributed`, `invalidParameter` (a schema of the system, `public`), `noNodes`, and those of `createDistributedTable`.
   */
  async createDistributedSchema(schema: string, options: CallOptions = {}): Promise<void> {
    const snapshot = await this.#coordinator.store.load(options);
    await distributeSchema(this.#coordinator.ddlContext(snapshot), schema, { ...options, create: true });
  }

  /** The same for a schema that exists; else `invalidParameter` (3F000). */
  async distributeSchema(schema: string, options: CallOptions = {}): Promise<void> {
    const snapshot = await this.#coordinator.store.load(options);
    await distributeSchema(this.#coordinator.ddlContext(snapshot), schema, options);
  }

  /** Makes a distributed schema an ordinary one, its tables local ones, with their rows. `notDistributed`, `unsupportedTable` while foreign keys connect them to reference tables. */
  async undistributeSchema(schema: string, options: CallOptions = {}): Promise<void> {
    const snapshot = await this.#coordinator.store.load(options);
    await undistributeSchema(this.#coordinator.ddlContext(snapshot), schema, options);
  }

  /** Distributed schemas, in order of name, and where they are. */
  async schemas(options: CallOptions = {}): Promise<SchemaInfo[]> {
    return listSchemas(await this.#coordinator.store.refresh(options));
  }

  /** Moves a distributed schema, with all of its tables, to another node, while they are read and written: as `moveShardGroup`. `notDistributed`. */
  async moveSchema(schema: string, { to, signal, onProgress, ...limits }: MoveOptions & { readonly to: NodeAddressInput | number }): Promise<MovedSchema> {
    const snapshot = await this.#coordinator.store.refresh({ signal });
    const { shardGroupId: group, nodeId: from, tables } = findSchema(snapshot, schema);
    const wish = { group: shardGroupId(group), from: nodeId(from), to: this.#nodeAt(snapshot, to), limits };
    if (tables.length > 0) return movedGroup(await (await this.#moves()).move(wish, { cancel: signal, onProgress }), wish);
    await moveEmptySchema(this.#coordinator.ddlContext(snapshot), wish, { signal });
    return { jobId: undefined, shardGroupId: group, from, to: wish.to };
  }

  /**
   * Takes the shards of a Citus cluster over where they are, under their names: its nodes are added, and its tables, which must be in the coordinator database already, and empty (`pg_dump --schema-only`), become distributed and reference tables
   * of this one. Nobody may write through Citus any more. Each shard's rows are read once, to prove that they are placed alike. `dryRun` says what would be done. `checkSchema()` then tells what of the shards is otherwise than the tables.
   * All or nothing, but for the nodes. Errors: `adoptionRefused` (the detail has all the reasons), `alreadyDistributed`, `unsupportedTable`, `undefinedTable`, those of `addNode`.
   */
  async adoptCitus(options: AdoptCitusOptions): Promise<AdoptedCitus> {
    const read = await readAdoption(options);
    if (options.dryRun === true) return read.summary;
    const nodes = await nodesOf(read, await this.#coordinator.store.refresh(options), (address) => this.addNode(address, options));
    await adoptTables(this.#coordinator.ddlContext(await this.#coordinator.store.load(options)), { adoption: read.adoption, nodes, signal: options.signal });
    return read.summary;
  }

  /** The way back: forgets the tables that `adoptCitus` took over. Shards stay where they are, with their rows, and nodes stay in the cluster. `adoptionRefused` once a shard was moved or split. */
  async releaseCitus(options: AdoptCitusOptions): Promise<AdoptedCitus> {
    const read = await readAdoption(options);
    if (options.dryRun === true) return read.summary;
    const nodes = await nodesOf(read, await this.#coordinator.store.refresh(options), noSuchNode);
    await releaseTables(this.#coordinator.ddlContext(await this.#coordinator.store.load(options)), { adoption: read.adoption, nodes, signal: options.signal });
    return read.summary;
  }

  /** Drops a distributed or reference table with its shards. */
  async dropTable(table: string, options: CallOptions & { readonly cascade?: boolean } = {}): Promise<void> {
    const snapshot = await this.#coordinator.store.load(options);
    await dropDistributedTable(this.#coordinator.ddlContext(snapshot), table, options);
  }

  /**
   * Compares every shard, and every copy of a reference table, with its table in the coordinator database: columns, constraints, indexes, triggers, policies, privileges, comments. What differs
   * comes as data, with the SQL that repairs it, and as text. Changes nothing.
   */
  async checkSchema(options: CallOptions = {}): Promise<SchemaReport> {
    const snapshot = await this.#coordinator.store.load(options);
    return checkSchema(this.#coordinator.ddlContext(snapshot), this.#coordinator.pools.get(coordinatorNodeId).name, options);
  }

  /**
   * Looks at every row, of one table or all, and proves that it is where it belongs, while they are read and written: a distributed table's on the shard that its hash says, and no two where a unique index allows one, and its unique lookups have the keys of its rows, and no others; a reference
   * table's equal in all copies, at one moment. What is not comes as data and as text; nothing is changed. A move or a change of definition waits while a shard of its own is looked at. Errors: `notDistributed`, `nodeUnreachable`,
   * `snapshotUnavailable`, `lockNotAvailable`, `canceled`.
   */
  async verify(table?: string, options: VerifyOptions = {}): Promise<VerifyReport> {
    const snapshot = await this.#coordinator.store.refresh(options);
    return verifyTables(this.#coordinator.verifying(snapshot), tablesToVerify(snapshot, table), options);
  }

  /** Distributed and reference tables. */
  async tables(options: CallOptions = {}): Promise<TableInfo[]> {
    return listTables(await this.#coordinator.store.refresh(options));
  }

  async shards(options: CallOptions = {}): Promise<ShardInfo[]> {
    return listShards(await this.#coordinator.store.refresh(options));
  }

  /** The shard that holds the rows with this value of the distribution column. */
  async shardOf(table: string, value: unknown, options: CallOptions = {}): Promise<ShardInfo> {
    const snapshot = await this.#coordinator.store.load(options);
    const coordinator = this.#coordinator.pools.get(coordinatorNodeId);
    return locateShard(snapshot, { table, value }, (query) => coordinator.query(query, options));
  }

  /**
   * Moves a shard's group, that is the shards of all co-located tables with the same hashes, to another node, while it is read and written. Statements for it wait for some milliseconds at the
   * end, others never. Any process can carry the move on if this one dies. `from`: where it must be, wherever it is by default. Errors: `moveRefused` (the detail has all the reasons), `moveInProgress`, `moveUndone` (the cause says why),
   * `undefinedNode`, `invalidParameter`, `canceled`.
   */
  async moveShardGroup(shardId: number | string, options: MoveOptions & { readonly to: NodeAddressInput | number; readonly from?: NodeAddressInput | number }): Promise<MovedShardGroup> {
    const { to: target, from: source, signal, onProgress, ...limits } = options;
    const snapshot = await this.#coordinator.store.refresh({ signal });
    const { id: group, node } = shardGroupOf(snapshot, Number(shardId));
    const wish = { group, from: source === undefined ? node : this.#nodeAt(snapshot, source), to: this.#nodeAt(snapshot, target), limits };
    return movedGroup(await (await this.#moves()).move(wish, { cancel: signal, onProgress }), wish);
  }

  /**
   * What `moveShardGroup` would find before it begins, as data and as text: what is in its way, what should be known before, how large the shards are. Changes nothing. Errors: `undefinedNode`, `invalidParameter`,
   * `nodeUnreachable`.
   */
  async movePreflight(shardId: number | string, { to, signal }: CallOptions & { readonly to: NodeAddressInput | number }): Promise<PreflightReport> {
    const snapshot = await this.#coordinator.store.refresh({ signal });
    const { id: group, node } = shardGroupOf(snapshot, Number(shardId));
    const target = this.#nodeAt(snapshot, to);
    return (await this.#moves()).preflight({ group, from: node, to: target }, { signal });
  }

  /**
   * Splits a shard's group, with the shards of all co-located tables, at hashes or evenly, while it is read and written. `nodes`: where the parts go, in order of their hashes; they stay where
   * they are when there are none. Shards and shard groups get new ids. All else as of `moveShardGroup`. Errors: the same.
   */
  async splitShardGroup(shardId: number | string, options: MoveOptions & SplitOptions & { readonly nodes?: readonly (NodeAddressInput | number)[] | undefined }): Promise<ReplacedShardGroups> {
    const { at: points, into, nodes, ...rest } = options;
    const doing = await this.#doing(rest);
    return splitShards(doing, { shardId: Number(shardId), at: points, into, nodes: nodes?.map((where) => this.#nodeAt(doing.snapshot, where)) });
  }

  /** What `splitShardGroup` would find before it begins: as `movePreflight`. Errors: as of that, and `moveRefused` when the shard group has no tables. */
  async splitPreflight(shardId: number | string, { at: points, into, nodes, signal }: CallOptions & SplitOptions & { readonly nodes?: readonly (NodeAddressInput | number)[] | undefined }): Promise<PreflightReport> {
    const snapshot = await this.#coordinator.store.refresh({ signal });
    return (await this.#moves()).preflight(splitWish(snapshot, { shardId: Number(shardId), at: points, into, nodes: nodes?.map((where) => this.#nodeAt(snapshot, where)) }), { signal });
  }

  /**
   * Gives one value of the distribution column a shard group of its own, `to` a node or where it is: its shard group is split into two or three. One that has its own already is moved, if need
   * be. Values with the same hash share it. Errors: as of `splitShardGroup`, and `notDistributed`, `distributionValueMissing`.
   */
  async isolateTenant(table: string, value: unknown, { to, ...rest }: MoveOptions & { readonly to?: NodeAddressInput | number | undefined } = {}): Promise<IsolatedTenant> {
    const doing = await this.#doing(rest);
    const jobId = await isolate(doing, await this.#tenant(doing.snapshot, { table, value, to, signal: rest.signal }));
    return { jobId, shard: (await this.#locate(await this.#coordinator.store.refresh(), { table, value, signal: rest.signal })).shard };
  }

  /** What `isolateTenant` would find before it begins, a split or a move: as `movePreflight`. Undefined when the value has a shard group of its own there already. Errors: as of `isolateTenant`. */
  async isolatePreflight(table: string, value: unknown, { to, signal }: CallOptions & { readonly to?: NodeAddressInput | number | undefined } = {}): Promise<PreflightReport | undefined> {
    const snapshot = await this.#coordinator.store.refresh({ signal });
    const wish = isolationWish(snapshot, await this.#tenant(snapshot, { table, value, to, signal }));
    return wish === undefined ? undefined : (await this.#moves()).preflight(wish, { signal });
  }

  /** Makes one shard group of two neighbours, given by a shard of each, `to` a node or where the first is. All else as of `splitShardGroup`. */
  async mergeShardGroups(shardId: number | string, other: number | string, { to, ...rest }: MoveOptions & { readonly to?: NodeAddressInput | number | undefined } = {}): Promise<ReplacedShardGroups> {
    const doing = await this.#doing(rest);
    return mergeShards(doing, { shardIds: [Number(shardId), Number(other)], to: to === undefined ? undefined : this.#nodeAt(doing.snapshot, to) });
  }

  /** What `mergeShardGroups` would find before it begins: as `movePreflight`. */
  async mergePreflight(shardId: number | string, other: number | string, { to, signal }: CallOptions & { readonly to?: NodeAddressInput | number | undefined } = {}): Promise<PreflightReport> {
    const snapshot = await this.#coordinator.store.refresh({ signal });
    return (await this.#moves()).preflight(mergeWish(snapshot, { shardIds: [Number(shardId), Number(other)], to: to === undefined ? undefined : this.#nodeAt(snapshot, to) }), { signal });
  }

  /** Moves, splits and merges under way, and nodes that are being added, or all that ever were, in order of their beginning. */
  async jobs({ all = false, ...options }: CallOptions & { readonly all?: boolean | undefined } = {}): Promise<JobInfo[]> {
    return (await this.#moves()).list(all ? 'all' : 'unfinished', options);
  }

  /** Gives a move up, whoever works on it, and resolves when it is undone; or stops a rebalance. `unknownJob`; `moveInProgress` when it was past its cut-over, and is done. */
  async cancelJob(jobId: string, options: Pick<MoveOptions, 'onProgress'> = {}): Promise<void> {
    if (await (await this.#rebalances()).stop(jobId)) return;
    await (await this.#moves()).cancel(jobId, options);
  }

  /** Carries on a move, or a rebalance, whose process is gone, at once (others do so within `recoveryIntervalMs`), or waits for who works on it. As `moveShardGroup` and `rebalance`. */
  async resumeJob(jobId: string, { signal, onProgress }: Pick<MoveOptions, 'signal' | 'onProgress'> = {}): Promise<void> {
    const rebalances = await this.#rebalances();
    if ((await rebalances.read(jobId)) !== undefined) return rebalances.follow(jobId, { cancel: signal, onProgress });
    await (await this.#moves()).resume(jobId, { cancel: signal, onProgress });
  }

  /**
   * Gives a move, split or merge up that is under way. One that was done is taken back by another: a move by one to where the shard group was, a split by a merge of the parts, wherever they are by
   * now, a merge by a split at the old hashes. `moveRefused` when one of the shard groups has been split or merged since; `unknownJob`, and what `moveShardGroup` throws.
   */
  async undoMove(jobId: string, { signal, onProgress }: Pick<MoveOptions, 'signal' | 'onProgress'> = {}): Promise<void> {
    await (await this.#moves()).undo(jobId, { cancel: signal, onProgress });
  }

  /** The moves that would make the nodes more alike, in order; none while all are near enough. Nothing is moved. */
  async rebalancePlan(options: RebalancePlanOptions = {}): Promise<PlannedShardMove[]> {
    return this.#planMoves(options);
  }

  /**
   * Makes the moves of `rebalancePlan`, some at a time, and resolves to them. It is stored: should this process die, any other carries it on. A move that fails does not keep the others from being
   * made, and is told at the end. Aborting the signal stops it: what was moved stays, what is under way is undone. Errors: `rebalanceInProgress`, `rebalanceIncomplete`, `canceled`, `invalidParameter`.
   */
  async rebalance(options: RebalanceOptions = {}): Promise<PlannedShardMove[]> {
    return this.#makeMoves(await this.#planMoves(options), options);
  }

  /** As `rebalance`, but resolves as soon as it is stored, to its id; undefined when there is nothing to move. This process works on it until it ends, then others. */
  async startRebalance(options: Omit<RebalanceOptions, 'dryRun' | 'onProgress'> = {}): Promise<string | undefined> {
    const settings = settingsOf(options);
    const plan = await this.#planMoves(options);
    if (plan.length === 0) return undefined;
    const rebalances = await this.#rebalances();
    const id = await rebalances.start(plan, settings);
    this.#coordinator.inBackground(rebalances.follow(id, {}));
    return id;
  }

  /** Rebalances under way, or all that ever were, in order of their beginning. `cancelJob` stops one, `resumeJob` carries it on or waits for it. */
  async rebalances({ all = false, ...options }: CallOptions & { readonly all?: boolean | undefined } = {}): Promise<RebalanceInfo[]> {
    return (await this.#rebalances()).list(all ? 'all' : 'unfinished', options);
  }

  /** Moves all shards of a node to the others, as evenly as they can have them; `removeNode` takes it out then. `noNodes` when there is no other; else as `rebalance`. */
  async drainNode(which: NodeAddressInput | number, options: Omit<RebalanceOptions, 'threshold'> = {}): Promise<PlannedShardMove[]> {
    const snapshot = await this.#coordinator.store.refresh(options);
    const drained = nodeAt(snapshot, typeof which === 'number' ? which : this.#address(which));
    return this.#makeMoves(await this.#planMoves({ ...options, drained }), options);
  }

  /** What the moves of `drainNode` would find before they begin: as `movePreflight` for each. Nothing is moved. */
  async drainPreflight(which: NodeAddressInput | number, options: Omit<RebalancePlanOptions, 'threshold'> = {}): Promise<DrainPreflight> {
    const drained = this.#nodeAt(await this.#coordinator.store.refresh(options), which);
    const moves = await this.#moves();
    const found: PreflightedMove[] = [];
    for (const { shardGroupId: group, from, to } of await this.#planMoves({ ...options, drained })) {
      found.push({ shardGroupId: group, from, to, report: await moves.preflight({ group: shardGroupId(group), from: nodeId(from), to: nodeId(to) }, { signal: options.signal }) });
    }
    return drainPreflight(found);
  }

  /** Finishes what processes that died in a commit have left on the nodes, and tells what failovers have lost for good, whichever process has found it. Safe at any time, from any process. */
  async recover(options: CallOptions = {}): Promise<ClusterRecoveryReport> {
    const { clusterId } = await this.#coordinator.store.load(options);
    const report = await recover(this.#coordinator.pools, { clusterId, ...options });
    const { lost, left } = await this.#coordinator.losses.report(options);
    return { ...report, lost, left: [...report.left, ...left] };
  }

  /** Transactions that some node has prepared and not finished: those of a commit under way, and what a process that died has left. */
  async transactions(options: CallOptions = {}): Promise<TransactionInDoubt[]> {
    const { clusterId } = await this.#coordinator.store.load(options);
    return listTransactions(this.#coordinator.pools, { clusterId, ...options });
  }

  /**
   * What became of a transaction whose connection was lost in COMMIT, by the `transactionId` of that error (08007). Any process of the cluster may ask, at any time; `in doubt` means
   * that it is not decided yet. Errors: `invalidParameter`, `unknownTransaction`, `nodeUnreachable`.
   */
  async outcomeOf(transactionId: string, options: CallOptions = {}): Promise<TransactionOutcome> {
    const { clusterId } = await this.#coordinator.store.load(options);
    return outcomeOf(this.#coordinator.pools, transactionId, { clusterId, ...options });
  }

  /**
   * Runs `work` in a transaction of a client of its own: COMMIT when it is done, ROLLBACK when it throws. Tried again after serialization failures, deadlocks and
   * changes of the catalog, so it should change nothing but the database; never when the outcome is unknown (08007).
   */
  transaction<T>(work: (client: ClusterClient) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const { signal, reads, maxLagMs, maxLagBytes, token } = options;
    return runTransaction(() => this.connect({ signal, reads, maxLagMs, maxLagBytes, token }), work, options);
  }

  /**
   * Runs `work` in a REPEATABLE READ transaction of a client of its own, READ ONLY unless `readOnly` is false, that sees each transaction over several nodes wholly or not at all; see
   * `docs/consistency.md`. It holds a connection to every node. Errors: `snapshotUnavailable`, `nodeUnreachable`, `canceled`, and what `work` throws, which rolls back.
   */
  snapshot<T>(work: (client: ClusterClient) => Promise<T>, options: SnapshotOptions = {}): Promise<T> {
    return runSnapshot(() => this.connect({ signal: options.signal }), work, options);
  }

  /**
   * The inserts, updates, deletes and truncates of tables, over all shards, as a stream that is pulled; see `docs/operating.md`. Changes of one distribution value come in the order in which they were made, whatever moves, splits or
   * merges meanwhile; what a transaction changed on one node comes in one go. Each comes at least once, with an id that is always the same. The feed has a name and stays, with a replication slot on every node, until `dropFeed(name)`; it has one reader at a
   * time. Say `confirm(cursor)` when events are stored for good, so that the servers may forget them. Errors, of pulls: `feedInUse`, `feedLost`, `unknownFeed`, `unsupportedTable`, `notDistributed`, `invalidParameter`, `canceled`,
   * and those of the nodes.
   *
   * ```ts
   * for await (const change of (changes = cluster.changes('orders', { name: 'search', snapshot: true }))) {
   *   await index(change);
   *   if (change.cursor !== undefined) changes.confirm(change.cursor);
   * }
   * ```
   */
  changes<Row = Record<string, unknown>>(tables: string | readonly string[], options: ChangesOptions): ChangeStream<Row> {
    const { name, from, snapshot = false, autoConfirm = false, maxRetainedBytes, signal } = options;
    const coordinator = this.#coordinator;
    const prepare = async () => {
      const catalog = await coordinator.store.refresh({ signal });
      const wish = { name, from, snapshot, maxRetainedBytes: checkedBytes(maxRetainedBytes), tables: fedTables(catalog, [tables].flat()) };
      return { services: coordinator.feedServices(catalog.clusterId), wish };
    };
    return pullFeed(prepare, {
      types: this.#types() ?? defaultTypes, autoConfirm, waitingBytesMax, patienceMs: feedPatienceMs,
      signal: signal === undefined ? coordinator.leaving : AbortSignal.any([signal, coordinator.leaving]),
    }) as ChangeStream<Row>;
  }

  /**
   * Marks a moment in the logs of all servers to which they can be restored together, from base backups and archived logs, so that every transaction over several of them is there wholly or not at all; see *Backups* in `docs/operating.md`. Keep what it
   * resolves to with the backups. Transactions over several nodes wait for it for some milliseconds, others never. Errors: `snapshotUnavailable`, `invalidParameter`, `nodeUnreachable`, `canceled`.
   */
  async createRestorePoint(name: string, options: CallOptions = {}): Promise<RestorePoint> {
    const { clusterId } = await this.#coordinator.store.refresh(options);
    return createRestorePoint(this.#coordinator.pools, { clusterId, name, signal: options.signal });
  }

  /** All change feeds, with what they keep on each node. */
  async feeds(options: CallOptions = {}): Promise<FeedInfo[]> {
    return (await this.#feeds()).list(await this.#coordinator.store.refresh(options), options);
  }

  /** Ends a change feed for good, with its slots; who reads it fails with `unknownFeed`. `unknownFeed` when there is none. When a node is away the call fails, and what is left is removed when it is back. */
  async dropFeed(name: string, options: CallOptions = {}): Promise<void> {
    await (await this.#feeds()).drop(name, options);
  }

  /** Connections to servers that are open, idle and waited for, the coordinator database's first. */
  connectionCounts(): { readonly node: string; readonly open: number; readonly idle: number; readonly waiting: number }[] {
    const { pools } = this.#coordinator;
    return pools.nodeIds.map((id) => ({ node: pools.get(id).name, ...pools.get(id).counts }));
  }

  /** Waits for running statements, then closes everything. As pg.Pool's `end`. */
  override end(): Promise<void>;
  override end(callback: (error?: unknown) => void): void;
  override end(callback?: (error?: unknown) => void): Promise<void> | undefined {
    if (this.#ended !== undefined) {
      return answer(Promise.reject<void>(new Error('Called end on pool more than once')), callback);
    }
    const poolEnd = super.end();
    this.#ended = Promise.all([poolEnd, this.#quiet()]).then(() => this.#coordinator.end());
    return answer(this.#ended, callback === undefined ? undefined : (error) => callback(error ?? undefined));
  }

  /** Resolves when no query is running. */
  #quiet(): Promise<void> {
    return this.#running === 0 ? Promise.resolve() : new Promise((resolve) => (this.#onQuiet = resolve));
  }

  readonly #over = (): void => {
    this.#running -= 1;
    if (this.#running === 0) this.#onQuiet();
  };

  #query(args: readonly unknown[]): unknown {
    let call;
    try {
      call = readQueryCall(args);
    } catch (error) {
      return answer(Promise.reject(error), args.find((arg): arg is QueryCallback => typeof arg === 'function'));
    }
    const { query, callback } = call;
    return answer(this.#names.run(query, () => this.#fast(query) ?? this.#slow(query)), callback);
  }

  /** A text planned before runs at once, without a session. */
  #fast(query: SessionQuery): Promise<QueryOutcome> | undefined {
    const snapshot = this.#coordinator.store.current();
    const prepared = snapshot === undefined ? undefined : this.#coordinator.planner.cached(query.text, snapshot);
    if (snapshot === undefined || prepared === undefined || !isOnlyRows(prepared.plan) || this.#ended !== undefined) return undefined;
    const asked = { rowMode: query.rowMode, types: query.types ?? this.#types(), name: query.name };
    const { pools, reads, statementTimeoutMs, writes } = this.#coordinator;
    try {
      const route = mayReadOnReplicas(prepared.plan) ? routeBy(mergedReads(reads, readsOfServer(snapshot.server), query.reads), writes) : undefined;
      // Whoever has written by a newer catalog may have written elsewhere.
      if (route !== undefined && route.catalogVersion > snapshot.version) return undefined;
      const by = { route, committed: writes.collect(pools), writes, catalogVersion: snapshot.version };
      const result = withinTime(statementTimeoutMs, query.signal, (signal) => runRouted(by, (routing) => runStatement(prepared, query.values ?? [], this.#context(snapshot, signal, routing), asked)));
      this.#running += 1;
      return result.then(
        (value) => {
          this.#over();
          return value;
        },
        (error: unknown) => this.#afterFailure(error, query).finally(this.#over),
      );
    } catch (error) {
      // Planning throws at once: a distribution value that cannot be read.
      return this.#afterFailure(error, query);
    }
  }

  /** What is missing may have moved or changed: the slow way reads the catalog again and retries. */
  async #afterFailure(error: unknown, query: SessionQuery): Promise<QueryOutcome> {
    if (mayBeStale(error)) return this.#slow(query);
    throw await this.#translated(error, query.text);
  }

  async #slow(query: SessionQuery): Promise<QueryOutcome> {
    if (this.#ended !== undefined) throw new Error('Cannot use a pool after calling end on the pool');
    const session = new Session(this.#coordinator, { isBrief: true });
    this.#running += 1;
    try {
      return await session.query({ ...query, types: query.types ?? this.#types() });
    } finally {
      await session.end();
      this.#over();
    }
  }

  async #translated(error: unknown, sql: string): Promise<unknown> {
    const snapshot = this.#coordinator.store.current();
    if (snapshot === undefined) return error;
    return positionedError(withLogicalNames(error, snapshot), sql, this.#coordinator.pools.get(coordinatorNodeId));
  }

  async #prepare(session: Session, sql: string, { signal, reads }: Pick<SessionQuery, 'signal' | 'reads'>): Promise<PlannedQuery> {
    await loadGrammar();
    const prepared = await orAborted(session.prepare(this.#only(sql), reads), signal);
    return { prepared, context: this.#contextOf(session, prepared.snapshot, signal) };
  }

  async #open(session: Session, sql: string, signal: AbortSignal | undefined, reads?: ReadOptions) {
    await loadGrammar();
    const snapshot = await session.newEnough(await this.#coordinator.store.load({ signal }), { reads, signal });
    return { statement: this.#only(sql), snapshot };
  }

  #only(sql: string): Statement {
    const statements = this.#coordinator.planner.statements(sql);
    if (statements.length !== 1) throw new ClusterError('invalidParameter', 'exactly one statement is expected');
    return at(statements, 0);
  }

  #contextOf(session: Session, snapshot: CatalogSnapshot, signal: AbortSignal | undefined, routing?: Routing): RunContext {
    return { ...this.#context(snapshot, signal), scope: session.scope(snapshot, signal, routing) };
  }

  async *#copyOut(sql: string, options: SignalOption & ReadOptions): AsyncGenerator<Uint8Array> {
    const session = new Session(this.#coordinator, { isBrief: true });
    try {
      const { signal } = options;
      const reads = askedReads(options);
      const { statement, snapshot } = await this.#open(session, sql, signal, reads);
      yield* session.copiedRows(snapshot, { reads }, (routing) => {
        const planned = async (query: Statement): Promise<PlannedQuery> => {
          const prepared = await orAborted(session.prepare(query, reads), signal);
          return plannedCopy(prepared, (how) => this.#contextOf(session, prepared.snapshot, signal, how), routing);
        };
        return runCopyOut(statement, {
          planned, context: this.#contextOf(session, snapshot, signal), reading: this.#contextOf(session, snapshot, signal, routing), searchPath: snapshot.server.searchPath,
        });
      });
    } catch (error) {
      throw await this.#translated(error, sql);
    } finally {
      await session.end();
    }
  }

  #context(snapshot: CatalogSnapshot, signal: AbortSignal | undefined, routing?: Routing): RunContext {
    const coordinator = this.#coordinator;
    return {
      scope: new PoolScope(coordinator.pools, (modes, how) => coordinator.begin(snapshot, modes, how), { snapshot, signal, watch: coordinator.deadlocks, ...routing }),
      sequences: this.#sequences,
      hotTexts: coordinator.hotTexts,
      load: coordinator.load,
      options: coordinator.options,
      objects: coordinator.objects,
      statistics: coordinator.statistics,
      ddlLockTimeoutMs: coordinator.ddlLockTimeoutMs,
      distributesSchemas: coordinator.distributesSchemas,
      nextNode: (): NodeId => coordinator.nextNode(),
      renewNodes: () => coordinator.renewNodes(),
      runsCode: (prepared, scope) => coordinator.planner.code.runs(prepared, { scope, searchPath: snapshot.server.searchPath }),
      utility: (run) => coordinator.utility(run), clients: () => coordinator.clients(),
    };
  }

  async #doing({ signal, onProgress, ...limits }: MoveOptions) {
    return { moves: await this.#moves(), snapshot: await this.#coordinator.store.refresh({ signal }), limits, signal, onProgress };
  }

  #locate(snapshot: CatalogSnapshot, { table, value, signal }: CallOptions & { readonly table: string; readonly value: unknown }): ReturnType<typeof locateValue> {
    const coordinator = this.#coordinator.pools.get(coordinatorNodeId);
    return locateValue(snapshot, { table, value }, (query) => coordinator.query(query, { signal }));
  }

  async #tenant(snapshot: CatalogSnapshot, { to, ...named }: CallOptions & { readonly table: string; readonly value: unknown; readonly to: NodeAddressInput | number | undefined }): Promise<Tenant> {
    const { shard, hash } = await this.#locate(snapshot, named);
    return { shardId: shard.shardId, hash, to: to === undefined ? undefined : this.#nodeAt(snapshot, to) };
  }

  #nodeAt(snapshot: CatalogSnapshot, where: NodeAddressInput | number): NodeId {
    return nodeAt(snapshot, typeof where === 'number' ? where : this.#address(where));
  }

  #serversOf(snapshot: CatalogSnapshot, which: NodeAddressInput | number): NodeId {
    return which === 'coordinator' || which === coordinatorNodeId ? coordinatorNodeId : this.#nodeAt(snapshot, which);
  }

  /** What this process has counted of the load is stored first, so that it is among what is weighed. */
  async #planMoves(options: RebalancePlanOptions & { readonly drained?: NodeId | undefined }): Promise<PlannedShardMove[]> {
    const { pools, load, store } = this.#coordinator;
    await load.store(pools.get(coordinatorNodeId), { signal: options.signal });
    const snapshot = await store.refresh(options);
    const table = options.table === undefined ? undefined : findTable(snapshot, options.table);
    return planRebalance({ ...options, pools, snapshot, shardIds: table === undefined ? undefined : table.kind === 'distributed' ? table.shardIds : [] });
  }

  async #makeMoves(plan: PlannedShardMove[], options: RebalanceOptions): Promise<PlannedShardMove[]> {
    const settings = settingsOf(options);
    if (options.dryRun === true || plan.length === 0) return plan;
    const rebalances = await this.#rebalances();
    await rebalances.follow(await rebalances.start(plan, settings), { cancel: options.signal, onProgress: options.onProgress });
    return plan;
  }

  async #rebalances(): Promise<Rebalances> {
    return this.#coordinator.rebalances((await this.#coordinator.store.load()).clusterId);
  }

  async #moves(): Promise<Moves> {
    return this.#coordinator.moves((await this.#coordinator.store.load()).clusterId);
  }

  async #feeds(): Promise<Feeds> {
    return this.#coordinator.feeds((await this.#coordinator.store.load()).clusterId);
  }

  #types(): SessionQuery['types'] {
    return (this as unknown as { readonly options: PoolConfig }).options.types;
  }

  #address(address: NodeAddressInput): NodeAddress {
    return this.#coordinator.addressOf(address);
  }
}
