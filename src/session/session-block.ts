import type { TransactionStmt } from '@pgsql/types';
import type { QueryResult } from 'pg';
import { present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnection, NodeNotice } from '../cluster/node-connection.ts';
import { withLogicalNames } from '../execute/logical-names.ts';
import type { SessionSequences } from './session-sequences.ts';
import { SequenceBlocks } from '../execute/write/sequence-blocks.ts';
import type { Statement } from '../sql/parse.ts';
import { admitted } from '../store/admission.ts';
import { lockVersion } from '../store/catalog-changes.ts';
import { readSnapshot } from '../store/load-snapshot.ts';
import { beginTransaction, canBeOnReplicas } from '../txn/begin-transaction.ts';
import type { BeginOptions } from '../txn/distributed-transaction.ts';
import { transactionLost } from '../txn/transaction-lost.ts';
import { consistentSnapshots, hasOneSnapshot, refuseDeferrable, wantsConsistentSnapshots } from './consistent-snapshots.ts';
import { checkPlacements } from './moved-since.ts';
import type { WithReadToken } from './own-writes.ts';
import type { PinnedCoordinator } from './pinned-coordinator.ts';
import type { PreparedPlan } from './planner.ts';
import { outsideBlock, tagged, transactionAborted } from './session-answers.ts';
import type { SessionCursors } from './session-cursors.ts';
import type { SessionReads } from './session-reads.ts';
import type { SessionServices } from './session-services.ts';
import type { SessionSettings } from './session-settings.ts';
import { SessionTransaction } from './session-transaction.ts';
import { modesOf } from './statement-kinds.ts';
import { currentModes, withDefaultModes } from './transaction-modes.ts';

/** What of its session a transaction block needs. */
export interface BlockSession {
  readonly services: SessionServices;
  readonly pinned: PinnedCoordinator;
  readonly settings: SessionSettings;
  readonly cursors: SessionCursors;
  readonly sequences: Pick<SessionSequences, 'discard'>;
  readonly onNotice: ((notice: NodeNotice) => void) | undefined;
  reads(): SessionReads;
  /** Settings have changed that plans depend on. */
  outdate(): void;
  notice(severity: string, code: string, message: string): void;
  /** The catalog by which statements are planned that are to see what was written by a newer one. */
  newEnough(snapshot: CatalogSnapshot, options: { readonly signal: AbortSignal | undefined }): Promise<CatalogSnapshot>;
}

interface StartOptions {
  readonly consistent?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Whether the transaction keeps others from taking values of sequences. */
const lockedSequences = `SELECT FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_class AS c ON c.oid = l.relation WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND c.relkind = 'S'
  AND l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock') LIMIT 1`;

/** A session's transaction, while one is open: the caller's own between BEGIN and COMMIT, or that of one text. Knows its modes, and what nobody else sees yet. */
export class SessionBlock {
  #transaction: SessionTransaction | undefined;
  /** The transaction was not begun by the caller: it is that of one text. */
  #implicit = false;
  #failed = false;
  /** A failed one is undone already, on all servers: what is left of it is that the caller has to end it. */
  #undoing: Promise<void> | undefined;
  #ownSnapshot: CatalogSnapshot | undefined;
  #locksTables = false;
  /** It has changed sequences: any other connection would wait for it. */
  #locksSequences = false;
  /** Code has run of which nobody knows yet whether it has changed sequences. */
  #ranCode = false;
  /** Values of sequences that the transaction may have made, or locked. */
  readonly #ownSequences = new SequenceBlocks(async (text) => (await this.onCoordinator((connection) => connection.query({ text }))).rows);
  #modes = '';
  #hasOneSnapshot = false;
  #firstCatalog: CatalogSnapshot | undefined;
  /** What AND CHAIN has taken over from the transaction before. */
  #chainedModes = '';
  /** Its snapshot is consistent by request, whatever the settings say. */
  #consistent = false;

  constructor(private readonly session: BlockSession) {}

  get transaction(): SessionTransaction | undefined {
    return this.#transaction;
  }

  get isOpen(): boolean {
    return this.#transaction !== undefined;
  }

  /** A transaction is open that is not the caller's own. */
  get isImplicit(): boolean {
    return this.#implicit;
  }

  /** Nothing but its end is accepted. */
  get isFailed(): boolean {
    return this.#failed;
  }

  /** The catalog as the transaction has changed it: nobody else sees that yet. */
  get ownSnapshot(): CatalogSnapshot | undefined {
    return this.#ownSnapshot;
  }

  /** The transaction holds locks on tables that keep readers away. */
  get locksTables(): boolean {
    return this.#locksTables;
  }

  /** REPEATABLE READ or SERIALIZABLE. */
  get hasOneSnapshot(): boolean {
    return this.#hasOneSnapshot;
  }

  /** Where values of sequences are taken. */
  sequenceBlocks(): SequenceBlocks | Promise<SequenceBlocks> {
    if (this.#ownSnapshot !== undefined || this.#locksSequences) return this.#ownSequences;
    return this.#ranCode ? this.#blocksAfterCode() : this.session.services.sequences;
  }

  async #blocksAfterCode(): Promise<SequenceBlocks> {
    const { rows } = await this.onCoordinator((connection) => connection.query({ text: lockedSequences }));
    this.#ranCode = false;
    if (rows.length > 0) this.changesSequences();
    return this.#locksSequences ? this.#ownSequences : this.session.services.sequences;
  }

  /** A function may have changed sequences. */
  ranCode(): void {
    if (this.#transaction !== undefined) this.#ranCode = true;
  }

  /** Something went wrong: where a transaction is open, it is failed. */
  fail(): void {
    this.#failed = this.#transaction !== undefined;
  }

  /**
   * To be called when the caller is about to hear of an error. A failed transaction that has no savepoint to go back to can only be rolled back: so it is now, as in one PostgreSQL, and others need not wait for its locks until the caller ends it.
   */
  letGo(): void {
    if (!this.#failed || this.#implicit || this.#transaction === undefined || this.session.settings.hasSavepoints) return;
    this.#undoing ??= this.#undo(this.#transaction);
  }

  /** What goes wrong in it fails a transaction that is open. */
  async failing<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.fail();
      throw error;
    }
  }

  takesTableLocks(): void {
    if (this.#transaction !== undefined) this.#locksTables = true;
  }

  /** It changes sequences: what was taken of them before means nothing any more. */
  changesSequences(): void {
    if (this.#transaction === undefined) return;
    this.#locksSequences = true;
    this.forgetSequences();
  }

  /** Values of sequences that were taken, and not given out yet, mean nothing any more. */
  forgetSequences(): void {
    for (const taken of [this.session.services.sequences, this.#ownSequences]) taken.forget();
  }

  /** The session's connection to the coordinator database, or its transaction's. */
  async onCoordinator<T>(work: (connection: NodeConnection) => Promise<T>): Promise<T> {
    if (this.#undoing !== undefined) throw transactionAborted();
    return this.#transaction === undefined ? this.session.pinned.use(work) : work(await this.#transaction.join(coordinatorNodeId, 'read'));
  }

  /** A statement that begins or ends a block, or is about a savepoint. */
  run(statement: Statement, transaction: TransactionStmt): Promise<QueryResult> {
    switch (transaction.kind) {
      case 'TRANS_STMT_BEGIN':
      case 'TRANS_STMT_START':
        return this.#beginBlock(modesOf(transaction), transaction.kind === 'TRANS_STMT_BEGIN' ? 'BEGIN' : 'START');
      case 'TRANS_STMT_COMMIT':
        return this.#end(transaction, 'COMMIT');
      case 'TRANS_STMT_ROLLBACK':
        return this.#end(transaction, 'ROLLBACK');
      case 'TRANS_STMT_SAVEPOINT':
      case 'TRANS_STMT_RELEASE':
      case 'TRANS_STMT_ROLLBACK_TO':
        return this.#savepoint(statement, transaction);
      default:
        return Promise.reject(new ClusterError('unsupportedQuery', 'two-phase commit statements are the cluster\'s own', {
          detail: 'The cluster prepares and commits transactions on its nodes by itself.', hint: 'Use COMMIT.',
        }));
    }
  }

  /** Begins a transaction that is not the caller's own, unless one is open. */
  async beginImplicit(signal?: AbortSignal): Promise<SessionTransaction> {
    if (this.#transaction !== undefined) return this.#transaction;
    const transaction = await this.start('', { signal });
    this.#implicit = true;
    return transaction;
  }

  async start(modes: string, { consistent = false, signal }: StartOptions = {}): Promise<SessionTransaction> {
    const { services, settings, pinned } = this.session;
    const snapshot = await this.session.newEnough(await services.store.load({ signal }), { signal });
    const all = settings.isEmpty ? modes : await this.withDefaults(modes);
    const level = `ISOLATION LEVEL ${/isolation/i.test(all) ? '' : (snapshot.server.sessionSettings['default_transaction_isolation'] ?? '')}`;
    const takesNow = consistent || (hasOneSnapshot(all) && settings.has(consistentSnapshots) && (await pinned.use(wantsConsistentSnapshots)));
    const reads = !takesNow && canBeOnReplicas(`${all} ${level}`) ? this.session.reads().route(snapshot.server) : undefined;
    const transaction = new SessionTransaction(this.begin(snapshot, all, { order: 'first_alone', reads }), settings.texts);
    if (takesNow) {
      refuseDeferrable(all);
      await takenOrOver(transaction, signal);
    }
    this.#modes = modes;
    this.#chainedModes = '';
    this.#consistent = consistent;
    this.#hasOneSnapshot = hasOneSnapshot(`${all} ${level}`);
    this.#firstCatalog = takesNow ? snapshot : undefined;
    settings.begin();
    this.#transaction = transaction;
    this.#implicit = false;
    this.#failed = false;
    return transaction;
  }

  /** A transaction that is not this one. */
  begin(snapshot: CatalogSnapshot, modes: string, how?: Pick<BeginOptions, 'order' | 'reads'>): ReturnType<typeof beginTransaction> {
    return beginTransaction(this.session.pinned.poolsForTransaction, { clusterId: snapshot.clusterId, modes, watch: this.session.services.deadlocks, ...how });
  }

  /** Modes of a transaction, where the session has set what they are by default. */
  async withDefaults(modes: string): Promise<string> {
    if (!this.session.settings.has(/^default_transaction_|^session characteristics$/)) return modes;
    return this.session.pinned.use((connection) => withDefaultModes(connection, modes));
  }

  async commit(): Promise<QueryResult & WithReadToken> {
    const { services, settings, cursors, onNotice } = this.session;
    const transaction = present(this.#transaction);
    await cursors.endTransaction('commit');
    const changesCatalog = this.#ownSnapshot !== undefined;
    this.#leave();
    const snapshot = services.store.current();
    const reads = this.session.reads();
    const committed = snapshot === undefined ? undefined : reads.collect(snapshot.server);
    try {
      await transaction.commit({ committed, onNotice }).catch((error: unknown) => Promise.reject(transactionLost(services.pools, error)));
      settings.commit();
      if (changesCatalog) await services.store.refresh();
      if (committed === undefined) return tagged('COMMIT');
      return await services.writes.note(tagged('COMMIT'), { committed, catalogVersion: services.store.current()?.version ?? 0, session: reads.seen });
    } catch (error) {
      settings.rollback();
      throw snapshot === undefined ? error : withLogicalNames(error, snapshot);
    }
  }

  async rollback(): Promise<void> {
    const transaction = this.#transaction;
    if (transaction === undefined) return;
    const undone = this.#undoing;
    if (undone === undefined) await this.session.cursors.endTransaction('rollback');
    this.#leave();
    this.session.settings.rollback();
    await (undone ?? transaction.rollback());
  }

  async #undo(transaction: SessionTransaction): Promise<void> {
    await this.session.cursors.endTransaction('rollback');
    await transaction.rollback();
  }

  /** A statement in it may have changed its modes. */
  async readModes(): Promise<void> {
    this.#modes = await this.onCoordinator(currentModes);
    this.#hasOneSnapshot = hasOneSnapshot(this.#modes);
    this.#transaction?.hasModes(this.#modes);
  }

  /** SET TRANSACTION has made the block one that takes a consistent snapshot, if the session wants those. */
  async snapshotAfter(modes: string, signal?: AbortSignal): Promise<void> {
    const { services, settings } = this.session;
    const transaction = present(this.#transaction);
    if (!hasOneSnapshot(modes) || !settings.has(consistentSnapshots)) return;
    try {
      if (!(await wantsConsistentSnapshots(await transaction.join(coordinatorNodeId, 'read')))) return;
      refuseDeferrable(modes);
      this.#firstCatalog ??= await services.store.load({ signal });
      // The modes have to reach all servers first.
      await Promise.all(services.pools.nodeIds.map((node) => transaction.join(node, 'read', { signal })));
      await transaction.takeSnapshot({ signal });
    } catch (error) {
      this.#failed = true;
      throw error;
    }
  }

  /** The first catalog by which a transaction with one snapshot runs a statement is the one that its snapshot goes with. */
  checkPlacements({ plan, snapshot }: PreparedPlan): void {
    if (this.#transaction === undefined || !this.#hasOneSnapshot) return;
    this.#firstCatalog ??= snapshot;
    checkPlacements(plan, { first: this.#firstCatalog, now: snapshot, hasOwn: this.#ownSnapshot !== undefined });
  }

  /** Changes of definitions cannot be tried again by a newer catalog, so they are planned by the one that stays until the block ends. Undefined where that is the one given, or no block is open. */
  async catalogToChange({ version, ...known }: CatalogSnapshot): Promise<CatalogSnapshot | undefined> {
    if (this.#transaction === undefined) return undefined;
    const coordinator = await this.#transaction.join(coordinatorNodeId, 'write');
    if ((await lockVersion({ coordinator: await admitted(coordinator) })) === version) return undefined;
    await this.readChangedCatalog(known);
    return present(this.#ownSnapshot);
  }

  async readChangedCatalog({ server }: Pick<CatalogSnapshot, 'server'>): Promise<void> {
    const { store } = this.session.services;
    if (this.#transaction === undefined) await store.refreshIfOld();
    else {
      const coordinator = await this.#transaction.join(coordinatorNodeId, 'read');
      this.#ownSnapshot = { ...(await readSnapshot(coordinator, { known: store.current() })), server };
    }
  }

  async #beginBlock(modes: string, command: 'BEGIN' | 'START'): Promise<QueryResult> {
    if (this.#transaction === undefined) await this.start(modes);
    else if (this.#failed) throw transactionAborted();
    else if (this.#implicit) await this.#adoptImplicit(modes);
    else this.session.notice('WARNING', '25001', 'there is already a transaction in progress');
    return tagged(command);
  }

  /** What ran before in the same text becomes a part of the block. */
  async #adoptImplicit(modes: string): Promise<void> {
    const transaction = present(this.#transaction);
    this.#implicit = false;
    this.#modes = modes;
    this.#hasOneSnapshot ||= hasOneSnapshot(modes);
    if (modes === '') return;
    await transaction.broadcast(`SET TRANSACTION ${modes}`);
    transaction.hasModes(modes);
    await this.snapshotAfter(modes);
  }

  async #end(statement: TransactionStmt, command: 'COMMIT' | 'ROLLBACK'): Promise<QueryResult> {
    if (this.#transaction === undefined || this.#implicit) {
      if (statement.chain === true) throw outsideBlock(`${command} AND CHAIN`);
      this.session.notice('WARNING', '25P01', 'there is no transaction in progress');
    }
    const commits = command === 'COMMIT' && !this.#failed;
    if (this.#transaction === undefined) return tagged(command);
    // A failed transaction has lost the modes that it was given itself, unless only what is behind a savepoint has failed.
    const modes = this.#failed && !this.session.settings.hasSavepoints ? this.#chainedModes : this.#modes;
    const result = commits ? await this.commit() : tagged('ROLLBACK');
    if (!commits) await this.rollback();
    if (statement.chain === true) {
      await this.start(modes, { consistent: this.#consistent });
      this.#chainedModes = modes;
    }
    return result;
  }

  #leave(): void {
    // SET LOCAL ends with its transaction, and SET if it is rolled back.
    if (this.#transaction?.changedSettings === true) this.session.outdate();
    this.#transaction = undefined;
    this.#ownSnapshot = undefined;
    this.#locksTables = false;
    if (this.#locksSequences) this.session.services.sequences.forget();
    this.#locksSequences = false;
    this.#ranCode = false;
    this.#ownSequences.forget();
    this.#implicit = false;
    this.#failed = false;
    this.#undoing = undefined;
  }

  async #savepoint(statement: Statement, { kind, savepoint_name: name = '' }: TransactionStmt): Promise<QueryResult> {
    const { settings, cursors } = this.session;
    const command = kind === 'TRANS_STMT_SAVEPOINT' ? 'SAVEPOINT' : kind === 'TRANS_STMT_RELEASE' ? 'RELEASE' : 'ROLLBACK';
    const transaction = this.#transaction;
    try {
      if (transaction === undefined || this.#implicit) throw outsideBlock(command === 'ROLLBACK' ? 'ROLLBACK TO SAVEPOINT' : command === 'RELEASE' ? 'RELEASE SAVEPOINT' : 'SAVEPOINT');
      if (this.#failed && command !== 'ROLLBACK') throw transactionAborted();
      if (this.#undoing !== undefined) throw new ClusterError('invalidParameter', `savepoint "${name}" does not exist`, { sqlState: '3B001' });
      await transaction.join(coordinatorNodeId, 'read');
      await (command === 'ROLLBACK' ? transaction.rollbackTo(statement.text) : transaction.broadcast(statement.text));
    } catch (error) {
      this.fail();
      throw error;
    }
    if (command === 'ROLLBACK') await this.#wentBackTo(name, transaction);
    else for (const kept of [settings, cursors]) kept[command === 'SAVEPOINT' ? 'savepoint' : 'release'](name);
    return tagged(command);
  }

  async #wentBackTo(name: string, transaction: SessionTransaction): Promise<void> {
    this.session.settings.rollbackTo(name);
    // Values may be of a sequence as it is no more: restarted, or made, behind the savepoint.
    this.#ownSequences.forget();
    await this.session.cursors.rollbackTo(name);
    if (transaction.changedSettings) {
      this.session.outdate();
      await this.readModes();
    }
    if (this.#ownSnapshot !== undefined) await this.readChangedCatalog(this.#ownSnapshot);
    this.#failed = false;
  }
}

/** Takes the snapshot of a transaction that has just begun; one that cannot have it ends. */
async function takenOrOver(transaction: SessionTransaction, signal: AbortSignal | undefined): Promise<void> {
  try {
    await transaction.takeSnapshot({ signal });
  } catch (error) {
    await transaction.rollback();
    throw error;
  }
}
