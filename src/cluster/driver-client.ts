import type { FieldDescriptor, NodeNotice, NodeNotification } from './node-connection.ts';
import { DataRowReader } from './data-row.ts';
import { KnownStatements } from './known-statements.ts';
import { plainMessage } from './message-framer.ts';
import { MessageWriter } from './message-writer.ts';
import { ScramClient, type ScramKeys } from './scram-client.ts';
import { type TappedConnection, tapRows } from './tap-rows.ts';
import type { CompleteMessage, CopyTarget, Statement } from './statement.ts';
import type { Duplex } from 'node:stream';
import { Client, type ClientConfig, type Connection } from 'pg';
import { nonstandardStrings } from '../sql/standard-strings.ts';

/** What this file uses of pg.Client beyond its documented interface. */
interface ClientInternals {
  readonly processID: number;
  readonly secretKey: number;
  readonly _connecting: boolean;
  readonly connection: Connection & CopyTarget & TappedConnection & SaslConnection;
  ref(): void;
  unref(): void;
  getStartupConf(): Record<string, string>;
  _handleReadyForQuery(message: ReadyMessage): void;
  _handleErrorWhileConnecting(error: unknown): void;
  _handleAuthSASL(message: { readonly mechanisms: readonly string[] }): void;
  _handleAuthSASLContinue(message: { readonly data: string }): Promise<void>;
  _handleAuthSASLFinal(message: { readonly data: string }): void;
}

interface SaslConnection {
  sendSASLInitialResponseMessage(mechanism: string, response: string): void;
  sendSCRAMClientFinalMessage(response: string): void;
  emit(event: 'error', error: unknown): void;
}

const PgClient = Client as unknown as new (config: ClientConfig) => Client & ClientInternals;

/** What the owner of a client is told; none of these may throw. */
export interface DriverEvents {
  /** The server is ready for the next statement; `ended` and `error` are set, `settle` is left to the owner. */
  onEnded(statement: Statement): void;
  /** The connection is gone: the unanswered statements, in order. Called once, and never if it was not open before. */
  onLost(cause: unknown, unanswered: readonly Statement[]): void;
  onNotification(notification: NodeNotification): void;
}

export interface DriverSettings {
  /** Settings for the session to begin with. */
  readonly startup: Readonly<Record<string, string>>;
  /** Statements without a name that are prepared since they are repeated, at most. */
  readonly repeatedMax: number;
  /** In place of a password. */
  readonly keys: ScramKeys | undefined;
}

interface ReadyMessage {
  readonly status: string;
}

/**
 * pg's client with a queue of our own: statements are written as they come (each with its own Sync), one socket write for all
 * that one turn of the event loop brings. pg does the connecting, TLS, authentication and parsing of messages, and calls the underscore methods below; they are
 * part of pg 8.23.1, pinned exactly. A failed statement ends with its ReadyForQuery, not with its ErrorResponse, so that the
 * transaction status is up to date when its caller learns of the error.
 */
export class DriverClient extends PgClient {
  /** What the server knows as prepared. */
  readonly known: KnownStatements;
  /** As in the last ReadyForQuery: `I`, `T` or `E`. */
  status = 'I';
  /** When the current head became the head, by `performance.now()`. */
  headSince = 0;
  readonly #startup: Readonly<Record<string, string>>;
  readonly #events: DriverEvents;
  readonly #out = new MessageWriter();
  readonly #scram: ScramClient | undefined;
  #head: Statement | undefined = undefined;
  #tail: Statement | undefined = undefined;
  #flushing = false;
  #open = false;
  #cause: unknown = undefined;
  /** As the server last reported. */
  inRecovery = false;
  /** The server would find other strings in a text than we do, so the connection is of no use. */
  hasOtherStrings = false;

  constructor(config: ClientConfig, { startup, repeatedMax, keys }: DriverSettings, events: DriverEvents) {
    super(config);
    this.#startup = startup;
    this.#scram = keys === undefined ? undefined : new ScramClient(config.user ?? '', keys);
    this.known = new KnownStatements(repeatedMax);
    this.#events = events;
    this.on('error', (error) => (this.#cause ??= error));
    this.connection.once('end', () => this.#lost());
    let reader: DataRowReader | undefined;
    tapRows(this.connection, {
      onDataRow: (bytes, start, end) => {
        if (reader?.bytes !== bytes) reader = new DataRowReader(bytes);
        this.#head?.onDataRow(reader, start, end);
      },
      onCopyData: (bytes, start, end) => this.#head?.onCopyData(bytes, start, end),
      onPlain: (type, bytes, start, end) => this.#open && this.#take(type, bytes, start, end),
      onChunkEnd: () => {
        reader = undefined;
        this.#head?.onChunkEnd();
      },
    });
    this.connection.on('parameterStatus', ({ parameterName, parameterValue }: { readonly parameterName: string; readonly parameterValue: string }) => {
      if (parameterName === 'in_hot_standby') this.inRecovery = parameterValue === 'on';
      if (parameterName === 'standard_conforming_strings' && parameterValue === 'off') this.#readsStringsOtherwise();
    });
    this.connection.on('parameterDescription', (message: { readonly dataTypeIDs: readonly number[] }) => {
      this.#head?.onParameters(message.dataTypeIDs);
    });
  }

  /** The statement whose answers come next. */
  get head(): Statement | undefined {
    return this.#head;
  }

  get socket(): Duplex {
    return this.connection.stream;
  }

  /** Writes a statement behind those already sent. One that cannot be written ends at once, with its error. */
  send(statement: Statement): void {
    const undo = this.#out.pending;
    try {
      statement.submit(this.#out, this.known);
    } catch (error) {
      this.#out.rewind(undo);
      statement.error = error;
      statement.forgetUnparsed(this.known);
      process.nextTick(() => this.#end(statement));
      return;
    }
    if (this.#tail === undefined) {
      this.#head = statement;
      this.headSince = performance.now();
    } else this.#tail.behind = statement;
    this.#tail = statement;
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(this.#flush);
  }

  /** Startup parameters besides pg's own: the text formats that all our parsers expect. */
  override getStartupConf(): Record<string, string> {
    return { ...super.getStartupConf(), DateStyle: 'ISO', ...this.#startup, IntervalStyle: 'postgres' };
  }

  override _handleAuthSASL(message: { readonly mechanisms: readonly string[] }): void {
    const scram = this.#scram;
    if (scram === undefined) super._handleAuthSASL(message);
    else this.connection.sendSASLInitialResponseMessage(scram.mechanism, scram.first());
  }

  override async _handleAuthSASLContinue(message: { readonly data: string }): Promise<void> {
    const scram = this.#scram;
    if (scram === undefined) await super._handleAuthSASLContinue(message);
    else this.#orFail(() => this.connection.sendSCRAMClientFinalMessage(scram.final(message.data)));
  }

  override _handleAuthSASLFinal(message: { readonly data: string }): void {
    const scram = this.#scram;
    if (scram === undefined) super._handleAuthSASLFinal(message);
    else this.#orFail(() => scram.check(message.data));
  }

  /** The statement that has made it so, if one did, fails with the reason. */
  #readsStringsOtherwise(): void {
    this.hasOtherStrings = true;
    if (!this.#open) return;
    const error = nonstandardStrings();
    if (this.#head !== undefined) this.#head.error ??= error;
    this.socket.destroy(error);
  }

  /** As pg tells of what it refuses in a server's messages. */
  #orFail(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.connection.emit('error', error);
    }
  }

  /** What pg would tell in events, at a third of the cost. */
  #take(type: number, bytes: Buffer, start: number, end: number): boolean {
    if (type === plainMessage.readyForQuery) this._handleReadyForQuery({ status: String.fromCharCode(bytes[start] ?? 0) });
    else if (type === plainMessage.commandComplete) this.#head?.onCompleteMessage(bytes, start, end);
    else if (type === plainMessage.parseComplete) this.#head?.onParsed();
    else if (type === plainMessage.noData) this.#head?.describedAsNone();
    return true;
  }

  _getActiveQuery(): Statement | undefined {
    return this.#head;
  }

  _pulseQueryQueue(): void {
    this.#open = true;
  }

  override _handleReadyForQuery(message: ReadyMessage): void {
    this.status = message.status;
    if (this._connecting) {
      super._handleReadyForQuery(message);
      return;
    }
    const statement = this.#head;
    if (statement === undefined) return;
    this.#head = statement.behind;
    if (this.#head === undefined) this.#tail = undefined;
    else this.headSince = performance.now();
    this.#end(statement);
  }

  _handleErrorMessage(error: unknown): void {
    if (this._connecting) this._handleErrorWhileConnecting(error);
    else if (this.#head === undefined) this.#cause ??= error;
    else this.#head.error ??= error;
  }

  _handleParseComplete(): void {
    this.#head?.onParsed();
  }

  _handleRowDescription(message: { readonly fields: FieldDescriptor[] }): void {
    this.#head?.describedAs(message.fields);
  }

  _handleCommandComplete(message: CompleteMessage): void {
    this.#head?.onComplete(message);
  }

  _handleEmptyQuery(): void {
    this.#head?.onComplete({ text: '' });
  }

  _handleCopyInResponse(): void {
    this.#head?.onCopyIn(this.connection);
  }

  _handleNotice(notice: NodeNotice): void {
    this.#head?.onNotice(notice);
  }

  _handleNotification({ channel, payload, processId }: NodeNotification): void {
    this.#events.onNotification({ channel, payload, processId });
  }

  /** pg would fail its queries here; ours fail when the socket has closed, so that what the server said last is heard. */
  _errorAllQueries(error: unknown): void {
    this.#cause ??= error;
  }

  readonly #flush = (): void => {
    this.#flushing = false;
    const socket = this.connection.stream;
    if (socket.writable) socket.write(this.#out.take());
  };

  #end(statement: Statement): void {
    statement.forgetUnparsed(this.known);
    statement.ended = true;
    statement.behind = undefined;
    this.#events.onEnded(statement);
  }

  #lost(): void {
    const unanswered: Statement[] = [];
    for (let statement = this.#head; statement !== undefined; statement = statement.behind) unanswered.push(statement);
    this.#head = undefined;
    this.#tail = undefined;
    for (const statement of unanswered) {
      statement.ended = true;
      statement.behind = undefined;
    }
    if (this.#open) this.#events.onLost(this.#cause ?? new Error('the server closed the connection'), unanswered);
  }
}
