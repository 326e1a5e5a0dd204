import { ClusterError } from '../base/errors.ts';
import type { RelayedResult } from '../cluster/node-connection.ts';
import { Session } from '../session/session.ts';
import type { SessionServices } from '../session/session-services.ts';
import { type AnswerContext, answerRelayed, type RelayedAnswer, wholeBytesMax } from './answer-statement.ts';
import type { BriefStatements } from './brief-statements.ts';
import type { ClientIo } from './client-io.ts';
import { ExtendedQuery } from './extended-query.ts';
import { Fatal, LostSynchronization, outOfTime, transactionTimedOut } from './fatal.ts';
import { type FrontendMessage, type FunctionCallMessage, readMessage } from './frontend-message.ts';
import { answerFunctionCall } from './function-call.ts';
import { frontend, type FrontendFrame } from './frontend-reader.ts';
import type { ParameterStatus } from './parameter-status.ts';
import { errorFields, noticeFields } from './report-fields.ts';
import type { RoleGuard } from './role-guard.ts';
import { runLiftedQuery, runSimpleQuery } from './simple-query.ts';
import type { ValueConverter } from './convert-values.ts';
import type { ServerLimits } from './server-limits.ts';
import { readsOrWrites } from '../sql/ast.ts';
import type { Statement } from '../sql/parse.ts';

export interface ClientSessionInput {
  readonly io: ClientIo;
  readonly services: SessionServices;
  readonly converter: ValueConverter;
  readonly brief: BriefStatements;
  readonly status: ParameterStatus;
  readonly guard: RoleGuard;
  readonly limits: ServerLimits;
  readonly processId: number;
  /** For `pg_stat_activity`'s likes. */
  readonly onStatement: (text: string | undefined) => void;
}

/** Reported to clients whose sessions collect tokens: it stands for all that the session has committed. */
const tokenParameter = 'shardwright.commit_token';

/**
 * One client that is authenticated: reads its messages one by one, in order, and answers them. An error in the extended protocol makes it skip what was sent before the client could know, up to the Sync.
 */
export class ClientSession {
  readonly session: Session;
  readonly #input: ClientSessionInput;
  readonly #context: AnswerContext;
  readonly #extended: ExtendedQuery;
  /** Messages are dropped until the next Sync. */
  #isSkipping = false;
  #statement: AbortController | undefined;
  #settingsMayDiffer = false;
  #isRunning = false;
  /** Somebody is at a message, or at what is to be sent; no other is taken meanwhile. */
  #isBusy = false;
  /** The statement whose rows go through as they come. */
  #relay: Relay | undefined;
  #leave: (failure: { readonly error: unknown } | undefined) => void = () => undefined;
  #idle: NodeJS.Timeout | undefined;
  /** Runs while a transaction is open that may not take longer. */
  #transactionTimer: NodeJS.Timeout | undefined;

  constructor(input: ClientSessionInput) {
    this.#input = input;
    const { io } = input;
    this.session = new Session(input.services, {
      onNotice: (notice) => io.out.report('notice', noticeFields(notice)),
      onNotification: ({ channel, payload, processId }) => {
        io.out.notification(processId, channel, payload);
        if (!this.#isRunning) io.flush();
      },
    });
    this.#context = { session: this.session, io, converter: input.converter, brief: input.brief };
    this.#extended = new ExtendedQuery(this.#context);
  }

  /** Ends what runs, as the client's request to cancel. */
  cancel(): void {
    const error = new ClusterError('canceled', 'canceling statement due to user request');
    this.#statement?.abort(error);
    const relay = this.#relay;
    if (relay === undefined) return;
    this.#endRelay();
    this.#waitFor(this.#failed(error, true));
  }

  /** Resolves when the client says goodbye or is gone. The caller ends the session, which rolls back what is open. */
  async serve(): Promise<void> {
    const left = new Promise<{ readonly error: unknown } | undefined>((resolve) => {
      this.#leave = (failure) => {
        this.#isBusy = true;
        resolve(failure);
      };
    });
    this.#input.io.onInput(() => this.#cameIn());
    this.#ready();
    this.#work();
    const failure = await left;
    clearTimeout(this.#idle);
    clearTimeout(this.#transactionTimer);
    if (failure !== undefined) throw failure.error;
  }

  #cameIn(): void {
    if (this.#input.io.isClosed) {
      this.#statement?.abort(new ClusterError('connectionLost', 'the client is gone'));
      if (this.#relay !== undefined) {
        this.#endRelay();
        this.#isBusy = false;
      }
    }
    if (!this.#isBusy) this.#work();
  }

  /** Answers messages until one has to be waited for, or there is none. */
  #work(): void {
    const { io } = this.#input;
    clearTimeout(this.#idle);
    try {
      while (!this.#isBusy) {
        const frame = io.isClosed ? undefined : io.in.take();
        if (io.isClosed || frame?.type === frontend.terminate) {
          this.#leave(undefined);
          return;
        }
        if (frame === undefined) {
          this.#rest();
          return;
        }
        this.#isRunning = true;
        const handled = this.#handle(frame);
        if (handled !== undefined) this.#waitFor(handled);
        else if (!this.#isBusy) this.#makeRoom();
      }
    } catch (error) {
      this.#leave({ error });
    }
  }

  #waitFor(handled: Promise<void>): void {
    this.#isBusy = true;
    handled.then(() => this.#goOn(), (error: unknown) => this.#leave({ error }));
  }

  #goOn(): void {
    this.#isBusy = false;
    this.#makeRoom();
    if (!this.#isBusy) this.#work();
  }

  /** A client that does not read is not answered more. */
  #makeRoom(): void {
    const room = this.#input.io.room();
    if (room !== undefined) this.#waitFor(room);
  }

  #rest(): void {
    const { io, limits, status } = this.#input;
    io.flush();
    this.#isRunning = false;
    const isOpen = this.session.status !== 'idle';
    const limitMs = shorter(isOpen ? limits.idleInTransactionTimeoutMs : limits.idleTimeoutMs, status.idleTimeoutMs(isOpen));
    if (limitMs > 0) this.#idle = setTimeout(() => this.#idled(isOpen), limitMs);
    io.wantInput();
  }

  #idled(isOpen: boolean): void {
    this.#hangUp(isOpen ? new Fatal('25P03', 'terminating connection due to idle-in-transaction timeout') : new Fatal('57P05', 'terminating connection due to idle-session timeout'));
  }

  #hangUp(error: Fatal): void {
    const { io } = this.#input;
    io.out.report('error', errorFields(error, 'FATAL'));
    io.end();
  }

  /** Servers end a transaction that takes too long by themselves; where its client does nothing, nobody but this would tell it. */
  #timeTransaction(): void {
    const { transactionTimeoutMs } = this.#input.status;
    if (this.session.status !== 'idle' && transactionTimeoutMs > 0) this.#transactionTimer ??= setTimeout(() => this.#ranOut(), transactionTimeoutMs);
    else if (this.#transactionTimer !== undefined) {
      clearTimeout(this.#transactionTimer);
      this.#transactionTimer = undefined;
    }
  }

  /** A statement that runs fails with it. */
  #ranOut(): void {
    if (this.#statement === undefined) this.#hangUp(outOfTime());
    else this.#statement.abort(outOfTime());
  }

  #handle(frame: FrontendFrame): Promise<void> | undefined {
    if (this.#isSkipping && frame.type !== frontend.sync) return undefined;
    let message;
    try {
      message = readMessage(frame);
    } catch (error) {
      return this.#failed(error, frame.type !== frontend.query);
    }
    if (message.kind === 'copy_data' || message.kind === 'copy_done' || message.kind === 'copy_fail' || message.kind === 'flush') return undefined;
    const skips = message.kind !== 'query' && message.kind !== 'function_call';
    try {
      return this.#answer(message)?.catch((error: unknown) => this.#failed(error, skips));
    } catch (error) {
      return this.#failed(error, skips);
    }
  }

  #answer(message: FrontendMessage): Promise<void> | undefined {
    switch (message.kind) {
      case 'query':
        return this.#simple(message.text);
      case 'parse':
        return this.#extended.parse(message);
      case 'bind':
        return this.#extended.bind(message);
      case 'describe':
        return this.#extended.describe(message.what, message.name);
      case 'execute':
        return this.#execute(message.portal, message.rowsMax);
      case 'close':
        return this.#extended.close(message.what, message.name);
      case 'sync':
        return this.#sync();
      case 'function_call':
        return this.#call(message);
      case 'password':
      case 'copy_data':
      case 'copy_done':
      case 'copy_fail':
      case 'flush':
      case 'terminate':
        throw new Fatal('08P01', `unexpected message of kind ${message.kind}`);
    }
  }

  async #simple(text: string): Promise<void> {
    await this.#extended.forgetUnnamed();
    const lifted = await this.session.lifted(text);
    if (lifted === undefined) await this.#running(text, () => this.session.parseOrAsk({ text }), (statements, signal) => runSimpleQuery(statements, text, { ...this.#context, signal }));
    else await this.#running(text, () => [lifted.statement], (_, signal) => runLiftedQuery(lifted, { ...this.#context, signal }));
    if (this.session.status === 'idle') this.#extended.endTransaction();
    await this.#tellSettings();
    this.#ready();
  }

  async #call(message: FunctionCallMessage): Promise<void> {
    await this.#running('<FASTPATH> function call', () => [], (_, signal) => answerFunctionCall(message, { ...this.#context, signal }));
    this.#ready();
  }

  #execute(portal: string, rowsMax: number): Promise<void> | undefined {
    const call = rowsMax === 0 && this.session.status === 'idle' && this.#input.io.in.endsUnit() ? this.#extended.relayed(portal) : undefined;
    if (call === undefined || !this.#relays(call)) return this.#executeWatched(portal, rowsMax);
    this.#extended.isRun(portal);
    return undefined;
  }

  /** Whether the rows of a query go to the client as a node sends them, from now on. */
  #relays(call: RelayedAnswer): boolean {
    const { brief, onStatement } = this.#input;
    const { statement } = call;
    if (!brief.isUnwatched(statement)) return false;
    const relay = { started: performance.now() };
    const begins = this.session.relay(statement, { ...call, bytesMax: wholeBytesMax }, (error, result) => {
      if (this.#relay === relay) this.#relayed(call, relay, { error, result });
    });
    if (!begins) return false;
    this.#relay = relay;
    this.#isBusy = true;
    onStatement(statement.text);
    return true;
  }

  #relayed(call: RelayedAnswer, { started }: Relay, { error, result }: { readonly error: unknown; readonly result: RelayedResult | undefined }): void {
    const { io, brief } = this.#input;
    this.#endRelay();
    if (result === undefined) {
      const answered = this.#running(call.statement.text, () => [], (_, signal) => answerRelayed({ ...call, describes: false, signal }, error, this.#context));
      this.#waitFor(answered.catch((failure: unknown) => this.#failed(failure, true)));
      return;
    }
    brief.note(call.statement, performance.now() - started);
    for (const messages of result.messages) io.pass(messages);
    this.#goOn();
  }

  /** What comes of it is not wanted any more, or has come. */
  #endRelay(): void {
    this.#relay = undefined;
    this.#input.onStatement(undefined);
  }

  async #executeWatched(portal: string, rowsMax: number): Promise<void> {
    const statement = this.#extended.statementOf(portal);
    const isLast = this.#input.io.in.endsUnit();
    await this.#running(statement?.text ?? '', () => (statement === undefined ? [] : [statement]), (_, signal) => this.#extended.execute(portal, rowsMax, { isLast, signal }));
  }

  async #running(text: string, find: () => readonly Statement[] | Promise<readonly Statement[]>, work: (statements: readonly Statement[], signal: AbortSignal) => Promise<void>): Promise<void> {
    const { guard, onStatement } = this.#input;
    const statement = new AbortController();
    this.#statement = statement;
    onStatement(text);
    try {
      const statements = await find();
      for (const one of statements) {
        const known = guard.check(one);
        if (known !== undefined) await known;
        if (changesSettings(one)) this.#settingsMayDiffer = true;
        const forgotten = deallocated(one.node);
        if (forgotten !== undefined) this.#extended.forgetStatements(forgotten.name);
      }
      await work(statements, statement.signal);
    } finally {
      this.#statement = undefined;
      onStatement(undefined);
    }
  }

  #sync(): Promise<void> | undefined {
    this.#isSkipping = false;
    if (this.session.isImplicit || this.#settingsMayDiffer) return this.#endUnit();
    if (this.session.status === 'idle') this.#extended.endTransaction();
    this.#ready();
    return undefined;
  }

  async #endUnit(): Promise<void> {
    try {
      await this.session.commitImplicit();
    } catch (error) {
      this.#report(error);
    }
    if (this.session.status === 'idle') this.#extended.endTransaction();
    await this.#tellSettings();
    this.#ready();
  }

  /** `skips`: the client finds its way by the next Sync; else it is ready at once. */
  async #failed(error: unknown, skips: boolean): Promise<void> {
    const fatal = error instanceof LostSynchronization ? new Fatal('08P01', 'terminating connection because protocol synchronization was lost') : (transactionTimedOut(error) ?? error);
    if (fatal instanceof Fatal) {
      if (error instanceof LostSynchronization) this.#report(error);
      this.#hangUp(fatal);
      return;
    }
    if (this.session.isImplicit) await this.#rollback();
    else {
      this.session.fail();
      this.session.letGo();
    }
    this.#report(error);
    if (skips) this.#isSkipping = true;
    else {
      await this.#tellSettings();
      this.#ready();
    }
  }

  /** What the statement itself failed with is what the client is told. */
  async #rollback(): Promise<void> {
    try {
      await this.session.rollback();
    } catch {
      // The connections are gone, and with them what was open.
    }
  }

  #report(error: unknown): void {
    this.#input.io.out.report('error', errorFields(error));
  }

  /** The client hears of it before anything else is begun, which may take long. */
  #ready(): void {
    const { io, status } = this.#input;
    const { readToken } = this.session;
    if (readToken !== undefined) status.tell(io.out, tokenParameter, readToken);
    this.#timeTransaction();
    io.out.ready(this.session.status === 'idle' ? 'I' : this.session.status === 'failed' ? 'E' : 'T');
    io.flush();
  }

  /** What SET has changed, and ROLLBACK has changed back. Fails where an open transaction's time is over by then: nobody has set a clock for it yet. */
  async #tellSettings(): Promise<void> {
    if (!this.#settingsMayDiffer || this.session.status === 'failed') return;
    const isOpen = this.session.status !== 'idle';
    this.#settingsMayDiffer = isOpen;
    try {
      await this.#input.status.refresh(this.session, this.#input.io.out);
    } catch (error) {
      if (isOpen && transactionTimedOut(error) !== undefined) throw error;
    }
  }
}

/** Of two limits; 0 is none. */
function shorter(one: number, other: number): number {
  return one === 0 || other === 0 ? one + other : Math.min(one, other);
}

/** A query whose rows go through. */
interface Relay {
  readonly started: number;
}

/** Modes of a transaction are no settings that a client is told of; and asking for those would take its snapshot. Nor does SET of an UPDATE set any, but for that of a view with a rule that does. */
function changesSettings({ node, text }: Statement): boolean {
  if ('VariableSetStmt' in node && node.VariableSetStmt.name === 'TRANSACTION') return false;
  if (readsOrWrites(node)) return /set_config|pg_settings/i.test(text);
  return /\b(set|reset|discard|set_config)\b/i.test(text);
}

/** The prepared statement that DEALLOCATE or DISCARD forgets; without a name: all. */
function deallocated(node: object): { readonly name: string | undefined } | undefined {
  if ('DeallocateStmt' in node) {
    const { name } = node.DeallocateStmt as { readonly name?: string };
    return { name };
  }
  if (!('DiscardStmt' in node)) return undefined;
  return (node.DiscardStmt as { readonly target?: string }).target === 'DISCARD_ALL' ? { name: undefined } : undefined;
}
