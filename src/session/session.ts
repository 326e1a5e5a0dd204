import type { Node, TransactionStmt, VariableSetStmt } from '@pgsql/types';
import { DatabaseError, type QueryResult } from 'pg';
import { orAborted, throwIfAborted } from '../base/abort.ts';
import { assert, at, present } from '../base/assert.ts';
import { eachWithinTime, withinTime } from '../base/deadline.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import { ResultTooLong } from '../base/result-too-long.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { Callback, FieldDescriptor, NodeConnection, NodeNotice, NodeNotification, RawRow, RelayedResult, StatementShape } from '../cluster/node-connection.ts';
import { makeQueryResult, textTypes } from '../cluster/query-result.ts';
import type { CopySource } from '../execute/copy/copy-source.ts';
import { missesShard, withLogicalNames } from '../execute/logical-names.ts';
import type { ResultOptions, StatementScope } from '../execute/statement-scope.ts';
import type { ReadRoute } from '../cluster/read-route.ts';
import { isReadSetting, type ReadOptions, readSettings, readSettingSet } from './read-options.ts';
import { mayReadOnReplicas } from './routed-reads.ts';
import { type RoutedBy, routedRows, type Routing, runRouted } from './run-routed.ts';
import { SessionReads } from './session-reads.ts';
import { loadGrammar, parseOne, type Statement } from '../sql/parse.ts';
import { admitted } from '../store/admission.ts';
import { lockVersion } from '../store/catalog-changes.ts';
import { readSnapshot } from '../store/load-snapshot.ts';
import { beginTransaction, canBeOnReplicas } from '../txn/begin-transaction.ts';
import type { BeginOptions } from '../txn/distributed-transaction.ts';
import { transactionLost } from '../txn/transaction-lost.ts';
import { fieldsOf } from '../execute/fields.ts';
import { isThere } from '../execute/fill-relation.ts';
import { SequenceBlocks } from '../execute/write/sequence-blocks.ts';
import { selectedRows } from '../execute/staged/staged-rows.ts';
import { ForwardRows, KeptRows, keptRows } from './cursor-rows.ts';
import { checkConsistentSnapshots, consistentSnapshots, hasOneSnapshot, refuseDeferrable, wantsConsistentSnapshots } from './consistent-snapshots.ts';
import { checkLocking, type DeclaredQuery, declaredQuery } from './declared-query.ts';
import { type Executed, preparedForNobody, preparedStatement, PreparedStatements } from './prepared-statements.ts';
import { plannedCopy, type PlannedQuery } from './copy-query.ts';
import type { WithReadToken } from './own-writes.ts';
import { runCopyIn, runCopyOut } from './run-copy.ts';
import type { MadeByQueryPlan, SelectPlan } from '../plan/statement-plan.ts';
import { CoordinatorCursor, cursorText } from './coordinator-cursor.ts';
import { checkLocalTables } from '../execute/read-local-tables.ts';
import { checkPlacements } from './moved-since.ts';
import { PinnedCoordinator } from './pinned-coordinator.ts';
import type { PreparedPlan } from './planner.ts';
import { type Begin, PoolScope } from './pool-scope.ts';
import { type RelayCall, relaySelect } from './relay-select.ts';
import { anyNode, type RunContext, runStatement, utilityField } from './run-statement.ts';
import { parameterNumbers } from '../plan/shard-template.ts';
import { type StreamInput, streamStatement } from './stream-rows.ts';
import { SessionCursors } from './session-cursors.ts';
import { SessionPlanner } from './session-planner.ts';
import type { SessionServices, UtilityRun, UtilityValue } from './session-services.ts';
import { blockUtilities, changesCatalog, changesSession, distributingUtilities, isOfRows, isOnlyRows, isUtilityCall, leavesState, locksSequences, locksTables, modesOf, readingUtilities, setsModes } from './statement-kinds.ts';
import { readsOrWrites } from '../sql/ast.ts';
import { type SetConfig, settingsMade } from './set-config.ts';
import { SessionSettings } from './session-settings.ts';
import { SessionTransaction } from './session-transaction.ts';
import { rightlyPositioned } from '../execute/rightly-positioned.ts';
import { inText, movedError, positionedError } from './positioned-error.ts';
import { SettingsScope } from './settings-scope.ts';
import { citusSettingShown, hasNoEffect, shardCountOf } from './citus-settings.ts';
import { asksTheCluster } from '../plan/computed/with-computed.ts';
import { currentModes, withDefaultModes } from './transaction-modes.ts';
import { mayBeStale, StalePatience } from './stale-patience.ts';
import { TransactionScope } from './transaction-scope.ts';

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

/** A query over distributed tables, planned. */
interface PlannedSelect {
  readonly statement: Statement;
  readonly plan: SelectPlan;
  readonly snapshot: CatalogSnapshot;
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
  #transaction: SessionTransaction | undefined;
  /** The transaction was not begun by the caller: it is that of one text. */
  #implicit = false;
  #failed = false;
  /** The catalog as the transaction has changed it: nobody else sees that yet. */
  #ownSnapshot: CatalogSnapshot | undefined;
  /** The transaction holds locks on tables that keep readers away. */
  #locksTables = false;
  /** It has changed sequences: any other connection would wait for it. */
  #locksSequences = false;
  /** Values of sequences that the transaction may have made, or locked. */
  readonly #ownSequences = new SequenceBlocks(async (text) => (await this.#onCoordinator((connection) => connection.query({ text }))).rows);
  #modes = '';
  /** REPEATABLE READ or SERIALIZABLE. */
  #hasOneSnapshot = false;
  #firstCatalog: CatalogSnapshot | undefined;
  /** What AND CHAIN has taken over from the transaction before. */
  #chainedModes = '';
  /** Its snapshot is consistent by request, whatever the settings say. */
  #consistent = false;
  readonly #planner: SessionPlanner;
  readonly #cursors = new SessionCursors();
  readonly #prepared = new PreparedStatements();
  readonly #isBrief: boolean;

  constructor(services: SessionServices, { isBrief = false, ...events }: SessionOptions = {}) {
    this.#services = services;
    this.#reads = new SessionReads(services, this.#settings, isBrief);
    this.#isBrief = isBrief;
    this.#onNotice = events.onNotice;
    this.#pinned = new PinnedCoordinator({ pools: services.pools, settings: () => this.#settings.texts, onNotification: events.onNotification });
    this.#planner = new SessionPlanner(services, {
      seesOwnChanges: () => this.#transaction?.has(coordinatorNodeId) === true,
      hasDefaultSettings: () => this.#settings.isEmpty && this.#transaction === undefined,
      isPinned: () => this.#pinned.isHeld,
      customSettings: () => this.#settings.customNames,
      ownSnapshot: () => this.#ownSnapshot,
      locksTables: () => this.#locksTables,
      onCoordinator: (work) => this.#onCoordinator(work),
    });
  }

  get status(): 'idle' | 'open' | 'failed' {
    return this.#transaction === undefined ? 'idle' : this.#failed ? 'failed' : 'open';
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
      this.#failed = this.#transaction !== undefined;
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
      await (isPlain ? this.#services.pools.get(coordinatorNodeId).describe(text) : this.#onCoordinator((connection) => connection.describe(text)));
    } catch (told) {
      if (told instanceof DatabaseError) return told;
    }
    return error;
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
    if (this.#failed) throw transactionAborted();
    const known = this.#ownSnapshot ?? (await this.#services.store.load({ signal: query.signal }));
    let snapshot = known;
    let statement = asked;
    try {
      snapshot = await this.newEnough(known, query);
      const executed = await this.#executed(asked, query);
      statement = executed?.statement ?? asked;
      const prepared = await this.#planner.plan(statement, snapshot);
      this.#checkPlacements(prepared);
      yield* this.routedRows(prepared, query, (routing) => streamStatement(prepared, this.#context(prepared.snapshot, query.signal, routing), { ...query, values: executed?.values ?? query.values ?? [] }));
    } catch (error) {
      this.#failed = this.#transaction !== undefined;
      throw await positionedError(withLogicalNames(error, snapshot), statement.text, this.#planner.describerOfErrors(this.#transaction !== undefined));
    }
  }

  /** The statement's plan, under this session's search path. `reads`: of a query that says where it reads. */
  async prepare(statement: Statement, reads?: ReadOptions): Promise<PreparedPlan> {
    const snapshot = await this.newEnough(this.#ownSnapshot ?? (await this.#services.store.load()), { reads });
    return this.#planner.plan(statement, snapshot);
  }

  /** Rows of a planned statement, read where the session reads. */
  routedRows<T>(prepared: PreparedPlan, asked: Pick<SessionQuery, 'reads'>, run: (routing: Routing) => AsyncIterable<T>): AsyncGenerator<T> {
    return routedRows(this.#routedBy(this.#routeOf(prepared, asked), prepared.snapshot), run);
  }

  /** The same of a COPY of a table or query, which is planned by `snapshot`, or by a newer one. */
  async *copiedRows<T>(snapshot: CatalogSnapshot, asked: Pick<SessionQuery, 'reads'>, run: (routing: Routing) => AsyncIterable<T>): AsyncGenerator<T> {
    const route = this.#transaction === undefined ? this.#reads.route(snapshot.server, asked.reads) : undefined;
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
    if (this.#transaction !== undefined) return new TransactionScope(this.#transaction, input, { temporaryTables: false, names: this.#transaction.names });
    const begin: Begin = (modes, order) => this.#begin(snapshot, modes, { order });
    const pool = new PoolScope(this.#services.pools, begin, input);
    if (this.#settings.isEmpty && !this.#pinned.isHeld) return pool;
    return new SettingsScope(pool, { pinned: this.#pinned, settings: this.#settings.nodeTexts, begin, modes: () => this.#withDefaults('') });
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
    await this.#start(modes, { consistent: true, signal });
  }

  async rollback(): Promise<void> {
    const transaction = this.#transaction;
    if (transaction === undefined) return;
    await this.#cursors.endTransaction('rollback');
    this.#leave();
    this.#settings.rollback();
    await transaction.rollback();
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
      if (this.#implicit) await this.rollback();
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
    else if (this.#transaction === undefined && !('TransactionStmt' in node)) {
      await this.#start('');
      this.#implicit = true;
    }
  }

  /** Resolves to the token of what was committed, if one is collected. */
  async commitImplicit(): Promise<string | undefined> {
    return this.#implicit ? (await this.#commit()).readToken : undefined;
  }

  /** Something about the transaction went wrong that is no statement's error: nothing but its end is accepted. */
  fail(): void {
    if (this.#transaction !== undefined) this.#failed = true;
  }

  /** Whether a transaction is open that is not the caller's own. */
  get isImplicit(): boolean {
    return this.#implicit;
  }

  /** One statement of a text. */
  run(statement: Statement, query: SessionQuery): Promise<QueryResult> {
    if ('TransactionStmt' in statement.node) return this.#transactionStatement(statement, statement.node.TransactionStmt);
    if (this.#failed) return Promise.reject(transactionAborted());
    return this.#runInBlock(statement, query) ?? withinTime(this.#services.statementTimeoutMs, query.signal, (signal) => this.#workStatement(statement, { ...query, signal }));
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
      return withinTime(this.#services.statementTimeoutMs, undefined, run).catch((error: unknown) => this.afterBrief(error, statement, query));
    } catch (error) {
      // Planning throws at once: a distribution value that cannot be read.
      return this.afterBrief(error, statement, query);
    }
  }

  /** In a transaction block, a statement that was planned before and of which nothing but its result comes, without the detours of others. Undefined where there is more to it. Rejects as `run` does. */
  #runInBlock(statement: Statement, query: SessionQuery): Promise<QueryResult> | undefined {
    const snapshot = this.#services.store.current();
    if (this.#transaction === undefined || this.#hasOneSnapshot || this.#ownSnapshot !== undefined || snapshot === undefined) return undefined;
    const prepared = this.#planner.known(statement, snapshot);
    if (prepared === undefined || !isOfRows(prepared.plan) || changesSession.test(statement.text)) return undefined;
    const run = (signal: AbortSignal | undefined): Promise<QueryResult> => runStatement(prepared, query.values ?? [], this.#context(snapshot, signal), query);
    try {
      return withinTime(this.#services.statementTimeoutMs, query.signal, run).catch((error: unknown) => this.#failInBlock(error, prepared, query.signal));
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
      this.#failed = true;
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
    return this.#transaction === undefined && this.#settings.isEmpty && !this.#pinned.isHeld;
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
      if ('VariableSetStmt' in node) return await this.#set(statement, node.VariableSetStmt, query.signal);
      const shown = citusSettingShown(node);
      if (shown !== undefined) return await this.#show(shown, query);
      if ('ConstraintsSetStmt' in node && this.#transaction !== undefined) return await this.#setConstraints(statement, node.ConstraintsSetStmt.constraints ?? []);
      if ('DiscardStmt' in node) return await this.#discard(statement, node.DiscardStmt.target);
      const answered = (await this.#cursorStatement(statement, query)) ?? (await this.#preparing(statement));
      if (answered !== undefined) return answered;
      const executed = await this.#executed(statement, query);
      return await (executed === undefined ? this.#work(statement, query) : this.#run(executed.statement, { ...query, values: executed.values }));
    } catch (error) {
      if (this.#transaction === undefined || error instanceof ResultTooLong) throw error;
      this.#failed = true;
      throw transactionLost(this.#services.pools, error);
    }
  }

  async #work(statement: Statement, query: SessionQuery): Promise<QueryResult> {
    const result = await this.#run(statement, query);
    if (/set_config/i.test(statement.text)) await this.#adopt(settingsMade(statement.node, query.values ?? [], valuesOf(result)));
    // What was taken before is of no use any more. Sequences know no transactions.
    else if (/setval/i.test(statement.text)) for (const taken of [this.#services.sequences, this.#ownSequences]) taken.forget();
    return result;
  }

  /** PREPARE and DEALLOCATE. */
  async #preparing(statement: Statement): Promise<QueryResult | undefined> {
    const { node } = statement;
    if (!('PrepareStmt' in node) && !('DeallocateStmt' in node)) return undefined;
    await this.#keepConnection();
    if ('DeallocateStmt' in node) await this.#onCoordinator((connection) => this.#prepared.deallocate(connection, statement, node.DeallocateStmt.name));
    else {
      const inner = preparedStatement(statement, node.PrepareStmt.query);
      const plan = (await this.#plannedComputed(inner, undefined))?.plan;
      const computed = plan?.kind === 'computed' ? plan : undefined;
      await this.#onCoordinator((connection) => this.#prepared.prepare(connection, statement, node.PrepareStmt, { inner, computed }));
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
    return this.#prepared.executed(statement, values, (work) => this.#onCoordinator(work));
  }

  /** Whether the coordinator database runs the statement as it is, and the session need not know of what it does. */
  async #isOfCoordinator(statement: Statement): Promise<boolean> {
    if (/set_config|setval/i.test(statement.text)) return false;
    const plan = await this.prepare(statement).then((prepared) => prepared.plan, () => undefined);
    return plan?.kind === 'coordinator' && plan.text === statement.text;
  }

  /** DECLARE, FETCH, MOVE and CLOSE of cursors over distributed tables; undefined for all else, which the coordinator database does. */
  async #cursorStatement(statement: Statement, query: SessionQuery): Promise<QueryResult | undefined> {
    const { node } = statement;
    if ('DeclareCursorStmt' in node) return this.#declare(declaredQuery(statement, node.DeclareCursorStmt), query);
    if ('FetchStmt' in node && this.#cursors.has(node.FetchStmt.portalname ?? '')) return this.#cursors.fetch(node.FetchStmt, query);
    if (!('ClosePortalStmt' in node)) return undefined;
    const { portalname } = node.ClosePortalStmt;
    if (portalname === undefined) await this.#cursors.closeAll();
    return portalname !== undefined && this.#cursors.has(portalname) ? this.#cursors.close(portalname) : undefined;
  }

  async #declare(cursor: DeclaredQuery, { values = [], signal }: SessionQuery): Promise<QueryResult | undefined> {
    const { name, query: declared, scrolls, held, binary } = cursor;
    const computed = await this.#plannedComputed(declared, signal);
    if (computed !== undefined) return this.#declareComputed(cursor, computed, { values, signal, text: declared.text });
    const prepared = await this.#plannedSelect(declared, signal);
    if (prepared === undefined) return undefined;
    const { plan } = prepared;
    this.#cursors.checkFree(name);
    if (plan.locks) checkLocking(cursor);
    if (binary) throw new ClusterError('unsupportedQuery', 'a cursor over distributed tables gives no binary rows', { hint: 'Leave out BINARY.' });
    if (!held && (this.#transaction === undefined || this.#implicit)) throw outsideBlock('DECLARE CURSOR');
    const batches = this.#batchesOf(prepared, values);
    const rows = held || scrolls ? new KeptRows(await keptRows(batches(signal), name)) : await ForwardRows.open(batches, signal);
    this.#cursors.declare(name, { fields: await this.#fieldsOf(prepared), rows, held });
    return tagged('DECLARE');
  }

  /** Of what the cluster computes there are few rows: all are kept. */
  async #declareComputed({ name, held }: DeclaredQuery, prepared: PreparedPlan, { values = [], signal }: SessionQuery): Promise<QueryResult> {
    if (!held && (this.#transaction === undefined || this.#implicit)) throw outsideBlock('DECLARE CURSOR');
    const { rows, fields } = await runStatement(prepared, values, this.#context(prepared.snapshot, signal), { rowMode: 'array', types: textTypes });
    this.#cursors.declare(name, { fields, rows: new KeptRows(rows as readonly RawRow[]), held });
    return tagged('DECLARE');
  }

  /** The plan of a query whose rows the cluster computes, at least in part. */
  async #plannedComputed(statement: Statement, signal: AbortSignal | undefined): Promise<PreparedPlan | undefined> {
    if (!asksTheCluster(statement)) return undefined;
    const prepared = await this.#planner.plan(statement, this.#ownSnapshot ?? (await this.#services.store.load({ signal })));
    return prepared.plan.kind === 'computed' ? prepared : undefined;
  }

  /** The plan of a query over distributed or reference tables; undefined for all else. */
  async #plannedSelect(statement: Statement, signal: AbortSignal | undefined): Promise<PlannedSelect | undefined> {
    const known = this.#ownSnapshot ?? (await this.#services.store.load({ signal }));
    const prepared = await this.#planner.plan(statement, known);
    this.#checkPlacements(prepared);
    const { plan, snapshot } = prepared;
    return plan.kind === 'select' ? { statement, plan, snapshot } : undefined;
  }

  /** Reads in parts, beside other statements of the transaction. */
  #batchesOf({ plan, snapshot }: PlannedSelect, values: readonly unknown[]): (signal: AbortSignal | undefined) => AsyncIterable<readonly RawRow[]> {
    const how = { options: this.#services.options, host: anyNode(plan, { scope: this.scope(snapshot, undefined), nextNode: () => this.#services.nextNode() }) };
    return (signal) => selectedRows(this.scope(snapshot, signal), { plan, values }, how);
  }

  async #fieldsOf({ statement, snapshot }: PlannedSelect): Promise<readonly FieldDescriptor[]> {
    return fieldsOf((await this.#planner.describer(snapshot).statement(statement.text)).columns);
  }

  /**
   * Opens a statement, in a transaction, so that its rows can be fetched in parts between other statements: a cursor without DECLARE, which ends with the transaction. One that is no query is run whole. Rows are text.
   * Resolves to the command of its tag.
   */
  async openPortal(name: string, statement: Statement, query: SessionQuery): Promise<string> {
    if (this.#failed) throw transactionAborted();
    try {
      const selected = readsOrWrites(statement.node) ? await this.#plannedSelect(statement, query.signal) : undefined;
      if (selected === undefined && (await this.#openCoordinatorCursor(name, statement, query))) return 'SELECT';
      const result = selected === undefined ? await this.run(statement, { ...query, rowMode: 'array', types: textTypes }) : undefined;
      const rows = result !== undefined ? new KeptRows(result.rows) : await ForwardRows.open(this.#batchesOf(present(selected), query.values ?? []), query.signal);
      const fields = result !== undefined ? result.fields : await this.#fieldsOf(present(selected));
      await this.#cursors.close(name);
      this.#cursors.declare(name, { fields, rows, held: false });
      return result?.command ?? 'SELECT';
    } catch (error) {
      this.#failed = this.#transaction !== undefined;
      throw error;
    }
  }

  /** Whether it is a query that the coordinator database answers alone: its rows are there until they are fetched. */
  async #openCoordinatorCursor(name: string, statement: Statement, { values = [], signal }: SessionQuery): Promise<boolean> {
    const transaction = this.#transaction;
    if (transaction === undefined || !('SelectStmt' in statement.node)) return false;
    const prepared = await this.prepare(statement);
    const text = cursorText(prepared.plan, statement);
    if (text === undefined) return false;
    const connection = await transaction.join(coordinatorNodeId, prepared.plan.kind === 'coordinator' && prepared.plan.effect === 'read' ? 'read' : 'write', { signal });
    await this.#cursors.close(name);
    const rows = await CoordinatorCursor.open(connection, { name, text, values }, signal);
    if (prepared.readsLocalTables) await checkLocalTables(this.scope(prepared.snapshot, signal));
    this.#cursors.declare(name, { fields: [], rows, held: false });
    return true;
  }

  /** The next rows of a portal: fewer than asked for when there are no more. Throws 34000 when its transaction is over. */
  async fetchPortal(name: string, rowsMax: number, signal: AbortSignal | undefined): Promise<readonly RawRow[]> {
    if (this.#failed) throw transactionAborted();
    try {
      return await this.#cursors.next(name, rowsMax, signal);
    } catch (error) {
      this.#failed = this.#transaction !== undefined;
      throw error;
    }
  }

  async closePortal(name: string): Promise<void> {
    await this.#cursors.close(name);
  }

  /**
   * Parameter types and columns of a statement, which is not run: as the coordinator database says for its shells, with its errors. `types`: OIDs of leading parameters, 0 for one to infer. `values` in the
   * statement are text where nothing says what they are.
   */
  async shape(statement: Statement, types: readonly number[]): Promise<StatementShape> {
    const { node } = statement;
    if ('TransactionStmt' in node) return { parameterTypes: [], fields: [] };
    if (this.#failed) throw transactionAborted();
    const shown = citusSettingShown(node);
    if (shown !== undefined) return this.shape(shown, []);
    const cursor = 'FetchStmt' in node ? this.#cursors.fieldsOf(node.FetchStmt.portalname ?? '') : undefined;
    if (cursor !== undefined) return { parameterTypes: [], fields: cursor };
    try {
      const snapshot = this.#ownSnapshot ?? (await this.#services.store.load());
      const computed = await this.#plannedComputed(statement, undefined).catch((error: unknown) => {
        if (error instanceof ClusterError && error.id === 'invalidParameter') throw error;
        return undefined;
      });
      if (computed !== undefined) return await this.#shapeOfComputed(computed, types, snapshot);
      return await this.#planner.shapeOf(statement, types, snapshot).catch((error: unknown) => this.#shapeOfUtility(statement, snapshot, error));
    } catch (error) {
      this.#failed = this.#transaction !== undefined;
      throw error;
    }
  }

  /** As the statement that is left without what the cluster computes, of whose parameters the caller knows some. */
  async #shapeOfComputed({ plan, statement }: PreparedPlan, types: readonly number[], snapshot: CatalogSnapshot): Promise<StatementShape> {
    assert(plan.kind === 'computed', 'another plan');
    const { parameterTypes, fields } = await this.#planner.shape(plan.statement.text, plan.numbers.map((number) => types[number - 1] ?? 0), snapshot);
    const typeOf = (number: number): number => (plan.numbers.includes(number) ? (parameterTypes[plan.numbers.indexOf(number)] ?? textOid) : textOid);
    return { parameterTypes: parameterNumbers(statement.node).map(typeOf), fields };
  }

  /** The coordinator database knows none of the cluster's own functions, but what is in their places. */
  async #shapeOfUtility(statement: Statement, snapshot: CatalogSnapshot, error: unknown): Promise<StatementShape> {
    if (sqlStateOf(error) !== '42883' && sqlStateOf(error) !== '42P01') throw error;
    const { plan } = await this.#planner.plan(statement, snapshot).catch(() => Promise.reject(error));
    if (plan.kind === 'coordinator' && plan.text !== statement.text) return this.#planner.shape(plan.text, [], snapshot);
    if (plan.kind !== 'utility') throw error;
    return { parameterTypes: parameterNumbers(statement.node).map(() => textOid), fields: [utilityField(plan)] };
  }

  /** Has the coordinator database read values in the session's state, as Bind does: rejects with its words for the first that is none of its type. `types`: OIDs. */
  async readValues(types: readonly number[], values: readonly (string | null)[]): Promise<void> {
    const isPlain = this.#isPlain;
    try {
      const names = await this.typeNames(types);
      const query = { text: `SELECT ${names.map((name, i) => `$${i + 1}::${name ?? 'pg_catalog.text'}`).join(', ')} WHERE false`, values };
      await (isPlain ? this.#services.pools.get(coordinatorNodeId).query(query) : this.#onCoordinator((connection) => connection.query(query)));
    } catch (error) {
      this.#failed = this.#transaction !== undefined;
      throw error;
    }
  }

  /** Names of types, as they are written in casts; undefined for 0. */
  async typeNames(oids: readonly number[]): Promise<(string | undefined)[]> {
    const snapshot = this.#ownSnapshot ?? (await this.#services.store.load());
    const names = await this.#planner.describer(snapshot).typeNames(oids.filter((oid) => oid !== 0));
    return oids.map((oid) => (oid === 0 ? undefined : names.shift()));
  }

  /**
   * Whether a query that was run may be run a second time: it has no effects. Only tables of the cluster and the system's are looked at, and functions by what the server says of them; whatever else it reads might do
   * anything, as a view of a function's.
   */
  async mayRunTwice(statement: Statement): Promise<boolean> {
    return this.#planner.mayRunTwice(statement, this.#ownSnapshot ?? (await this.#services.store.load()));
  }

  /** COPY … FROM STDIN of a table; resolves to the number of rows. All or nothing. */
  async copyIn(statement: Statement, source: CopySource, signal: AbortSignal | undefined): Promise<number> {
    const { rowCount } = await this.#copying(signal, (snapshot, searchPath, limited) => this.writing(snapshot, async (routing) => {
      return { rowCount: await runCopyIn(statement, source, { context: this.#context(snapshot, limited, routing), searchPath }) };
    }));
    return rowCount;
  }

  /** COPY … TO STDOUT of a table or a query. `take` is given each chunk. */
  async copyOut(statement: Statement, take: (chunk: Uint8Array) => Promise<void> | void, signal: AbortSignal | undefined): Promise<void> {
    await this.#copying(signal, async (snapshot, searchPath, limited) => {
      const chunks = this.copiedRows(snapshot, {}, (routing) => {
        const context = this.#context(snapshot, limited);
        const planned = async (query: Statement): Promise<PlannedQuery> => plannedCopy(await this.prepare(query), (how) => this.#context(snapshot, limited, how), routing);
        return runCopyOut(statement, { context, reading: this.#context(snapshot, limited, routing), searchPath, planned });
      });
      for await (const chunk of chunks) await take(chunk);
    });
  }

  async #copying<T>(given: AbortSignal | undefined, work: (snapshot: CatalogSnapshot, searchPath: readonly string[], signal: AbortSignal | undefined) => Promise<T>): Promise<T> {
    if (this.#failed) throw transactionAborted();
    const snapshot = await this.newEnough(this.#ownSnapshot ?? (await this.#services.store.load({ signal: given })), { signal: given });
    try {
      const searchPath = await this.#planner.searchPath(snapshot);
      return await withinTime(this.#services.statementTimeoutMs, given, (signal) => work(snapshot, searchPath, signal));
    } catch (error) {
      this.#failed = this.#transaction !== undefined;
      throw withLogicalNames(error, snapshot);
    }
  }

  async #run(statement: Statement, query: SessionQuery): Promise<QueryResult> {
    const { store } = this.#services;
    const snapshot = this.#ownSnapshot ?? (await store.load({ signal: query.signal }));
    try {
      return await this.#runWhereItIs(statement, query, await this.newEnough(snapshot, query));
    } catch (error) {
      throw await positionedError(error, statement.text, this.#planner.describerOfErrors(this.#transaction !== undefined));
    }
  }

  /** The catalog by which a statement outside of blocks is planned: whoever has written by a newer one than this process knows may have written elsewhere. */
  async newEnough(snapshot: CatalogSnapshot, { reads, signal }: Pick<SessionQuery, 'reads' | 'signal'> = {}): Promise<CatalogSnapshot> {
    const route = this.#transaction === undefined ? this.#reads.route(snapshot.server, reads) : undefined;
    return route === undefined || route.catalogVersion <= snapshot.version ? snapshot : this.#services.store.refresh({ signal });
  }

  #routeOf({ plan, snapshot }: PreparedPlan, { reads }: Pick<SessionQuery, 'reads'>): ReadRoute | undefined {
    return this.#transaction === undefined && mayReadOnReplicas(plan) ? this.#reads.route(snapshot.server, reads) : undefined;
  }

  /** A shard that a replica misses is there on the primary perhaps: so it is not waited for. */
  #readsOnlyReplicas({ server }: CatalogSnapshot, { reads }: Pick<SessionQuery, 'reads'>): boolean {
    return this.#transaction === undefined && this.#reads.route(server, reads)?.from === 'replica';
  }

  #routedBy(route: ReadRoute | undefined, { server, version }: CatalogSnapshot): RoutedBy {
    const committed = this.#transaction === undefined ? this.#reads.collect(server) : undefined;
    return { route, committed, writes: this.#services.writes, session: this.#reads.seen, catalogVersion: version };
  }

  /** A statement that finds a shard missing is planned by the newest catalog and run again, outside a transaction. */
  async #runWhereItIs(statement: Statement, query: SessionQuery, known: CatalogSnapshot): Promise<QueryResult> {
    const patience = new StalePatience();
    for (let snapshot = known; ;) {
      try {
        return await this.#runOnce(statement, query, snapshot);
      } catch (error) {
        if (this.#transaction !== undefined) throw await this.#nameInBlock(error, statement, { snapshot, signal: query.signal });
        const isMissing = missesShard(error, snapshot, statement.text) && !this.#readsOnlyReplicas(snapshot, query);
        const named = withLogicalNames(error, snapshot);
        if (!mayBeStale(error)) throw named;
        const fresh = await this.#services.store.refresh({ signal: query.signal });
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
    if (!mayBeStale(error) || this.#ownSnapshot !== undefined) return named;
    await this.#services.store.refresh({ signal });
    return missesShard(error, snapshot, text) ? changedMeanwhile(named) : named;
  }

  async #runOnce(statement: Statement, query: SessionQuery, known: CatalogSnapshot): Promise<QueryResult> {
    const planned = this.#planner.known(statement, known) ?? (await orAborted(this.#planner.plan(statement, known), query.signal));
    if (planned.plan.kind === 'made_by_query') return this.#makeAndFill(planned.plan, query);
    const prepared = planned.plan.kind === 'definition' ? await this.#withOwnCatalog(statement, planned) : planned;
    const { plan, snapshot } = prepared;
    this.#checkPlacements(prepared);
    if (this.#transaction !== undefined && locksTables(plan, statement.node)) this.#locksTables = true;
    if (this.#transaction !== undefined && locksSequences(plan, statement.node)) this.#takeOwnValues();
    if ((plan.kind === 'coordinator' || plan.kind === 'computed') && leavesState(statement.node, statement.text)) await this.#keepConnection();
    const running = runRouted(this.#routedBy(this.#routeOf(prepared, query), snapshot), (routing) => runStatement(prepared, query.values ?? [], this.#context(snapshot, query.signal, routing), { rowMode: query.rowMode, types: query.types, name: query.name, wholeBytesMax: query.wholeBytesMax }));
    const isVerbatim = plan.kind === 'coordinator' && plan.text === statement.text;
    const result = await (isVerbatim ? running.catch((error: unknown) => Promise.reject(rightlyPositioned(error))) : running);
    if (changesCatalog(plan)) await this.#readChangedCatalog(snapshot);
    return result;
  }

  /** Both statements are one transaction, or a part of that of the session. */
  async #makeAndFill({ create, insert, created }: MadeByQueryPlan, query: SessionQuery): Promise<QueryResult> {
    return this.#inTransaction(query.signal, async () => {
      const exists = await this.#onCoordinator((connection) => isThere(connection, created));
      const made = await this.#run(parseOne(create), query);
      return exists ? made : { ...(await this.#run(parseOne(insert), query)), command: 'SELECT', oid: made.oid };
    });
  }

  /** In a transaction block a change of definitions cannot be tried again by a newer catalog: it is planned by the one that stays until the block ends. */
  async #withOwnCatalog(statement: Statement, prepared: PreparedPlan): Promise<PreparedPlan> {
    if (this.#transaction === undefined) return prepared;
    const coordinator = await this.#transaction.join(coordinatorNodeId, 'write');
    const version = await lockVersion({ coordinator: await admitted(coordinator) });
    if (version === prepared.snapshot.version) return prepared;
    await this.#readChangedCatalog(prepared.snapshot);
    return this.#planner.plan(statement, present(this.#ownSnapshot));
  }

  /** The first catalog by which a transaction with one snapshot runs a statement is the one that its snapshot goes with. */
  #checkPlacements({ plan, snapshot }: PreparedPlan): void {
    if (this.#transaction === undefined || !this.#hasOneSnapshot) return;
    this.#firstCatalog ??= snapshot;
    checkPlacements(plan, { first: this.#firstCatalog, now: snapshot, hasOwn: this.#ownSnapshot !== undefined });
  }

  #context(snapshot: CatalogSnapshot, signal: AbortSignal | undefined, routing?: Routing): RunContext {
    const { hotTexts, load, options, objects, statistics, ddlLockTimeoutMs, distributesSchemas } = this.#services;
    const sequences = this.#ownSnapshot === undefined && !this.#locksSequences ? this.#services.sequences : this.#ownSequences;
    return {
      scope: this.scope(snapshot, signal, routing), sequences, hotTexts, load, options, objects, statistics, ddlLockTimeoutMs, distributesSchemas,
      nextNode: () => this.#services.nextNode(),
      clients: () => this.#services.clients(),
      utility: (run) => this.#utility(run, snapshot),
    };
  }

  /** One of the cluster's own functions. What a role may do itself is done by its own connections, so in a transaction of the session. */
  async #utility(run: UtilityRun, snapshot: CatalogSnapshot): Promise<UtilityValue> {
    const { name } = run.call;
    const canBePart = blockUtilities.has(name);
    if (this.#transaction !== undefined && !canBePart && !readingUtilities.has(name)) {
      throw new ClusterError('unsupportedDdl', `${name}() cannot run inside a transaction block yet`, { sqlState: '25001', hint: 'Commit first.' });
    }
    const given = distributingUtilities.has(name) ? { ...run, shardCount: await this.#setShardCount(snapshot) } : run;
    if (!canBePart || (this.#transaction === undefined && (await this.#actsForAll()))) return this.#services.utility(given);
    return this.#inTransaction(run.signal, (transaction) => this.#services.utility({ ...given, within: { transaction, lockTimeoutMs: this.#services.ddlLockTimeoutMs } }));
  }

  async #actsForAll(): Promise<boolean> {
    const { actsForAll } = this.#services;
    return actsForAll === undefined || actsForAll();
  }

  /** In the session's transaction, or in one of its own. */
  async #inTransaction<T>(signal: AbortSignal | undefined, work: (transaction: SessionTransaction) => Promise<T>): Promise<T> {
    if (this.#transaction !== undefined) return work(this.#transaction);
    const transaction = await this.#start('', { signal });
    this.#implicit = true;
    try {
      const result = await work(transaction);
      await this.#commit();
      return result;
    } catch (error) {
      await this.rollback();
      throw error;
    }
  }

  /** `citus.shard_count`, of the session or of its database or role. */
  async #setShardCount({ server }: CatalogSnapshot): Promise<number | undefined> {
    if (!this.#settings.has(/^citus\.shard_count$/)) return shardCountOf(server.sessionSettings['citus.shard_count']);
    const { rows } = await this.#onCoordinator((connection) => connection.query({ text: `SELECT pg_catalog.current_setting('citus.shard_count', true)` }));
    return shardCountOf(rows[0]?.[0] ?? undefined);
  }

  async #readChangedCatalog({ server }: CatalogSnapshot): Promise<void> {
    const { store } = this.#services;
    if (this.#transaction === undefined) await store.refreshIfOld();
    else {
      const coordinator = await this.#transaction.join(coordinatorNodeId, 'read');
      this.#ownSnapshot = { ...(await readSnapshot(coordinator, { known: store.current() })), server };
    }
  }

  /** The statement may leave something behind in its server session, so the session keeps the connection. */
  async #keepConnection(): Promise<void> {
    await this.#onCoordinator(() => Promise.resolve());
    this.#pinned.keepBorrowed();
  }

  /** The session's connection to the coordinator database, or its transaction's. */
  async #onCoordinator<T>(work: (connection: NodeConnection) => Promise<T>): Promise<T> {
    return this.#transaction === undefined ? this.#pinned.use(work) : work(await this.#transaction.join(coordinatorNodeId, 'read'));
  }

  async #transactionStatement(statement: Statement, transaction: TransactionStmt): Promise<QueryResult> {
    switch (transaction.kind) {
      case 'TRANS_STMT_BEGIN':
      case 'TRANS_STMT_START':
        await this.#beginBlock(modesOf(transaction));
        return tagged(transaction.kind === 'TRANS_STMT_BEGIN' ? 'BEGIN' : 'START');
      case 'TRANS_STMT_COMMIT':
        return this.#end(transaction, 'COMMIT');
      case 'TRANS_STMT_ROLLBACK':
        return this.#end(transaction, 'ROLLBACK');
      case 'TRANS_STMT_SAVEPOINT':
      case 'TRANS_STMT_RELEASE':
      case 'TRANS_STMT_ROLLBACK_TO':
        return this.#savepoint(statement, transaction);
      default:
        throw new ClusterError('unsupportedQuery', 'two-phase commit statements are the cluster\'s own', {
          detail: 'The cluster prepares and commits transactions on its nodes by itself.', hint: 'Use COMMIT.',
        });
    }
  }

  async #beginBlock(modes: string): Promise<void> {
    if (this.#transaction === undefined) {
      await this.#start(modes);
      return;
    }
    if (this.#failed) throw transactionAborted();
    if (!this.#implicit) {
      this.#notice('WARNING', '25001', 'there is already a transaction in progress');
      return;
    }
    // What ran before in the same text becomes a part of the block.
    this.#implicit = false;
    this.#modes = modes;
    this.#hasOneSnapshot ||= hasOneSnapshot(modes);
    if (modes === '') return;
    await this.#transaction.broadcast(`SET TRANSACTION ${modes}`);
    this.#transaction.hasModes(modes);
    await this.#snapshotAfter(modes);
  }

  async #start(modes: string, { consistent = false, signal }: { readonly consistent?: boolean; readonly signal?: AbortSignal | undefined } = {}): Promise<SessionTransaction> {
    const snapshot = await this.newEnough(await this.#services.store.load({ signal }), { signal });
    const all = this.#settings.isEmpty ? modes : await this.#withDefaults(modes);
    const level = `ISOLATION LEVEL ${/isolation/i.test(all) ? '' : (snapshot.server.sessionSettings['default_transaction_isolation'] ?? '')}`;
    const takesNow = consistent || (hasOneSnapshot(all) && this.#settings.has(consistentSnapshots) && (await this.#pinned.use(wantsConsistentSnapshots)));
    const reads = !takesNow && canBeOnReplicas(`${all} ${level}`) ? this.#reads.route(snapshot.server) : undefined;
    const transaction = new SessionTransaction(this.#begin(snapshot, all, { order: 'first_alone', reads }), this.#settings.texts);
    if (takesNow) {
      refuseDeferrable(all);
      await takenOrOver(transaction, signal);
    }
    this.#modes = modes;
    this.#chainedModes = '';
    this.#consistent = consistent;
    this.#hasOneSnapshot = hasOneSnapshot(`${all} ${level}`);
    this.#firstCatalog = takesNow ? snapshot : undefined;
    this.#settings.begin();
    this.#transaction = transaction;
    this.#implicit = false;
    this.#failed = false;
    return transaction;
  }

  async #withDefaults(modes: string): Promise<string> {
    if (!this.#settings.has(/^default_transaction_|^session characteristics$/)) return modes;
    return this.#pinned.use((connection) => withDefaultModes(connection, modes));
  }

  async #readModes(): Promise<void> {
    this.#modes = await this.#onCoordinator(currentModes);
    this.#hasOneSnapshot = hasOneSnapshot(this.#modes);
    this.#transaction?.hasModes(this.#modes);
  }

  /** SET TRANSACTION has made the block one that takes a consistent snapshot, if the session wants those. */
  async #snapshotAfter(modes: string, signal?: AbortSignal): Promise<void> {
    const transaction = present(this.#transaction);
    if (!hasOneSnapshot(modes) || !this.#settings.has(consistentSnapshots)) return;
    try {
      if (!(await wantsConsistentSnapshots(await transaction.join(coordinatorNodeId, 'read')))) return;
      refuseDeferrable(modes);
      this.#firstCatalog ??= await this.#services.store.load({ signal });
      // The modes have to reach all servers first.
      await Promise.all(this.#services.pools.nodeIds.map((node) => transaction.join(node, 'read', { signal })));
      await transaction.takeSnapshot({ signal });
    } catch (error) {
      this.#failed = true;
      throw error;
    }
  }

  #begin(snapshot: CatalogSnapshot, modes: string, how: Pick<BeginOptions, 'order' | 'reads'>): ReturnType<typeof beginTransaction> {
    return beginTransaction(this.#pinned.poolsForTransaction, { clusterId: snapshot.clusterId, modes, watch: this.#services.deadlocks, ...how });
  }

  async #end(statement: TransactionStmt, command: 'COMMIT' | 'ROLLBACK'): Promise<QueryResult> {
    if (this.#transaction === undefined || this.#implicit) {
      if (statement.chain === true) throw outsideBlock(`${command} AND CHAIN`);
      this.#notice('WARNING', '25P01', 'there is no transaction in progress');
    }
    const commits = command === 'COMMIT' && !this.#failed;
    if (this.#transaction === undefined) return tagged(command);
    // A failed transaction has lost the modes that it was given itself, unless only what is behind a savepoint has failed.
    const modes = this.#failed && !this.#settings.hasSavepoints ? this.#chainedModes : this.#modes;
    const result = commits ? await this.#commit() : tagged('ROLLBACK');
    if (!commits) await this.rollback();
    if (statement.chain === true) {
      await this.#start(modes, { consistent: this.#consistent });
      this.#chainedModes = modes;
    }
    return result;
  }

  async #commit(): Promise<QueryResult & WithReadToken> {
    const transaction = present(this.#transaction);
    await this.#cursors.endTransaction('commit');
    const changesCatalog = this.#ownSnapshot !== undefined;
    this.#leave();
    const snapshot = this.#services.store.current();
    const committed = snapshot === undefined ? undefined : this.#reads.collect(snapshot.server);
    try {
      await transaction.commit({ committed, onNotice: this.#onNotice }).catch((error: unknown) => Promise.reject(transactionLost(this.#services.pools, error)));
      this.#settings.commit();
      if (changesCatalog) await this.#services.store.refresh();
      if (committed === undefined) return tagged('COMMIT');
      return await this.#services.writes.note(tagged('COMMIT'), { committed, catalogVersion: this.#services.store.current()?.version ?? 0, session: this.#reads.seen });
    } catch (error) {
      this.#settings.rollback();
      throw snapshot === undefined ? error : withLogicalNames(error, snapshot);
    }
  }

  /** What was taken before means nothing any more. */
  #takeOwnValues(): void {
    this.#locksSequences = true;
    for (const taken of [this.#services.sequences, this.#ownSequences]) taken.forget();
  }

  #leave(): void {
    // SET LOCAL ends with its transaction, and SET if it is rolled back.
    if (this.#transaction?.changedSettings === true) this.#planner.outdate();
    this.#transaction = undefined;
    this.#ownSnapshot = undefined;
    this.#locksTables = false;
    if (this.#locksSequences) this.#services.sequences.forget();
    this.#locksSequences = false;
    this.#ownSequences.forget();
    this.#implicit = false;
    this.#failed = false;
  }

  async #savepoint(statement: Statement, { kind, savepoint_name: name = '' }: TransactionStmt): Promise<QueryResult> {
    const command = kind === 'TRANS_STMT_SAVEPOINT' ? 'SAVEPOINT' : kind === 'TRANS_STMT_RELEASE' ? 'RELEASE' : 'ROLLBACK';
    const transaction = this.#transaction;
    try {
      if (transaction === undefined || this.#implicit) throw outsideBlock(command === 'ROLLBACK' ? 'ROLLBACK TO SAVEPOINT' : command === 'RELEASE' ? 'RELEASE SAVEPOINT' : 'SAVEPOINT');
      if (this.#failed && command !== 'ROLLBACK') throw transactionAborted();
      await transaction.join(coordinatorNodeId, 'read');
      await (command === 'ROLLBACK' ? transaction.rollbackTo(statement.text) : transaction.broadcast(statement.text));
    } catch (error) {
      this.#failed = this.#transaction !== undefined;
      throw error;
    }
    if (command === 'SAVEPOINT') {
      this.#settings.savepoint(name);
      this.#cursors.savepoint(name);
    } else if (command === 'RELEASE') {
      this.#settings.release(name);
      this.#cursors.release(name);
    } else {
      this.#settings.rollbackTo(name);
      await this.#cursors.rollbackTo(name);
      if (transaction.changedSettings) {
        this.#planner.outdate();
        await this.#readModes();
      }
      if (this.#ownSnapshot !== undefined) await this.#readChangedCatalog(this.#ownSnapshot);
      this.#failed = false;
    }
    return tagged(command);
  }

  /** SET and RESET: checked by the coordinator database, remembered, and given to each connection before it is used. */
  async #set(statement: Statement, set: VariableSetStmt, signal: AbortSignal | undefined): Promise<QueryResult> {
    checkConsistentSnapshots(set);
    const name = set.name?.toLowerCase() ?? '';
    const readValue = isReadSetting(name) ? this.#checkedToken(name, readSettingSet(set)) : undefined;
    const tag = tagged(set.kind === 'VAR_RESET' || set.kind === 'VAR_RESET_ALL' ? 'RESET' : 'SET');
    if (set.name === 'TRANSACTION SNAPSHOT') {
      throw new ClusterError('unsupportedQuery', 'SET TRANSACTION SNAPSHOT is not supported', { detail: 'A snapshot is that of one server, and the transaction may read several.' });
    }
    const local = set.is_local === true || (set.kind === 'VAR_SET_MULTI' && set.name !== 'SESSION CHARACTERISTICS');
    const resets = set.kind === 'VAR_RESET' || set.kind === 'VAR_RESET_ALL' || set.kind === 'VAR_SET_DEFAULT';
    const text = resets ? this.#settings.resetting(statement.text, { name: set.kind === 'VAR_RESET_ALL' ? undefined : (set.name ?? '').toLowerCase(), local }) : statement.text;
    const transaction = this.#transaction;
    if (transaction === undefined) {
      await this.#pinned.use((connection) => connection.query({ text, simple: true }, { onNotice: this.#onNotice }));
      if (local) return tag;
    } else {
      const isFirst = set.name === 'TRANSACTION' && transaction.beginWith(text);
      await transaction.join(coordinatorNodeId, 'read');
      if (!isFirst) await transaction.broadcast(text);
      transaction.changedSettings = true;
      if (setsModes(set)) await this.#readModes();
      if (set.name === 'TRANSACTION') await this.#snapshotAfter(text, signal);
    }
    if (set.kind === 'VAR_RESET_ALL') this.#settings.clear();
    else if (local) this.#settings.setLocal(name);
    else this.#settings.set({ name, text, value: readValue });
    this.#planner.outdate();
    if (hasNoEffect(set)) this.#notice('NOTICE', '00000', `setting "${set.name ?? ''}" has no effect in shardwright`);
    return tag;
  }

  #checkedToken(name: string, value: string | undefined): string | undefined {
    const { token } = readSettings((one) => (one === name ? value : undefined));
    if (token !== undefined) this.#services.writes.tokens.parse(token);
    return value;
  }

  /** SET CONSTRAINTS in a block: on every server that joins it. Shards' constraints have other names, so all or those of local tables alone. */
  async #setConstraints({ text }: Statement, named: readonly Node[]): Promise<QueryResult> {
    const transaction = present(this.#transaction);
    const snapshot = await this.#services.store.load();
    const names = named.flatMap((node) => ('RangeVar' in node ? [node.RangeVar.relname ?? ''] : []));
    const isOurs = (name: string): boolean => [...snapshot.tables.values()].some(({ constraints }) => constraints.includes(name));
    if (names.some(isOurs)) {
      throw new ClusterError('unsupportedQuery', 'SET CONSTRAINTS cannot name constraints of distributed or reference tables', { hint: 'Use SET CONSTRAINTS ALL.' });
    }
    const coordinator = await transaction.join(coordinatorNodeId, 'read');
    try {
      // What was written is looked at when the lookups have followed, not before.
      if (names.length === 0) await transaction.broadcast(snapshot.lookups.length === 0 ? text : `${text};\nSET CONSTRAINTS shardwright.lookups_are_kept DEFERRED`);
      else await coordinator.query({ text, simple: true });
    } catch (error) {
      throw withLogicalNames(error, snapshot);
    }
    return tagged('SET');
  }

  /** What set_config has set on the coordinator's connection reaches the others. */
  async #adopt(made: readonly SetConfig[]): Promise<void> {
    const transaction = this.#transaction;
    for (const setting of made) {
      if (transaction !== undefined) {
        await transaction.broadcast(setting.text);
        transaction.changedSettings = true;
        if (/^transaction_/i.test(setting.name)) await this.#readModes();
      } else if (setting.local) continue;
      if (isReadSetting(setting.name)) this.#checkedToken(setting.name, setting.value);
      if (setting.local) this.#settings.setLocal(setting.name);
      else this.#settings.set(setting);
      this.#planner.outdate();
    }
  }

  async #discard({ text }: Statement, target: string | undefined): Promise<QueryResult> {
    if (target !== 'DISCARD_ALL' && target !== undefined) {
      await this.#onCoordinator((connection) => connection.query({ text, simple: true }));
      return tagged('DISCARD');
    }
    if (this.#transaction !== undefined) throw new ClusterError('invalidParameter', 'DISCARD ALL cannot run inside a transaction block', { sqlState: '25001' });
    this.#settings.clear();
    this.#planner.outdate();
    this.#pinned.release();
    this.#prepared.forget();
    await this.#cursors.closeAll();
    return tagged('DISCARD');
  }

  #notice(severity: string, code: string, message: string): void {
    this.#onNotice?.({ severity, code, message });
  }
}

const textOid = 25;

/** Takes the snapshot of a transaction that has just begun; one that cannot have it ends. */
async function takenOrOver(transaction: SessionTransaction, signal: AbortSignal | undefined): Promise<void> {
  try {
    await transaction.takeSnapshot({ signal });
  } catch (error) {
    await transaction.rollback();
    throw error;
  }
}

function tagged(command: string): QueryResult {
  return makeQueryResult({ command, rowCount: null, fields: [], rows: [] });
}

function outsideBlock(command: string): ClusterError {
  return new ClusterError('invalidParameter', `${command} can only be used in transaction blocks`, { sqlState: '25P01' });
}

export function transactionAborted(): ClusterError {
  return new ClusterError('transactionAborted', 'current transaction is aborted, commands ignored until end of transaction block');
}

/** The values of the first row in order of columns, however the caller wants rows. */
function valuesOf({ rows, fields }: QueryResult): readonly unknown[] {
  const row: unknown = rows[0];
  if (Array.isArray(row)) return row;
  return typeof row === 'object' && row !== null ? fields.map(({ name }) => Reflect.get(row, name) as unknown) : [];
}

/** In a transaction block nothing can be run a second time. */
function changedMeanwhile(cause: unknown): ClusterError {
  return new ClusterError('shardMissing', 'tables were changed, or shards moved, by others while the transaction ran', { hint: 'Roll back, and try the transaction again.', cause });
}
