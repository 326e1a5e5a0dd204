import type { TransactionStmt } from '@pgsql/types';
import { DatabaseError, type QueryResult } from 'pg';
import { orAborted, throwIfAborted } from '../base/abort.ts';
import { at } from '../base/assert.ts';
import { eachWithinTime, withinTime } from '../base/deadline.ts';
import { ClusterError } from '../base/errors.ts';
import { ResultTooLong } from '../base/result-too-long.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { Callback, NodeNotice, NodeNotification, RelayedResult } from '../cluster/node-connection.ts';
import { makeQueryResult } from '../cluster/query-result.ts';
import type { CopySource } from '../execute/copy/copy-source.ts';
import { missesShard, withLogicalNames } from '../execute/logical-names.ts';
import type { ResultOptions, StatementScope } from '../execute/statement-scope.ts';
import type { ReadRoute } from '../cluster/read-route.ts';
import type { ReadOptions } from './read-options.ts';
import { mayReadOnReplicas } from './routed-reads.ts';
import { type RoutedBy, routedRows, type Routing, runRouted } from './run-routed.ts';
import { SessionReads } from './session-reads.ts';
import { loadGrammar, parseOne, type Statement } from '../sql/parse.ts';
import { transactionLost } from '../txn/transaction-lost.ts';
import { isThere } from '../execute/fill-relation.ts';
import { type Executed, preparedForNobody, preparedStatement, PreparedStatements } from './prepared-statements.ts';
import { plannedCopy, type PlannedQuery } from './copy-query.ts';
import type { WithReadToken } from './own-writes.ts';
import { runCopyIn, runCopyOut } from './run-copy.ts';
import type { MadeByQueryPlan } from '../plan/statement-plan.ts';
import { KnownCode, mayGiveNames, type RunByNames } from './known-code.ts';
import type { LiftedText } from './lifted-texts.ts';
import { PinnedCoordinator } from './pinned-coordinator.ts';
import type { PreparedPlan } from './planner.ts';
import { type Begin, PoolScope } from './pool-scope.ts';
import { type RelayCall, relaySelect } from './relay-select.ts';
import { type RunContext, runStatement } from './run-statement.ts';
import { type StreamInput, streamStatement } from './stream-rows.ts';
import { rowOf, tagged, transactionAborted } from './session-answers.ts';
import { type BlockSession, SessionBlock } from './session-block.ts';
import { SessionCursors } from './session-cursors.ts';
import { SessionPlanner } from './session-planner.ts';
import { type PortalSession, SessionPortals } from './session-portals.ts';
import { SessionShapes } from './session-shapes.ts';
import { SettingStatements } from './setting-statements.ts';
import type { SessionServices, UtilityRun, UtilityValue } from './session-services.ts';
import { blockUtilities, changesCatalog, changesSession, distributingUtilities, isOfRows, isOnlyRows, isUtilityCall, keepsConnection, locksSequences, locksTables, modesOf, readingUtilities, runsCode } from './statement-kinds.ts';
import { readsOrWrites } from '../sql/ast.ts';
import { checkSetsNothing } from './set-config.ts';
import { SessionSequences } from './session-sequences.ts';
import { checkUsage } from './check-usage.ts';
import { SessionSettings } from './session-settings.ts';
import type { SessionTransaction } from './session-transaction.ts';
import { rightlyPositioned } from '../execute/rightly-positioned.ts';
import { inText, movedError, positionedError, tellOfSequences } from './positioned-error.ts';
import { SettingsScope } from './settings-scope.ts';
import { citusSettingShown, shardCountOf } from './citus-settings.ts';
import { asksTheCluster } from '../plan/computed/with-computed.ts';
import { mayBeStale, StalePatience } from './stale-patience.ts';
import { TransactionScope, uniqueNames } from './transaction-scope.ts';

export interface SessionQuery extends ResultOptions {
  readonly text: string;
  readonly values?: readonly unknown[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Where it reads, outside of transaction blocks, where that is not as for the whole cluster. */
  readonly reads?: ReadOptions | undefined;
}

/** What a session tells its owner, besides results. */
export interface SessionEvents {
  readonly onNotice?: ((notice: NodeNotice) => void) | undefined;
  readonly onNotification?: ((notification: NodeNotification) => void) | undefined;
}

export interface SessionOptions extends SessionEvents {
  /** The session is over when one text has run. */
  readonly isBrief?: boolean | undefined;
}

/** One client's session: its transaction, its settings, its search path. Statements run one at a time; the caller queues them. */
export class Session {
  readonly #services: SessionServices;
  readonly #pinned: PinnedCoordinator;
  readonly #onNotice: ((notice: NodeNotice) => void) | undefined;
  readonly #settings = new SessionSettings();
  #reads: SessionReads;
  readonly #block: SessionBlock;
  readonly #planner: SessionPlanner;
  readonly #cursors = new SessionCursors();
  readonly #prepared = new PreparedStatements();
  readonly #sequences = new SessionSequences({
    blocks: () => this.#block.sequenceBlocks(),
    forget: () => this.#block.forgetSequences(),
    onKept: async (work) => {
      await this.#keepConnection();
      return this.#block.onCoordinator(work);
    },
    checkUsage: async (sequence) => {
      if (this.#settings.takesRoles) await this.#block.onCoordinator((connection) => checkUsage(connection, sequence));
    },
  });
  readonly #setting: SettingStatements;
  /** What is fetched in parts. */
  readonly portals: SessionPortals;
  /** What statements take and give. */
  readonly shapes: SessionShapes;
  readonly #isBrief: boolean;
  /** What names mean to this session alone: once it has given some, keeps its connection, or sees the catalog as it was. */
  readonly #code = new KnownCode();
  #hasOwnNames = false;

  constructor(services: SessionServices, { isBrief = false, ...events }: SessionOptions = {}) {
    this.#services = services;
    this.#reads = new SessionReads(services, this.#settings, isBrief);
    this.#isBrief = isBrief;
    this.#onNotice = events.onNotice;
    this.#pinned = new PinnedCoordinator({ pools: services.pools, settings: () => this.#settings.texts, onConnected: (isThere) => this.#sequences.connected(isThere), onNotification: events.onNotification });
    const block: BlockSession = {
      services, pinned: this.#pinned, settings: this.#settings, cursors: this.#cursors, sequences: this.#sequences, onNotice: events.onNotice,
      reads: () => this.#reads,
      outdate: () => {
        this.#planner.outdate();
        this.#sequences.settingsChanged(this.#settings.has(/^search_path$/));
      },
      notice: (severity, code, message) => this.#notice(severity, code, message),
      newEnough: (snapshot, options) => this.newEnough(snapshot, options),
    };
    this.#block = new SessionBlock(block);
    this.#setting = new SettingStatements(block, this.#block, this.#prepared);
    this.#planner = new SessionPlanner(services, {
      seesOwnChanges: () => this.#block.transaction?.has(coordinatorNodeId) === true,
      hasDefaultSettings: () => this.#settings.isEmpty && !this.#block.isOpen,
      isPinned: () => this.#pinned.isHeld,
      customSettings: () => this.#settings.customNames,
      ownSnapshot: () => this.#block.ownSnapshot,
      locksTables: () => this.#block.locksTables,
      onCoordinator: (work) => this.#block.onCoordinator(work),
    });
    const portals: PortalSession = {
      services, block: this.#block, planner: this.#planner, cursors: this.#cursors,
      run: (statement, query) => this.run(statement, query),
      prepare: (statement) => this.prepare(statement),
      scope: (snapshot, signal) => this.scope(snapshot, signal),
      context: (snapshot, signal) => this.#context(snapshot, signal),
      plannedComputed: (statement, signal) => this.#plannedComputed(statement, signal),
      noting: (prepared, run) => this.#sequences.noting(prepared, run),
      begins: (prepared) => this.#sequences.begins(prepared),
      named: (error, { statement, snapshot }, signal) => this.#nameInBlock(error, statement, { snapshot, signal }),
    };
    this.portals = new SessionPortals(portals);
    this.shapes = new SessionShapes({ ...portals, isPlain: () => this.#isPlain });
  }

  get status(): 'idle' | 'open' | 'failed' {
    return this.#block.isOpen ? (this.#block.isFailed ? 'failed' : 'open') : 'idle';
  }

  /** Runs a text of any number of statements: one result, or an array for several, as pg gives them. */
  query(query: SessionQuery): Promise<QueryResult | QueryResult[]> {
    const known = this.#isBrief || query.signal?.aborted === true ? undefined : this.#services.planner.parsed(query.text);
    return known === undefined ? this.#query(query) : this.run(known, query);
  }

  async #query(query: SessionQuery): Promise<QueryResult | QueryResult[]> {
    throwIfAborted(query.signal);
    await loadGrammar();
    const statements = await this.parseOrAsk(query);
    const [only] = statements;
    if (only === undefined) return makeQueryResult({ command: null as unknown as string, rowCount: null, fields: [], rows: [] });
    if (this.#isBrief && 'PrepareStmt' in at(statements, statements.length - 1).node) throw preparedForNobody();
    if (statements.length === 1) return this.run(only, query);
    return this.#several(statements, query);
  }

  /** A text's statements; the grammar must be loaded. One that cannot be parsed fails a transaction as any other error does. */
  parse({ text, values = [] }: Pick<SessionQuery, 'text' | 'values'>): readonly Statement[] {
    try {
      const statements = this.#services.planner.statements(text);
      if (statements.length > 1 && values.length > 0) throw new ClusterError('syntaxError', 'cannot insert multiple commands into a prepared statement');
      return statements;
    } catch (error) {
      this.#block.fail();
      throw error;
    }
  }

  /** As `parse`; a text that cannot be parsed fails in the words of the coordinator database, which may be of another version, and has hints. */
  async parseOrAsk(query: Pick<SessionQuery, 'text' | 'values'>): Promise<readonly Statement[]> {
    try {
      return this.parse(query);
    } catch (error) {
      throw await this.#inServersWords(error, query.text);
    }
  }

  /** A text with an error of syntax is looked at no further, so nothing is locked or waited for. */
  async #inServersWords(error: unknown, text: string): Promise<unknown> {
    if (!(error instanceof ClusterError) || error.id !== 'syntaxError') return error;
    const isPlain = this.#isPlain;
    try {
      await (isPlain ? this.#services.pools.get(coordinatorNodeId).describe(text) : this.#block.onCoordinator((connection) => connection.describe(text)));
    } catch (told) {
      if (told instanceof DatabaseError) return told;
    }
    return error;
  }

  /** See `SessionPlanner.lifted`; the text may have any number of statements. */
  lifted(text: string): LiftedText | undefined | Promise<LiftedText | undefined> {
    const snapshot = this.#services.store.current();
    if (snapshot === undefined || this.#block.ownSnapshot !== undefined || this.#block.isFailed) return undefined;
    return this.#planner.lifted(text, snapshot, this.#isPlain);
  }

  /** The rows of one statement in batches, parsed. */
  stream(query: SessionQuery): AsyncGenerator<readonly unknown[]> {
    return eachWithinTime(this.#services.statementTimeoutMs, query.signal, (signal) => this.#stream({ ...query, signal }));
  }

  async *#stream(query: SessionQuery): AsyncGenerator<readonly unknown[]> {
    await loadGrammar();
    yield* this.#streamStatement(at(await this.parseOrAsk(query), 0), query);
  }

  /** The same of a statement of a text. `onFields` is told of the columns before the first batch. */
  streamStatement(statement: Statement, query: SessionQuery & Pick<StreamInput, 'onFields'>): AsyncGenerator<readonly unknown[]> {
    return eachWithinTime(this.#services.statementTimeoutMs, query.signal, (signal) => this.#streamStatement(statement, { ...query, signal }));
  }

  async *#streamStatement(asked: Statement, query: SessionQuery & Pick<StreamInput, 'onFields'>): AsyncGenerator<readonly unknown[]> {
    if (this.#block.isFailed) throw transactionAborted();
    const known = this.#block.ownSnapshot ?? (await this.#services.store.load({ signal: query.signal }));
    let snapshot = known;
    let statement = asked;
    let begun: PreparedPlan | undefined;
    let isDone = false;
    this.#sequences.settled();
    try {
      snapshot = await this.newEnough(known, query);
      const executed = await this.#executed(asked, query);
      statement = executed?.statement ?? asked;
      checkSetsNothing(statement);
      const prepared = await this.#planner.plan(statement, snapshot);
      this.#block.checkPlacements(prepared);
      begun = prepared;
      this.#sequences.begins(prepared);
      yield* this.routedRows(prepared, query, (routing) => streamStatement(prepared, this.#context(prepared.snapshot, query.signal, routing), { ...query, values: executed?.values ?? query.values ?? [] }));
      isDone = true;
    } catch (error) {
      this.#block.fail();
      throw await positionedError(withLogicalNames(error, snapshot), statement.text, this.#planner.describerOfErrors(this.#block.isOpen));
    } finally {
      if (begun !== undefined) this.#sequences.ended(begun, isDone);
    }
  }

  /** The statement's plan, under this session's search path. `reads`: of a query that says where it reads. */
  async prepare(statement: Statement, reads?: ReadOptions): Promise<PreparedPlan> {
    const snapshot = await this.newEnough(this.#block.ownSnapshot ?? (await this.#services.store.load()), { reads });
    return this.#planner.plan(statement, snapshot);
  }

  /** Rows of a planned statement, read where the session reads. */
  routedRows<T>(prepared: PreparedPlan, asked: Pick<SessionQuery, 'reads'>, run: (routing: Routing) => AsyncIterable<T>): AsyncGenerator<T> {
    return routedRows(this.#routedBy(this.#routeOf(prepared, asked), prepared.snapshot), run);
  }

  /** The same of a COPY of a table or query, which is planned by `snapshot`, or by a newer one. */
  async *copiedRows<T>(snapshot: CatalogSnapshot, asked: Pick<SessionQuery, 'reads'>, run: (routing: Routing) => AsyncIterable<T>): AsyncGenerator<T> {
    const route = !this.#block.isOpen ? this.#reads.route(snapshot.server, asked.reads) : undefined;
    yield* routedRows(this.#routedBy(route, snapshot), run);
  }

  /** Runs something that may write, and keeps what it has written for those who must see it. */
  async writing<T extends object>(snapshot: CatalogSnapshot, run: (routing: Routing) => Promise<T>): Promise<T & WithReadToken> {
    const by = this.#routedBy(undefined, snapshot);
    return this.#services.writes.note(await run(by), by);
  }

  /** A scope for the statement that runs next. */
  scope(snapshot: CatalogSnapshot, signal: AbortSignal | undefined, routing?: Routing): StatementScope {
    const input = { snapshot, signal, onNotice: this.#onNotice, watch: this.#services.deadlocks, ...routing };
    const { transaction } = this.#block;
    if (transaction !== undefined) return new TransactionScope(transaction, input, { memoryOf: 'block', uniqueName: uniqueNames(transaction.names) });
    const begin: Begin = (modes, how) => this.#block.begin(snapshot, modes, how);
    const pool = new PoolScope(this.#services.pools, begin, input);
    if (this.#settings.isEmpty && !this.#pinned.isHeld) return pool;
    return new SettingsScope(pool, { pinned: this.#pinned, settings: this.#settings.nodeTexts, begin, modes: () => this.#block.withDefaults('') });
  }

  /** Where it reads, from now on, where that is not as for the whole cluster; the session's own settings, and statements, may say otherwise. */
  readBy(options: ReadOptions): void {
    this.#reads.given = options;
  }

  /** It goes to another owner, who has written nothing. */
  forgetReads(): void {
    this.#reads = new SessionReads(this.#services, this.#settings, this.#isBrief);
  }

  /** Stands for all that it has written, as far as positions were collected; undefined where there is none. */
  get readToken(): string | undefined {
    return this.#reads.token;
  }

  /** Ends the session: rolls back what is open. */
  async end(): Promise<void> {
    await this.rollback();
    this.#pinned.release();
  }

  /** What was set until now is what RESET and DISCARD ALL come back to. */
  beginsWithItsSettings(): void {
    this.#settings.beginsWithThese();
  }

  /** BEGIN of a transaction with a consistent snapshot. For REPEATABLE READ and SERIALIZABLE. */
  async beginSnapshot(modes: string, signal: AbortSignal | undefined): Promise<void> {
    await loadGrammar();
    await this.#block.start(modes, { consistent: true, signal });
  }

  rollback(): Promise<void> {
    return this.#block.rollback();
  }

  /** Several statements of one text are one transaction, but for what their own BEGIN and COMMIT say. */
  async #several(statements: readonly Statement[], query: SessionQuery): Promise<QueryResult[]> {
    const results: QueryResult[] = [];
    try {
      for (const { statement, before } of inText(statements, query.text)) {
        await this.joinUnit(statement);
        results.push(await this.run(statement, query).catch((error: unknown) => Promise.reject(movedError(error, before))));
      }
      const readToken = await this.commitImplicit();
      if (readToken !== undefined) Object.assign(at(results, results.length - 1), { readToken });
    } catch (error) {
      if (this.#block.isImplicit) await this.rollback();
      throw error;
    }
    return results;
  }

  /**
   * To be called before a statement of several that are one transaction until `commitImplicit`, which is not the caller's own, but for what their own BEGIN and COMMIT say. The cluster's own functions have
   * transactions of their own.
   */
  async joinUnit({ node }: Statement): Promise<void> {
    if (isUtilityCall(node)) await this.commitImplicit();
    else if (!('TransactionStmt' in node)) await this.#block.beginImplicit();
  }

  /** Resolves to the token of what was committed, if one is collected. */
  async commitImplicit(): Promise<string | undefined> {
    return this.#block.isImplicit ? (await this.#block.commit()).readToken : undefined;
  }

  /** Something about the transaction went wrong that is no statement's error: nothing but its end is accepted. */
  fail(): void {
    this.#block.fail();
  }

  /** See `SessionBlock.letGo`. */
  letGo(): void {
    this.#block.letGo();
  }

  /** Whether a transaction is open that is not the caller's own. */
  get isImplicit(): boolean {
    return this.#block.isImplicit;
  }

  /** One statement of a text. */
  run(statement: Statement, query: SessionQuery): Promise<QueryResult> {
    this.#sequences.settled();
    if ('TransactionStmt' in statement.node) return this.#runOfBlock(statement, statement.node.TransactionStmt, query);
    if (this.#block.isFailed) return Promise.reject(transactionAborted());
    return this.#runInBlock(statement, query) ?? withinTime(this.#services.statementTimeoutMs, query.signal, (signal) => this.#workStatement(statement, { ...query, signal }));
  }

  /** Modes of a BEGIN in a block are set as by SET TRANSACTION. */
  async #runOfBlock(statement: Statement, transaction: TransactionStmt, query: SessionQuery): Promise<QueryResult> {
    const begins = transaction.kind === 'TRANS_STMT_BEGIN' || transaction.kind === 'TRANS_STMT_START';
    const modes = begins && this.#block.isOpen && !this.#block.isImplicit ? modesOf(transaction) : '';
    const result = await this.#block.run(statement, transaction);
    if (modes !== '') await this.#workStatement(parseOne(`SET TRANSACTION ${modes}`), query);
    return result;
  }

  /**
   * Outside of a transaction, a statement that was planned before, at once, on connections that many share: so it cannot be cancelled. Undefined where there is more to it. Rejects as `run` does.
   */
  runBrief(statement: Statement, query: SessionQuery): Promise<QueryResult> | undefined {
    const snapshot = this.#services.store.current();
    if (snapshot === undefined || !this.#isPlain) return undefined;
    const prepared = this.#planner.known(statement, snapshot);
    if (prepared === undefined || !isOnlyRows(prepared.plan)) return undefined;
    const { rowMode, types, name, wholeBytesMax, values = [] } = query;
    try {
      const route = this.#routeOf(prepared, query);
      if (route !== undefined && route.catalogVersion > snapshot.version) return undefined;
      const run = (signal: AbortSignal | undefined): Promise<QueryResult> =>
        runRouted(this.#routedBy(route, prepared.snapshot), (routing) => runStatement(prepared, values, this.#context(prepared.snapshot, signal, routing), { rowMode, types, name, wholeBytesMax }));
      return this.#sequences.noting(prepared, () => withinTime(this.#services.statementTimeoutMs, undefined, run)).catch((error: unknown) => this.afterBrief(error, statement, query));
    } catch (error) {
      // Planning throws at once: a distribution value that cannot be read.
      return this.afterBrief(error, statement, query);
    }
  }

  /** In a transaction block, a statement that was planned before and of which nothing but its result comes, without the detours of others. Undefined where there is more to it. Rejects as `run` does. */
  #runInBlock(statement: Statement, query: SessionQuery): Promise<QueryResult> | undefined {
    const snapshot = this.#services.store.current();
    if (!this.#block.isOpen || this.#block.hasOneSnapshot || this.#block.ownSnapshot !== undefined || snapshot === undefined) return undefined;
    const prepared = this.#planner.known(statement, snapshot);
    if (prepared === undefined || !isOfRows(prepared.plan) || changesSession.test(statement.text)) return undefined;
    const run = (signal: AbortSignal | undefined): Promise<QueryResult> => runStatement(prepared, query.values ?? [], this.#context(snapshot, signal), query);
    try {
      return this.#sequences.noting(prepared, () => withinTime(this.#services.statementTimeoutMs, query.signal, run)).catch((error: unknown) => this.#failInBlock(error, prepared, query.signal));
    } catch (error) {
      // Planning throws at once, as in `runBrief`.
      return this.#failInBlock(error, prepared, query.signal);
    }
  }

  async #failInBlock(error: unknown, { snapshot, statement }: PreparedPlan, signal: AbortSignal | undefined): Promise<never> {
    if (error instanceof ResultTooLong) throw error;
    try {
      throw await positionedError(await this.#nameInBlock(error, statement, { snapshot, signal }), statement.text, this.#planner.describerOfErrors(true));
    } catch (told) {
      this.#block.fail();
      throw transactionLost(this.#services.pools, told);
    }
  }

  /**
   * Outside of a transaction, a query that may run twice (`mayRunTwice` was asked) and was planned before, whose rows go on as one node's own messages; see `relaySelect`. It cannot be cancelled. False where there is
   * more to it. What it has failed with is for `afterBrief`.
   */
  relay(statement: Statement, call: RelayCall, done: Callback<RelayedResult>): boolean {
    const snapshot = this.#services.store.current();
    if (snapshot === undefined || !this.#isPlain || (this.#services.statementTimeoutMs ?? 0) > 0 || !this.#planner.isKnownToRunTwice(statement)) return false;
    const prepared = this.#planner.known(statement, snapshot);
    if (prepared === undefined || this.#reads.route(snapshot.server) !== undefined) return false;
    return relaySelect(prepared, call, { services: this.#services, onNotice: this.#onNotice }, done);
  }

  /** Nothing of its own stands between a statement and connections that many share. */
  get #isPlain(): boolean {
    return !this.#block.isOpen && this.#settings.isEmpty && !this.#pinned.isHeld;
  }

  /** What is missing may have moved or changed: the statement is run again then. Else rejects with the error as it is to be told. */
  async afterBrief(error: unknown, statement: Statement, query: SessionQuery): Promise<QueryResult> {
    if (mayBeStale(error)) return this.run(statement, query);
    const snapshot = this.#services.store.current();
    throw await positionedError(snapshot === undefined ? error : withLogicalNames(error, snapshot), statement.text, this.#planner.describerOfErrors(false));
  }

  async #workStatement(statement: Statement, query: SessionQuery): Promise<QueryResult> {
    const { node } = statement;
    try {
      if (readsOrWrites(node)) return await this.#work(statement, query);
      if ('VariableSetStmt' in node) return await this.#setting.set(statement, node.VariableSetStmt, query.signal);
      const shown = citusSettingShown(node);
      if (shown !== undefined) return await this.#show(shown, query);
      if ('ConstraintsSetStmt' in node && this.#block.isOpen) return await this.#setting.setConstraints(statement, node.ConstraintsSetStmt.constraints ?? []);
      if ('DiscardStmt' in node) return await this.#setting.discard(statement, node.DiscardStmt.target);
      const answered = (await this.portals.statement(statement, query)) ?? (await this.#preparing(statement));
      if (answered !== undefined) return answered;
      const executed = await this.#executed(statement, query);
      return await (executed === undefined ? this.#work(statement, query) : this.#work(executed.statement, { ...query, values: executed.values }));
    } catch (error) {
      if (!this.#block.isOpen || error instanceof ResultTooLong) throw error;
      this.#block.fail();
      throw transactionLost(this.#services.pools, error);
    }
  }

  async #work(statement: Statement, query: SessionQuery): Promise<QueryResult> {
    const { text } = statement;
    const run = (): Promise<QueryResult> => this.#run(statement, query);
    const result = await (/set_config|pg_settings/i.test(text) ? this.#setting.watching(statement, query.values ?? [], run) : run());
    // What was taken before is of no use any more. Sequences know no transactions.
    if (/setval/i.test(text)) this.#block.forgetSequences();
    if (/nextval|setval/i.test(text)) this.#sequences.answered(statement, rowOf(result)[0]);
    return result;
  }

  /** PREPARE and DEALLOCATE. */
  async #preparing(statement: Statement): Promise<QueryResult | undefined> {
    const { node } = statement;
    if (!('PrepareStmt' in node) && !('DeallocateStmt' in node)) return undefined;
    await this.#keepConnection();
    if ('DeallocateStmt' in node) await this.#block.onCoordinator((connection) => this.#prepared.deallocate(connection, statement, node.DeallocateStmt.name));
    else {
      const inner = preparedStatement(statement, node.PrepareStmt.query);
      const plan = (await this.#plannedComputed(inner, undefined))?.plan;
      const computed = plan?.kind === 'computed' ? plan : undefined;
      await this.#block.onCoordinator((connection) => this.#prepared.prepare(connection, statement, node.PrepareStmt, { inner, computed }));
    }
    return tagged('PrepareStmt' in node ? 'PREPARE' : 'DEALLOCATE');
  }

  /** SHOW of one of Citus's settings, which has a value before it was set. */
  async #show(shown: Statement, query: SessionQuery): Promise<QueryResult> {
    return { ...(await this.#run(shown, { ...query, values: [] })), command: 'SHOW', rowCount: null };
  }

  async #executed(statement: Statement, { values = [] }: SessionQuery): Promise<Executed | undefined> {
    const query = this.#prepared.queryOf(statement.node);
    if (query !== undefined && (await this.#isOfCoordinator(query))) return undefined;
    return this.#prepared.executed(statement, values, (work) => this.#block.onCoordinator(work));
  }

  /** Whether the coordinator database runs the statement as it is, and the session need not know of what it does. */
  async #isOfCoordinator(statement: Statement): Promise<boolean> {
    if (/set_config|setval/i.test(statement.text)) return false;
    const plan = await this.prepare(statement).then((prepared) => prepared.plan, () => undefined);
    return plan?.kind === 'coordinator' && plan.text === statement.text;
  }

  /** The plan of a query whose rows the cluster computes, at least in part. */
  async #plannedComputed(statement: Statement, signal: AbortSignal | undefined): Promise<PreparedPlan | undefined> {
    if (!asksTheCluster(statement)) return undefined;
    const prepared = await this.#planner.plan(statement, this.#block.ownSnapshot ?? (await this.#services.store.load({ signal })));
    return prepared.plan.kind === 'computed' ? prepared : undefined;
  }

  /**
   * Whether a query that was run may be run a second time: it has no effects. Only tables of the cluster and the system's are looked at, and functions by what the server says of them; whatever else it reads might do
   * anything, as a view of a function's.
   */
  async mayRunTwice(statement: Statement): Promise<boolean> {
    return this.#planner.mayRunTwice(statement, this.#block.ownSnapshot ?? (await this.#services.store.load()));
  }

  /** COPY … FROM STDIN of a table; resolves to the number of rows. All or nothing. */
  async copyIn(statement: Statement, source: CopySource, signal: AbortSignal | undefined): Promise<number> {
    const { rowCount } = await this.#copying(statement, signal, (snapshot, searchPath, limited) => this.writing(snapshot, async (routing) => {
      return { rowCount: await runCopyIn(statement, source, { context: this.#context(snapshot, limited, routing), searchPath }) };
    }));
    return rowCount;
  }

  /** COPY … TO STDOUT of a table or a query. `take` is given each chunk. */
  async copyOut(statement: Statement, take: (chunk: Uint8Array) => Promise<void> | void, signal: AbortSignal | undefined): Promise<void> {
    await this.#copying(statement, signal, async (snapshot, searchPath, limited) => {
      const chunks = this.copiedRows(snapshot, {}, (routing) => {
        const context = this.#context(snapshot, limited);
        const planned = async (query: Statement): Promise<PlannedQuery> => plannedCopy(await this.prepare(query), (how) => this.#context(snapshot, limited, how), routing);
        return runCopyOut(statement, { context, reading: this.#context(snapshot, limited, routing), searchPath, planned });
      });
      for await (const chunk of chunks) await take(chunk);
    });
  }

  async #copying<T>(statement: Statement, given: AbortSignal | undefined, work: (snapshot: CatalogSnapshot, searchPath: readonly string[], signal: AbortSignal | undefined) => Promise<T>): Promise<T> {
    if (this.#block.isFailed) throw transactionAborted();
    const snapshot = await this.newEnough(this.#block.ownSnapshot ?? (await this.#services.store.load({ signal: given })), { signal: given });
    try {
      checkSetsNothing(statement);
      const searchPath = await this.#planner.searchPath(snapshot);
      return await this.#sequences.copying(statement, () => withinTime(this.#services.statementTimeoutMs, given, (signal) => work(snapshot, searchPath, signal)));
    } catch (error) {
      this.#block.fail();
      throw withLogicalNames(error, snapshot);
    }
  }

  async #run(statement: Statement, query: SessionQuery): Promise<QueryResult> {
    const { store } = this.#services;
    const snapshot = this.#block.ownSnapshot ?? (await store.load({ signal: query.signal }));
    try {
      return await this.#runWhereItIs(statement, query, await this.newEnough(snapshot, query));
    } catch (error) {
      throw tellOfSequences(await positionedError(error, statement.text, this.#planner.describerOfErrors(this.#block.isOpen)));
    }
  }

  /** The catalog by which a statement outside of blocks is planned: whoever has written by a newer one than this process knows may have written elsewhere. */
  async newEnough(snapshot: CatalogSnapshot, { reads, signal }: Pick<SessionQuery, 'reads' | 'signal'> = {}): Promise<CatalogSnapshot> {
    const route = !this.#block.isOpen ? this.#reads.route(snapshot.server, reads) : undefined;
    return route === undefined || route.catalogVersion <= snapshot.version ? snapshot : this.#services.store.refresh({ signal });
  }

  #routeOf({ plan, snapshot }: PreparedPlan, { reads }: Pick<SessionQuery, 'reads'>): ReadRoute | undefined {
    return !this.#block.isOpen && mayReadOnReplicas(plan) ? this.#reads.route(snapshot.server, reads) : undefined;
  }

  /** A shard that a replica misses is there on the primary perhaps: so it is not waited for. */
  #readsOnlyReplicas({ server }: CatalogSnapshot, { reads }: Pick<SessionQuery, 'reads'>): boolean {
    return !this.#block.isOpen && this.#reads.route(server, reads)?.from === 'replica';
  }

  #routedBy(route: ReadRoute | undefined, { server, version }: CatalogSnapshot): RoutedBy {
    const committed = !this.#block.isOpen ? this.#reads.collect(server) : undefined;
    return { route, committed, writes: this.#services.writes, session: this.#reads.seen, catalogVersion: version };
  }

  /** A statement that finds a shard missing is planned by the newest catalog and run again, outside a transaction. */
  async #runWhereItIs(statement: Statement, query: SessionQuery, known: CatalogSnapshot): Promise<QueryResult> {
    const patience = new StalePatience();
    for (let snapshot = known; ;) {
      try {
        return await this.#runOnce(statement, query, snapshot);
      } catch (error) {
        if (this.#block.isOpen) throw await this.#nameInBlock(error, statement, { snapshot, signal: query.signal });
        const isMissing = missesShard(error, snapshot, statement.text) && !this.#readsOnlyReplicas(snapshot, query);
        const named = withLogicalNames(error, snapshot);
        if (!mayBeStale(error)) throw named;
        const fresh = await patience.newerCatalog(this.#services.store, { known: snapshot, isMissing, signal: query.signal });
        const isNewer = fresh.version !== snapshot.version;
        // With an error of ours nothing of it was done yet, and another has done something: so this ends.
        const isRunAgain = (isNewer && error instanceof ClusterError) || (await patience.mayRunAgain({ isNewer, isMissing }, query.signal));
        if (!isRunAgain) throw named;
        snapshot = fresh;
      }
    }
  }

  /** The error as it is to be told. What is missing may have moved or changed: then the catalog is read again, so that the next block finds it. */
  async #nameInBlock(error: unknown, { text }: Statement, { snapshot, signal }: { readonly snapshot: CatalogSnapshot; readonly signal: AbortSignal | undefined }): Promise<unknown> {
    const named = withLogicalNames(error, snapshot);
    if (!(mayBeStale(error) || (error instanceof ClusterError && error.id === 'shardMissing')) || this.#block.ownSnapshot !== undefined) return named;
    const isMissing = missesShard(error, snapshot, text);
    await new StalePatience().newerCatalog(this.#services.store, { known: snapshot, isMissing, signal });
    return isMissing ? changedMeanwhile(named) : named;
  }

  async #runOnce(statement: Statement, query: SessionQuery, known: CatalogSnapshot): Promise<QueryResult> {
    const planned = this.#planner.known(statement, known) ?? (await orAborted(this.#planner.plan(statement, known), query.signal));
    if (planned.plan.kind === 'made_by_query') return this.#makeAndFill(planned.plan, query);
    const prepared = planned.plan.kind === 'definition' ? await this.#byCatalogToChange(statement, planned) : planned;
    const { plan, snapshot } = prepared;
    this.#block.checkPlacements(prepared);
    if (locksTables(plan, statement.node)) this.#block.takesTableLocks();
    if (locksSequences(plan, statement.node)) this.#block.changesSequences();
    if (keepsConnection(prepared)) await this.#keepConnection();
    const observes = this.#isObserved(prepared);
    const context = (routing: Routing): RunContext => {
      const own = this.#context(snapshot, query.signal, routing);
      return observes ? { ...own, scope: this.#sequences.observing(own.scope, prepared) } : own;
    };
    const run = (): Promise<QueryResult> => runRouted(this.#routedBy(this.#routeOf(prepared, query), snapshot), (routing) => runStatement(prepared, query.values ?? [], context(routing), { rowMode: query.rowMode, types: query.types, name: query.name, wholeBytesMax: query.wholeBytesMax }));
    const running = observes ? run() : this.#sequences.noting(prepared, run);
    const isVerbatim = plan.kind === 'coordinator' && plan.text === statement.text;
    const result = await (isVerbatim ? running.catch((error: unknown) => Promise.reject(rightlyPositioned(error))) : running);
    if (runsCode(prepared)) this.#block.ranCode();
    if (changesCatalog(plan)) await this.#block.readChangedCatalog(snapshot);
    return result;
  }

  /** A write of the coordinator database's own tables, outside of blocks: what it takes of sequences the session knows only if its connection is asked at once. */
  #isObserved({ plan, sequenceEffects: effects }: PreparedPlan): boolean {
    return plan.kind === 'coordinator' && plan.changesViews === undefined && effects.kind === 'named' && effects.writes && !this.#isBrief && !this.#block.isOpen && !this.#pinned.isHeld;
  }

  async #byCatalogToChange(statement: Statement, prepared: PreparedPlan): Promise<PreparedPlan> {
    const other = await this.#block.catalogToChange(prepared.snapshot);
    return other === undefined ? prepared : this.#planner.plan(statement, other);
  }

  /** Both statements are one transaction, or a part of that of the session. */
  async #makeAndFill({ create, insert, created }: MadeByQueryPlan, query: SessionQuery): Promise<QueryResult> {
    return this.#inTransaction(query.signal, async () => {
      const exists = await this.#block.onCoordinator((connection) => isThere(connection, created));
      const made = await this.#run(parseOne(create), query);
      return exists ? made : { ...(await this.#run(parseOne(insert), query)), command: 'SELECT', oid: made.oid };
    });
  }

  #context(snapshot: CatalogSnapshot, signal: AbortSignal | undefined, routing?: Routing): RunContext {
    const { hotTexts, load, options, objects, statistics, ddlLockTimeoutMs, distributesSchemas } = this.#services;
    return {
      scope: this.scope(snapshot, signal, routing), sequences: this.#sequences, hotTexts, load, options, objects, statistics, ddlLockTimeoutMs, distributesSchemas,
      nextNode: () => this.#services.nextNode(),
      renewNodes: () => this.#services.renewNodes(),
      clients: () => this.#services.clients(),
      runsCode: (prepared, scope) => this.#runsCode(prepared, scope),
      utility: (run) => this.#utility(run, snapshot),
    };
  }

  #runsCode(prepared: RunByNames, scope: StatementScope): boolean | Promise<boolean> {
    const { snapshot, statement, sequenceEffects: effects } = prepared;
    if (mayGiveNames(statement)) this.#givesNames();
    const isOwn = this.#hasOwnNames || this.#pinned.isHeld || this.#block.hasOneSnapshot;
    const code = isOwn ? this.#code : this.#services.planner.code;
    const runs = effects.kind === 'unknown' ? code.runs(prepared, { scope, searchPath: [] }) : this.#planner.searchPath(snapshot).then((searchPath) => code.runs(prepared, { scope, searchPath }));
    const noted = (isRun: boolean): boolean | Promise<boolean> => (isRun ? this.#notingCode(code.setsSequences(snapshot, scope)) : false);
    return typeof runs === 'boolean' ? noted(runs) : runs.then(noted);
  }

  async #notingCode(setsSequences: boolean | Promise<boolean>): Promise<true> {
    if (await setsSequences) this.#sequences.mayBeSet();
    return true;
  }

  #givesNames(): void {
    this.#hasOwnNames = true;
    this.#code.forget();
  }

  /** One of the cluster's own functions. What a role may do itself is done by its own connections, so in a transaction of the session. */
  async #utility(run: UtilityRun, snapshot: CatalogSnapshot): Promise<UtilityValue> {
    const { name } = run.call;
    const canBePart = blockUtilities.has(name);
    if (this.#block.isOpen && !canBePart && !readingUtilities.has(name)) {
      throw new ClusterError('unsupportedDdl', `${name}() cannot run inside a transaction block yet`, { sqlState: '25001', hint: 'Commit first.' });
    }
    const given = distributingUtilities.has(name) ? { ...run, shardCount: await this.#setShardCount(snapshot) } : run;
    if (!canBePart || (!this.#block.isOpen && (await this.#actsForAll()))) return this.#services.utility(given);
    return this.#inTransaction(run.signal, (transaction) => this.#services.utility({ ...given, within: { transaction, lockTimeoutMs: this.#services.ddlLockTimeoutMs } }));
  }

  async #actsForAll(): Promise<boolean> {
    const { actsForAll } = this.#services;
    return actsForAll === undefined || actsForAll();
  }

  /** In the session's transaction, or in one of its own. */
  async #inTransaction<T>(signal: AbortSignal | undefined, work: (transaction: SessionTransaction) => Promise<T>): Promise<T> {
    const open = this.#block.transaction;
    if (open !== undefined) return work(open);
    const transaction = await this.#block.beginImplicit(signal);
    try {
      const result = await work(transaction);
      await this.#block.commit();
      return result;
    } catch (error) {
      await this.rollback();
      throw error;
    }
  }

  /** `citus.shard_count`, of the session or of its database or role. */
  async #setShardCount({ server }: CatalogSnapshot): Promise<number | undefined> {
    if (!this.#settings.has(/^citus\.shard_count$/)) return shardCountOf(server.sessionSettings['citus.shard_count']);
    const { rows } = await this.#block.onCoordinator((connection) => connection.query({ text: `SELECT pg_catalog.current_setting('citus.shard_count', true)` }));
    return shardCountOf(rows[0]?.[0] ?? undefined);
  }

  /** The statement may leave something behind in its server session, so the session keeps the connection. */
  async #keepConnection(): Promise<void> {
    await this.#block.onCoordinator(() => Promise.resolve());
    this.#pinned.keepBorrowed();
  }

  #notice(severity: string, code: string, message: string): void {
    this.#onNotice?.({ severity, code, message });
  }
}

/** In a transaction block nothing can be run a second time. */
function changedMeanwhile(cause: unknown): ClusterError {
  return new ClusterError('shardMissing', 'tables were changed, or shards moved, by others while the transaction ran', { hint: 'Roll back, and try the transaction again.', cause });
}
