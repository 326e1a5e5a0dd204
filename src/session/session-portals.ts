import type { QueryResult } from 'pg';
import { present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { FieldDescriptor, RawRow } from '../cluster/node-connection.ts';
import { textTypes } from '../cluster/query-result.ts';
import { fieldsOf } from '../execute/fields.ts';
import { checkLocalTables } from '../execute/read-local-tables.ts';
import type { StagedOptions } from '../execute/staged/run-staged.ts';
import { selectedRows } from '../execute/staged/staged-rows.ts';
import type { StatementScope } from '../execute/statement-scope.ts';
import { watchedParts } from '../execute/watch-shells.ts';
import { targetOf } from '../plan/bind.ts';
import { isStaged } from '../plan/fan-out.ts';
import type { SelectPlan } from '../plan/statement-plan.ts';
import { readsOrWrites } from '../sql/ast.ts';
import type { Statement } from '../sql/parse.ts';
import { CoordinatorCursor, cursorText } from './coordinator-cursor.ts';
import { ForwardRows, KeptRows, keptRows } from './cursor-rows.ts';
import { checkLocking, type DeclaredQuery, declaredQuery } from './declared-query.ts';
import type { PreparedPlan } from './planner.ts';
import { anyNode, type RunContext, runStatement, watching } from './run-statement.ts';
import { outsideBlock, tagged, transactionAborted } from './session-answers.ts';
import type { SessionBlock } from './session-block.ts';
import type { SessionCursors } from './session-cursors.ts';
import type { SessionPlanner } from './session-planner.ts';
import type { SessionServices } from './session-services.ts';
import type { SessionQuery } from './session.ts';

/** What of its session it needs to open statements whose rows are fetched in parts. */
export interface PortalSession {
  readonly services: SessionServices;
  readonly block: SessionBlock;
  readonly planner: SessionPlanner;
  readonly cursors: SessionCursors;
  run(statement: Statement, query: SessionQuery): Promise<QueryResult>;
  prepare(statement: Statement): Promise<PreparedPlan>;
  scope(snapshot: CatalogSnapshot, signal: AbortSignal | undefined): StatementScope;
  context(snapshot: CatalogSnapshot, signal: AbortSignal | undefined): RunContext;
  /** A plan is about to run that `run` does not know of. */
  noting<T>(prepared: PreparedPlan, run: () => Promise<T>): Promise<T>;
  begins(prepared: PreparedPlan): void;
  /** An error of a statement in a block, as it is to be told. */
  named(error: unknown, prepared: PreparedPlan, signal: AbortSignal | undefined): Promise<unknown>;
  /** The plan of a query whose rows the cluster computes, at least in part. */
  plannedComputed(statement: Statement, signal: AbortSignal | undefined): Promise<PreparedPlan | undefined>;
}

type Opening = Pick<SessionQuery, 'values' | 'signal'>;

/** A query over distributed tables, planned. */
interface PlannedSelect {
  readonly statement: Statement;
  readonly prepared: PreparedPlan;
  readonly plan: SelectPlan;
  readonly snapshot: CatalogSnapshot;
}

/** A session's cursors over distributed tables, and portals of the protocol, whose rows are fetched in parts between other statements. */
export class SessionPortals {
  constructor(private readonly session: PortalSession) {}

  /** DECLARE, FETCH, MOVE and CLOSE of cursors over distributed tables; undefined for all else, which the coordinator database does. */
  async statement(statement: Statement, query: SessionQuery): Promise<QueryResult | undefined> {
    const { cursors } = this.session;
    const { node } = statement;
    if ('DeclareCursorStmt' in node) return this.#declare(declaredQuery(statement, node.DeclareCursorStmt), query);
    if ('FetchStmt' in node && cursors.has(node.FetchStmt.portalname ?? '')) {
      const { FetchStmt: fetched } = node;
      const reads = this.#readsOn(fetched.portalname ?? '');
      return this.#telling(reads, query.signal, () => cursors.fetch(fetched, query));
    }
    if (!('ClosePortalStmt' in node)) return undefined;
    const { portalname } = node.ClosePortalStmt;
    if (portalname === undefined) await cursors.closeAll();
    return portalname !== undefined && cursors.has(portalname) ? cursors.close(portalname) : undefined;
  }

  /**
   * Opens a statement, in a transaction, so that its rows can be fetched in parts between other statements: a cursor without DECLARE, which ends with the transaction. One that is no query is run whole. Rows are text.
   * Resolves to the command of its tag.
   */
  async open(name: string, statement: Statement, query: SessionQuery): Promise<string> {
    return this.#inBlock(async () => {
      const { cursors } = this.session;
      const selected = readsOrWrites(statement.node) ? await this.#plannedSelect(statement, query.signal) : undefined;
      if (selected === undefined && (await this.#openOnCoordinator(name, statement, query))) return 'SELECT';
      const result = selected === undefined ? await this.session.run(statement, { ...query, rowMode: 'array', types: textTypes }) : undefined;
      const rows = result !== undefined ? new KeptRows(result.rows) : await this.#rowsOf(present(selected), { name, isKept: false }, query);
      const fields = result !== undefined ? result.fields : await this.#fieldsOf(present(selected));
      await cursors.close(name);
      cursors.declare(name, { fields, rows, held: false, reads: selected?.prepared });
      return result?.command ?? 'SELECT';
    });
  }

  /** The next rows of a portal: fewer than asked for when there are no more. Throws 34000 when its transaction is over. */
  async fetch(name: string, rowsMax: number, signal: AbortSignal | undefined): Promise<readonly RawRow[]> {
    return this.#inBlock(() => {
      const reads = this.#readsOn(name);
      return this.#telling(reads, signal, () => this.session.cursors.next(name, rowsMax, signal));
    });
  }

  /** What a query takes of sequences, it takes as its rows are fetched. */
  #readsOn(name: string): PreparedPlan | undefined {
    const reads = this.session.cursors.readBy(name);
    if (reads !== undefined) this.session.begins(reads);
    return reads;
  }

  /** What its rows meet, is told as of any statement of the block: a shard that is gone means that its table was changed meanwhile. */
  async #telling<T>(reads: PreparedPlan | undefined, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw reads === undefined ? error : await this.session.named(error, reads, signal);
    }
  }

  async close(name: string): Promise<void> {
    await this.session.cursors.close(name);
  }

  /** What goes wrong fails the transaction. */
  async #inBlock<T>(work: () => Promise<T>): Promise<T> {
    const { block } = this.session;
    if (block.isFailed) throw transactionAborted();
    return block.failing(work);
  }

  async #declare(cursor: DeclaredQuery, { values = [], signal }: SessionQuery): Promise<QueryResult | undefined> {
    const { cursors } = this.session;
    const { name, query: declared, scrolls, held, binary } = cursor;
    const computed = await this.session.plannedComputed(declared, signal);
    if (computed !== undefined) return this.#declareComputed(cursor, computed, { values, signal, text: declared.text });
    const prepared = await this.#plannedSelect(declared, signal);
    if (prepared === undefined) return undefined;
    const { plan } = prepared;
    cursors.checkFree(name);
    if (plan.locks) checkLocking(cursor);
    if (binary) throw new ClusterError('unsupportedQuery', 'a cursor over distributed tables gives no binary rows', { hint: 'Leave out BINARY.' });
    this.#checkInBlock(held);
    const isKept = held || scrolls;
    const rows = await this.#rowsOf(prepared, { name, isKept }, { values, signal });
    cursors.declare(name, { fields: await this.#fieldsOf(prepared), rows, held, reads: isKept ? undefined : prepared.prepared });
    return tagged('DECLARE');
  }

  /** Of what the cluster computes there are few rows: all are kept. */
  async #declareComputed({ name, held }: DeclaredQuery, prepared: PreparedPlan, { values = [], signal }: SessionQuery): Promise<QueryResult> {
    this.#checkInBlock(held);
    const { rows, fields } = await this.session.noting(prepared, () => runStatement(prepared, values, this.session.context(prepared.snapshot, signal), { rowMode: 'array', types: textTypes }));
    this.session.cursors.declare(name, { fields, rows: new KeptRows(rows as readonly RawRow[]), held });
    return tagged('DECLARE');
  }

  #checkInBlock(held: boolean): void {
    const { block } = this.session;
    if (!held && (!block.isOpen || block.isImplicit)) throw outsideBlock('DECLARE CURSOR');
  }

  /** The plan of a query over distributed or reference tables; undefined for all else. */
  async #plannedSelect(statement: Statement, signal: AbortSignal | undefined): Promise<PlannedSelect | undefined> {
    const { services, block, planner } = this.session;
    const known = block.ownSnapshot ?? (await services.store.load({ signal }));
    const prepared = await planner.plan(statement, known);
    block.checkPlacements(prepared);
    const { plan, snapshot } = prepared;
    if (plan.kind === 'select') this.session.begins(prepared);
    return plan.kind === 'select' ? { statement, prepared, plan, snapshot } : undefined;
  }

  #rowsOf(selected: PlannedSelect, { name, isKept }: { readonly name: string; readonly isKept: boolean }, opening: Opening): Promise<KeptRows | ForwardRows> {
    const { values = [], signal } = opening;
    return this.#telling(selected.prepared, signal, async () => {
      if (isKept) return new KeptRows(await keptRows(this.#batchesOf(selected, values)(signal), name));
      const isWatched = await this.#runsCodeInStages(selected, opening);
      return ForwardRows.open(isWatched ? this.#watchedBatchesOf(selected, values) : this.#batchesOf(selected, values), signal);
    });
  }

  /** Reads in parts, beside other statements of the transaction. */
  #batchesOf({ prepared, plan, snapshot }: PlannedSelect, values: readonly unknown[]): (signal: AbortSignal | undefined) => AsyncIterable<readonly RawRow[]> {
    const how = this.#how(plan, snapshot);
    return (signal) => {
      const context = this.session.context(snapshot, signal);
      return selectedRows(watching(prepared, context).scope, { plan, values }, { ...how, runsCode: () => context.runsCode(prepared, context.scope) });
    };
  }

  /** The same, each part watched by itself: other statements come between. */
  #watchedBatchesOf({ plan, snapshot }: PlannedSelect, values: readonly unknown[]): (signal: AbortSignal | undefined) => AsyncIterable<readonly RawRow[]> {
    const how = this.#how(plan, snapshot);
    return (signal) => {
      const scope = this.session.scope(snapshot, signal);
      return watchedParts(scope, selectedRows(scope, { plan, values }, how));
    };
  }

  #how(plan: SelectPlan, snapshot: CatalogSnapshot): Pick<StagedOptions, 'options' | 'host'> {
    const { services } = this.session;
    return { options: services.options, host: anyNode(plan, { scope: this.session.scope(snapshot, undefined), nextNode: () => services.nextNode() }) };
  }

  /** Whether its stages may run code in the coordinator database. */
  async #runsCodeInStages({ prepared, plan, snapshot }: PlannedSelect, { values = [], signal }: Opening): Promise<boolean> {
    if ((plan.routable && targetOf(plan, values).kind !== 'many') || !isStaged(await plan.fanOut())) return false;
    const context = this.session.context(snapshot, signal);
    return context.runsCode(prepared, context.scope);
  }

  async #fieldsOf({ statement, snapshot }: PlannedSelect): Promise<readonly FieldDescriptor[]> {
    return fieldsOf((await this.session.planner.describer(snapshot).statement(statement.text)).columns);
  }

  /** Whether it is a query that the coordinator database answers alone: its rows are there until they are fetched. */
  async #openOnCoordinator(name: string, statement: Statement, { values = [], signal }: SessionQuery): Promise<boolean> {
    const { block, cursors } = this.session;
    const { transaction } = block;
    if (transaction === undefined || !('SelectStmt' in statement.node)) return false;
    const prepared = await this.session.prepare(statement);
    const text = cursorText(prepared.plan, statement);
    if (text === undefined) return false;
    const context = this.session.context(prepared.snapshot, signal);
    if (await context.runsCode(prepared, context.scope)) return false;
    this.session.begins(prepared);
    const connection = await transaction.join(coordinatorNodeId, prepared.plan.kind === 'coordinator' && prepared.plan.effect === 'read' ? 'read' : 'write', { signal });
    await cursors.close(name);
    const rows = await CoordinatorCursor.open(connection, { name, text, values }, signal);
    if (prepared.readsLocalTables) await checkLocalTables(this.session.scope(prepared.snapshot, signal));
    cursors.declare(name, { fields: [], rows, held: false, reads: prepared });
    return true;
  }
}
