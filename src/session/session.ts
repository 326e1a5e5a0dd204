import type { Node, TransactionStmt, VariableSetStmt } from '@pgsql/types';
import type { QueryResult } from 'pg';
import { at, present } from '../base/assert.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeNotice } from '../cluster/node-connection.ts';
import { makeQueryResult } from '../cluster/query-result.ts';
import { withLogicalNames } from '../execute/logical-names.ts';
import type { ResultOptions, StatementScope } from '../execute/statement-scope.ts';
import { nameParts } from '../sql/ast.ts';
import { loadGrammar, type Statement } from '../sql/parse.ts';
import { beginTransaction } from '../txn/begin-transaction.ts';
import { Describer } from './describer.ts';
import { PinnedCoordinator } from './pinned-pools.ts';
import type { PreparedPlan } from './planner.ts';
import { PoolScope } from './pool-scope.ts';
import { runStatement } from './run-statement.ts';
import type { SessionServices } from './session-services.ts';
import { SessionTransaction } from './session-transaction.ts';
import { positionedError } from './positioned-error.ts';
import { SettingsScope } from './settings-scope.ts';
import { TransactionScope } from './transaction-scope.ts';

export interface SessionQuery extends ResultOptions {
  readonly text: string;
  readonly values?: readonly unknown[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One client's session: its transaction, its settings, its search path. Statements run one at a time; the caller queues them. */
export class Session {
  readonly #services: SessionServices;
  readonly #pinned: PinnedCoordinator;
  readonly #onNotice: ((notice: NodeNotice) => void) | undefined;
  #transaction: SessionTransaction | undefined;
  #failed = false;
  /** SET statements in force outside a transaction; those before the transaction began. */
  #settings: string[] = [];
  #settingsBefore: string[] = [];
  #searchPath: readonly string[] | undefined;
  #modes = '';

  constructor(services: SessionServices, onNotice?: (notice: NodeNotice) => void) {
    this.#services = services;
    this.#onNotice = onNotice;
    this.#pinned = new PinnedCoordinator(services.pools);
  }

  get status(): 'idle' | 'open' | 'failed' {
    return this.#transaction === undefined ? 'idle' : this.#failed ? 'failed' : 'open';
  }

  /** Runs a text of any number of statements: one result, or an array for several, as pg gives them. */
  async query(query: SessionQuery): Promise<QueryResult | QueryResult[]> {
    await loadGrammar();
    const statements = this.#services.planner.statements(query.text);
    const [only] = statements;
    if (only === undefined) return makeQueryResult({ command: null as unknown as string, rowCount: null, fields: [], rows: [] });
    if (statements.length === 1) return this.#statement(only, query);
    if ((query.values?.length ?? 0) > 0) {
      throw new ClusterError('syntaxError', 'cannot insert multiple commands into a prepared statement');
    }
    return this.#several(statements, query);
  }

  /** The statement's plan, under this session's search path. */
  async prepare(statement: Statement): Promise<PreparedPlan> {
    const snapshot = await this.#services.store.load();
    return this.#plan(statement, snapshot);
  }

  /** A scope for the statement that runs next. */
  scope(snapshot: CatalogSnapshot, signal: AbortSignal | undefined): StatementScope {
    const input = { snapshot, signal, onNotice: this.#onNotice };
    if (this.#transaction !== undefined) return new TransactionScope(this.#transaction, input);
    const begin = (): ReturnType<typeof beginTransaction> => this.#begin(snapshot, '');
    const pool = new PoolScope(this.#services.pools, begin, input);
    if (this.#settings.length === 0 && !this.#pinned.isHeld) return pool;
    return new SettingsScope(pool, { pinned: this.#pinned, settings: this.#settings, begin });
  }

  /** Ends the session: rolls back what is open. */
  async end(): Promise<void> {
    await this.rollback();
    this.#pinned.release();
  }

  async rollback(): Promise<void> {
    const transaction = this.#transaction;
    this.#transaction = undefined;
    this.#failed = false;
    await transaction?.rollback();
  }

  /** Several statements of one text are one transaction, unless they say otherwise. */
  async #several(statements: readonly Statement[], query: SessionQuery): Promise<QueryResult[]> {
    const results: QueryResult[] = [];
    const implicit = this.#transaction === undefined && !statements.some(({ node }) => endsImplicit(node));
    if (implicit) await this.#start('');
    try {
      for (const statement of statements) results.push(await this.#statement(statement, query));
      if (implicit) await this.#commit();
    } catch (error) {
      if (implicit) await this.rollback();
      throw error;
    }
    return results;
  }

  async #statement(statement: Statement, query: SessionQuery): Promise<QueryResult> {
    const { node } = statement;
    if ('TransactionStmt' in node) return this.#transactionStatement(statement, node.TransactionStmt);
    if (this.#failed) throw new ClusterError('transactionAborted', 'current transaction is aborted, commands ignored until end of transaction block');
    try {
      if ('VariableSetStmt' in node) return await this.#set(statement, node.VariableSetStmt);
      if ('DiscardStmt' in node) return await this.#discard(node.DiscardStmt.target);
      return await this.#run(statement, query);
    } catch (error) {
      if (this.#transaction !== undefined) this.#failed = true;
      throw error;
    }
  }

  async #run(statement: Statement, query: SessionQuery): Promise<QueryResult> {
    const { store } = this.#services;
    const snapshot = await store.load({ signal: query.signal });
    try {
      return await this.#runOnce(statement, query, snapshot);
    } catch (error) {
      const named = withLogicalNames(error, snapshot);
      if (this.#transaction === undefined && isStale(error)) {
        const fresh = await store.refresh({ signal: query.signal });
        if (fresh.version !== snapshot.version) return this.#runOnce(statement, query, fresh);
      }
      throw await positionedError(named, statement.text, this.#services.pools.get(coordinatorNodeId));
    }
  }

  async #runOnce(statement: Statement, query: SessionQuery, snapshot: CatalogSnapshot): Promise<QueryResult> {
    const prepared = await this.#plan(statement, snapshot);
    const { plan } = prepared;
    if (plan.kind === 'coordinator' && this.#transaction === undefined && leavesState(statement.node, statement.text)) await this.#pinned.connection();
    const { sequences, options } = this.#services;
    const context = {
      scope: this.scope(snapshot, query.signal), sequences, options,
      nextNode: () => this.#services.nextNode(),
      utility: (call: Parameters<SessionServices['utility']>[0], values: readonly unknown[]) => {
        if (this.#transaction !== undefined) {
          throw new ClusterError('unsupportedDdl', `${call.name}() cannot run inside a transaction block yet`, { sqlState: '25001', hint: 'Commit first.' });
        }
        return this.#services.utility(call, values);
      },
    };
    return runStatement(prepared, query.values ?? [], context, { rowMode: query.rowMode, types: query.types, name: query.name });
  }

  #plan(statement: Statement, snapshot: CatalogSnapshot): Promise<PreparedPlan> {
    const { planner, pools, describeMemory } = this.#services;
    const searchPath = this.#searchPath ?? snapshot.server.searchPath;
    const transaction = this.#transaction;
    const own = transaction?.has(coordinatorNodeId) === true;
    const connection = own && transaction !== undefined
      ? {
          describe: async (text: string) => (await transaction.join(coordinatorNodeId, 'read')).describe(text),
          query: async (query: { readonly text: string }) => (await transaction.join(coordinatorNodeId, 'read')).query(query),
        }
      : pools.get(coordinatorNodeId);
    const describe = new Describer(connection, describeMemory, snapshot.server.defaultCollationIsC);
    return planner.plan(statement, { snapshot, searchPath, describe, cache: !own });
  }

  async #transactionStatement(statement: Statement, transaction: TransactionStmt): Promise<QueryResult> {
    switch (transaction.kind) {
      case 'TRANS_STMT_BEGIN':
      case 'TRANS_STMT_START':
        if (this.#transaction === undefined) await this.#start(modesOf(statement.text));
        else this.#notice('WARNING', '25001', 'there is already a transaction in progress');
        return tagged(transaction.kind === 'TRANS_STMT_BEGIN' ? 'BEGIN' : 'START');
      case 'TRANS_STMT_COMMIT':
        return this.#end(transaction, 'COMMIT');
      case 'TRANS_STMT_ROLLBACK':
        return this.#end(transaction, 'ROLLBACK');
      case 'TRANS_STMT_SAVEPOINT':
      case 'TRANS_STMT_RELEASE':
      case 'TRANS_STMT_ROLLBACK_TO':
        return this.#savepoint(statement, transaction.kind);
      default:
        throw new ClusterError('unsupportedQuery', 'two-phase commit statements are the cluster\'s own', {
          detail: 'The cluster prepares and commits transactions on its nodes by itself.', hint: 'Use COMMIT.',
        });
    }
  }

  async #start(modes: string): Promise<void> {
    const snapshot = await this.#services.store.load();
    this.#modes = modes;
    this.#settingsBefore = [...this.#settings];
    this.#transaction = new SessionTransaction(this.#begin(snapshot, modes), this.#settings);
    this.#failed = false;
  }

  #begin(snapshot: CatalogSnapshot, modes: string): ReturnType<typeof beginTransaction> {
    const pools = this.#pinned.isHeld ? this.#pinned.poolsForTransaction() : this.#services.pools;
    return beginTransaction(pools, { clusterId: snapshot.clusterId, modes });
  }

  async #end(statement: TransactionStmt, command: 'COMMIT' | 'ROLLBACK'): Promise<QueryResult> {
    if (this.#transaction === undefined) {
      this.#notice('WARNING', '25P01', 'there is no transaction in progress');
      return tagged(command);
    }
    const commits = command === 'COMMIT' && !this.#failed;
    if (commits) await this.#commit();
    else {
      this.#settings = this.#settingsBefore;
      await this.rollback();
    }
    if (statement.chain === true) await this.#start(this.#modes);
    return tagged(commits ? 'COMMIT' : 'ROLLBACK');
  }

  async #commit(): Promise<void> {
    const transaction = present(this.#transaction);
    this.#transaction = undefined;
    this.#failed = false;
    const snapshot = this.#services.store.current();
    try {
      await transaction.commit();
    } catch (error) {
      this.#settings = this.#settingsBefore;
      throw snapshot === undefined ? error : withLogicalNames(error, snapshot);
    }
  }

  async #savepoint(statement: Statement, kind: TransactionStmt['kind']): Promise<QueryResult> {
    const command = kind === 'TRANS_STMT_SAVEPOINT' ? 'SAVEPOINT' : kind === 'TRANS_STMT_RELEASE' ? 'RELEASE' : 'ROLLBACK';
    const transaction = this.#transaction;
    if (transaction === undefined) {
      throw new ClusterError('invalidParameter', `${command === 'ROLLBACK' ? 'ROLLBACK TO SAVEPOINT' : command === 'RELEASE' ? 'RELEASE SAVEPOINT' : 'SAVEPOINT'} can only be used in transaction blocks`, { sqlState: '25P01' });
    }
    if (this.#failed && command !== 'ROLLBACK') throw new ClusterError('transactionAborted', 'current transaction is aborted, commands ignored until end of transaction block');
    try {
      await transaction.join(coordinatorNodeId, 'read');
      await transaction.broadcast(statement.text);
    } catch (error) {
      this.#failed = true;
      throw error;
    }
    if (command === 'ROLLBACK') this.#failed = false;
    return tagged(command);
  }

  /** SET and RESET: checked by the coordinator database, remembered, and given to each connection before it is used. */
  async #set(statement: Statement, set: VariableSetStmt): Promise<QueryResult> {
    const command = set.kind === 'VAR_RESET' || set.kind === 'VAR_RESET_ALL' ? 'RESET' : 'SET';
    const transaction = this.#transaction;
    if (transaction === undefined) {
      if (set.is_local === true || set.kind === 'VAR_SET_MULTI') {
        if (set.is_local === true) this.#notice('WARNING', '25P01', 'SET LOCAL can only be used in transaction blocks');
        return tagged(command);
      }
      const connection = await this.#pinned.connection();
      if (this.#settings.length > 0) await connection.query({ text: this.#settings.join(';\n'), simple: true });
      await connection.query({ text: statement.text, simple: true });
      this.#remember(statement, set);
      this.#searchPath = await searchPathOf(connection);
      return tagged(command);
    }
    const connection = await transaction.join(coordinatorNodeId, 'read');
    await transaction.broadcast(statement.text);
    if (set.is_local !== true) this.#remember(statement, set);
    this.#searchPath = await searchPathOf(connection);
    return tagged(command);
  }

  #remember(statement: Statement, set: VariableSetStmt): void {
    if (set.kind === 'VAR_RESET_ALL') this.#settings = [];
    else this.#settings = [...this.#settings, statement.text];
  }

  async #discard(target: string | undefined): Promise<QueryResult> {
    if (this.#transaction !== undefined) throw new ClusterError('invalidParameter', 'DISCARD ALL cannot run inside a transaction block', { sqlState: '25001' });
    if (target === 'DISCARD_ALL' || target === undefined) {
      this.#settings = [];
      this.#searchPath = undefined;
    }
    this.#pinned.release();
    return tagged('DISCARD');
  }

  #notice(severity: string, code: string, message: string): void {
    this.#onNotice?.({ severity, code, message, detail: undefined, hint: undefined, where: undefined });
  }
}

function tagged(command: string): QueryResult {
  return makeQueryResult({ command, rowCount: null, fields: [], rows: [] });
}

async function searchPathOf(connection: { query(query: { text: string }): Promise<{ rows: readonly (readonly (string | null)[])[] }> }): Promise<string[]> {
  const { rows } = await connection.query({ text: 'SELECT pg_catalog.array_to_json(pg_catalog.current_schemas(false))' });
  return JSON.parse(at(rows, 0)[0] ?? '[]') as string[];
}

/** Statements that end the implicit transaction of a text, or cannot run in one. */
function endsImplicit(node: Node): boolean {
  return 'TransactionStmt' in node || 'VacuumStmt' in node || 'DiscardStmt' in node || isUtilityCall(node) || ('IndexStmt' in node && node.IndexStmt.concurrent === true);
}

function isUtilityCall(node: Node): boolean {
  const target = 'SelectStmt' in node ? node.SelectStmt.targetList?.[0] : undefined;
  const value = target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined;
  const name = value !== undefined && 'FuncCall' in value ? nameParts(value.FuncCall.funcname).at(-1) : undefined;
  return name !== undefined && /^(create_(distributed|reference)_table|undistribute_table|(citus|master)_(add|remove)_node)$/.test(name);
}

/** What a statement may leave behind in its server session: such a session keeps its connection. */
function leavesState(node: Node, text: string): boolean {
  if ('ListenStmt' in node || 'UnlistenStmt' in node || 'PrepareStmt' in node || 'ExecuteStmt' in node || 'DeallocateStmt' in node) return true;
  if ('DeclareCursorStmt' in node || 'FetchStmt' in node || 'ClosePortalStmt' in node || 'LoadStmt' in node) return true;
  return /\b(temp|temporary|pg_temp|set_config|setseed)\b|advisory_(un)?lock|currval|lastval/i.test(text);
}

/** The shard is not where the snapshot says: somebody else changed the catalog. */
function isStale(error: unknown): boolean {
  return sqlStateOf(error) === '42P01';
}

/** What stands behind BEGIN or START TRANSACTION. */
function modesOf(text: string): string {
  return text.replace(/^\s*(begin(\s+(work|transaction))?|start\s+transaction)/i, '').replace(/;\s*$/, '').trim();
}
