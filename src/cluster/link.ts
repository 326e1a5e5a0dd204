import { sendCancelRequest } from './cancel-request.ts';
import { driverConfig, type NodeSettings } from './node-settings.ts';
import { DriverClient } from './driver-client.ts';
import type { NodeNotification } from './node-connection.ts';
import type { Statement } from './statement.ts';
import { connectionLost, notSent, saysGoodbye, translateCanceled, translateConnectError, translateStatementError } from './translate-error.ts';
import { canceled, onAbort } from '../base/abort.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import { nonstandardStrings } from '../sql/standard-strings.ts';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** A statement that shall be cancelled: once it is the head, a loop does so, which `wake` tells of the statement's end. */
interface Cancellation {
  running: boolean;
  wake: (() => void) | undefined;
  /** Rather lets the statement run to its end than abort a transaction block. */
  readonly sparesTransaction: boolean;
}

export type LinkState = 'connecting' | 'open' | 'closed';
const cancelAgainMs = { first: 25, max: 1000 } as const;

/**
 * One connection to a server, with its queue. Statements are pipelined, except that nothing is sent behind one that goes
 * `alone` before that has ended. That is what makes cancelling safe:
 * 1. a cancel is sent only while its statement is the head of the queue, so it cannot hit an earlier one;
 * 2. nothing has been sent behind it, so it cannot hit a later one that the server has reached already;
 * 3. the next statement waits until the statement has ended *and* the cancel's own connection is closed.
 * A cancel that the server took before it took the statement has no effect, so it is sent again until the statement ends.
 */
export class Link {
  state: LinkState = 'connecting';
  /** Statements started and not settled. */
  load = 0;
  /** Called when the connection is gone or could not be made. */
  onClosed: (() => void) | undefined = undefined;
  /** Called whenever `load` has fallen to 0. */
  onIdle: (() => void) | undefined = undefined;
  onNotification: ((notification: NodeNotification) => void) | undefined = undefined;
  readonly #client: DriverClient;
  readonly #held: Statement[] = [];
  #alone: Statement | undefined = undefined;
  #failure: unknown = undefined;
  /** What statements fail with that were not sent. */
  #unsent: unknown = undefined;
  readonly #cancels = new Map<Statement, Cancellation>();
  readonly #interruptions = new WeakMap<Statement, Error>();
  readonly #closed: Promise<void>;

  /** `shared`: its statements come from many callers, none of whom counts on their order. */
  constructor(
    readonly settings: NodeSettings,
    readonly shared: boolean,
  ) {
    const login = settings.login?.();
    this.#client = new DriverClient(driverConfig(settings, login), { startup: settings.startup ?? {}, repeatedMax: settings.repeatedMax, keys: login?.keys }, {
      onEnded: (statement) => this.#ended(statement),
      onLost: (cause, unanswered) => this.#lost(cause, unanswered),
      onNotification: (notification) => this.onNotification?.(notification),
    });
    this.#closed = new Promise((resolve) => this.#client.connection.once('end', resolve));
  }

  /** Connects; statements may be started before. Rejects with `nodeUnreachable` or the server's own error, and is closed then. */
  async connect(): Promise<void> {
    try {
      await this.#client.connect();
    } catch (error) {
      this.#refuseConnection(error);
    }
    if (this.state === 'closed') throw this.#failure;
    if (this.#client.hasOtherStrings) this.#refuseConnection(nonstandardStrings(`Sessions on ${this.settings.name} begin so, by ALTER ROLE, ALTER DATABASE or the server's configuration.`));
    if (this.settings.primaryOnly === true && this.#client.inRecovery) this.#refuseConnection(new Error('the server is in recovery'));
    const { socket } = this.#client;
    if (socket instanceof Socket && socket.remoteAddress !== undefined) this.settings.onConnected?.(socket.remoteAddress);
    this.state = 'open';
    this.#sendHeld();
  }

  #refuseConnection(error: unknown): never {
    this.#fail(translateConnectError(error, this.settings));
    this.#client.socket.destroy();
    this.settings.onTrouble?.(this.#failure);
    throw this.#failure;
  }

  get processId(): number {
    return this.#client.processID;
  }

  get socket(): Duplex {
    return this.#client.socket;
  }

  get transactionStatus(): 'idle' | 'open' | 'failed' {
    const { status } = this.#client;
    if (status === 'I') return 'idle';
    return status === 'T' ? 'open' : 'failed';
  }

  /** For how long the statement at the head of the queue has been running. */
  headMs(now: number): number {
    return this.#client.head === undefined ? 0 : now - this.#client.headSince;
  }

  start(statement: Statement): void {
    this.load += 1;
    const signal = statement.options?.signal;
    if (this.state === 'closed') this.#refuse(statement, this.#unsent);
    else if (signal?.aborted === true) this.#refuse(statement, canceled(signal));
    else {
      if (signal !== undefined) this.#listen(statement, signal);
      if (this.state === 'connecting' || this.#alone !== undefined || this.#held.length > 0) this.#held.push(statement);
      else this.#send(statement);
    }
  }

  /** Makes the server stop the statement; it is settled when no later one can be hit. One not sent yet fails with the error given. */
  cancel(statement: Statement, error: unknown): void {
    this.#cancel(statement, error, false);
  }

  /**
   * Nobody wants the statement's answer any more. It is cancelled, unless that would abort the caller's transaction block: then
   * it runs to its end.
   */
  abandon(statement: Statement): void {
    this.#cancel(statement, new ClusterError('canceled', 'the result was not wanted any more'), true);
  }

  /**
   * Makes the server stop what it is at, for a reason of ours. What has been sent behind it may be hit as well: so this is for a transaction that is to end, whose
   * statements are all there is.
   */
  interrupt(error: Error): void {
    const { head } = this.#client;
    if (head === undefined || head.ended || this.#cancels.has(head)) return;
    this.#interruptions.set(head, error);
    this.cancel(head, error);
  }

  /** Forgets what the server knows as prepared, after DISCARD ALL. */
  forgetPrepared(): void {
    this.#client.known.clear();
  }

  /** Its session's settings are about to change, until DISCARD ALL. */
  isolate(): void {
    this.#client.known.isolate();
  }

  /** Keeps the process alive while the link is in use. */
  ref(): void {
    this.#client.ref();
  }

  unref(): void {
    this.#client.unref();
  }

  /** As when the server had closed the connection. */
  break(): void {
    this.#client.socket.destroy(new Error('the server is not used any more'));
  }

  /** Closes politely when nothing runs; else cancels what runs and closes at once. Resolves when the socket is closed; never rejects. */
  async close(): Promise<void> {
    const wasOpen = this.state === 'open';
    const busy = this.#client.head !== undefined;
    this.ref();
    this.#fail(connectionLost(new Error('the connection was closed'), this.settings.name));
    if (wasOpen && busy) await this.#sendCancel().catch(() => undefined);
    if (wasOpen && !busy) await this.#leave();
    else this.#client.socket.destroy();
    await this.#closed;
  }

  /** Says goodbye; a server that does not hang up in time is left. */
  async #leave(): Promise<void> {
    const timer = setTimeout(() => this.#client.socket.destroy(), this.settings.connectTimeoutMs);
    await this.#client.end();
    clearTimeout(timer);
  }

  #cancel(statement: Statement, error: unknown, sparesTransaction: boolean): void {
    if (statement.ended || this.#cancels.has(statement)) return;
    const held = this.#held.indexOf(statement);
    if (held >= 0) {
      this.#held.splice(held, 1);
      this.#drop(statement, error);
      return;
    }
    this.#cancels.set(statement, { running: false, wake: undefined, sparesTransaction });
    if (this.#client.head === statement) this.#cancelHead(statement);
  }

  #listen(statement: Statement, signal: AbortSignal): void {
    const listening = onAbort(signal, () => this.cancel(statement, canceled(signal)));
    statement.stopListening = () => listening[Symbol.dispose]();
  }

  #refuse(statement: Statement, error: unknown): void {
    process.nextTick(() => this.#drop(statement, error));
  }

  /** Settles a statement that was not sent. */
  #drop(statement: Statement, error: unknown): void {
    statement.error = error;
    statement.ended = true;
    this.#settle(statement);
  }

  #send(statement: Statement): void {
    if (statement.alone) this.#alone = statement;
    this.#client.send(statement);
  }

  #sendHeld(): void {
    while (this.#alone === undefined && this.state === 'open') {
      const statement = this.#held.shift();
      if (statement === undefined) return;
      this.#send(statement);
    }
  }

  #ended(statement: Statement): void {
    const { head } = this.#client;
    if (head !== undefined && this.#cancels.has(head)) this.#cancelHead(head);
    const cancellation = this.#cancels.get(statement);
    if (cancellation?.running === true) cancellation.wake?.();
    else this.#settle(statement);
  }

  #cancelHead(statement: Statement): void {
    const cancellation = this.#cancels.get(statement);
    if (cancellation === undefined || cancellation.running) return;
    if (cancellation.sparesTransaction && this.transactionStatus !== 'idle') return;
    cancellation.running = true;
    void this.#cancelUntilEnded(statement, cancellation).finally(() => this.#settle(statement));
  }

  /** A server that takes no cancel loses the connection, which ends the statement too. */
  async #cancelUntilEnded(statement: Statement, cancellation: Cancellation): Promise<void> {
    for (let waitMs: number = cancelAgainMs.first; !statement.ended; waitMs = Math.min(waitMs * 2, cancelAgainMs.max)) {
      try {
        await this.#sendCancel();
      } catch (error) {
        this.#client.socket.destroy(error instanceof Error ? error : undefined);
      }
      if (!statement.ended) await wakened(cancellation, waitMs);
    }
  }

  #sendCancel(): Promise<void> {
    return sendCancelRequest(this.#client, this.settings.connectTimeoutMs);
  }

  #settle(statement: Statement): void {
    if (!this.#cancels.delete(statement) && this.#again(statement)) return;
    this.load -= 1;
    if (this.#alone === statement) this.#alone = undefined;
    this.#sendHeld();
    statement.stopListening?.();
    if (statement.error !== undefined) statement.error = this.#interrupted(statement) ?? this.#translate(statement.error, statement);
    statement.settle();
    if (this.load === 0) this.onIdle?.();
  }

  /** The server calls every cancel a user's request. */
  #interrupted(statement: Statement): Error | undefined {
    return sqlStateOf(statement.error) === '57014' ? this.#interruptions.get(statement) : undefined;
  }

  #translate(error: unknown, { query, options }: Statement): unknown {
    const signal = options?.signal;
    // The link's own failure names the node already.
    const translated = error === this.#failure || error === this.#unsent ? error : translateStatementError(error, this.settings, query.text);
    return signal?.aborted === true ? translateCanceled(translated, signal) : translated;
  }

  /**
   * Outside a transaction a prepared statement that the server does not know (its Parse failed in another's hands, or somebody
   * discarded it) or cannot use any more (a table changed) has not run, so it is prepared anew and run, once.
   */
  #again(statement: Statement): boolean {
    const { error, known } = statement;
    if (error === undefined || known === undefined || statement.parses || this.state !== 'open') return false;
    if (this.#client.status !== 'I' || !isStale(error) || (!this.shared && this.load > 1)) return false;
    statement.prepareAgain();
    this.#client.send(statement);
    return true;
  }

  /** A server that says goodbye has not looked at what stands behind the statement that it answers so, if any. */
  #lost(cause: unknown, unanswered: readonly Statement[]): void {
    const failure = connectionLost(cause, this.settings.name);
    const unsent = notSent(cause, this.settings);
    let isOver = saysGoodbye(cause);
    for (const statement of unanswered) {
      isOver ||= saysGoodbye(statement.error);
      statement.error ??= isOver ? unsent : failure;
    }
    if (this.state !== 'closed') this.settings.onTrouble?.(failure);
    this.#fail(failure, unsent);
    for (const statement of unanswered) this.#ended(statement);
  }

  #fail(failure: unknown, unsent = failure): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.#failure = failure;
    this.#unsent = unsent;
    for (const statement of this.#held.splice(0)) this.#drop(statement, unsent);
    this.onClosed?.();
  }
}

/** Resolves when the cancelled statement ends, or after the time given. */
function wakened(cancellation: Cancellation, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, waitMs);
    cancellation.wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

function isStale(error: unknown): boolean {
  const code = sqlStateOf(error);
  if (code === '26000') return true;
  return code === '0A000' && error instanceof Error && 'routine' in error && error.routine === 'RevalidateCachedQuery';
}
