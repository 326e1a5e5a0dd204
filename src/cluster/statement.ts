import type { DataRowReader } from './data-row.ts';
import type { CallOptions, FieldDescriptor, NodeNotice, NodeQuery, RawRow } from './node-connection.ts';
import { ClusterError } from '../base/errors.ts';
import type { MessageWriter } from './message-writer.ts';

/** What the server reports at the end of a statement: `SELECT 5`, `INSERT 0 1`. */
export interface CompleteMessage {
  readonly text: string;
}

/** Where a statement in COPY FROM STDIN may answer. */
export interface CopyTarget {
  sendCopyFail(reason: string): void;
  sync(): void;
}

const genericPlan = {
  name: 'shardwright_generic_plan',
  text: `SELECT pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true)`,
};

/**
 * One statement on its way through a connection: it writes its messages, takes the answers, and is settled once the server is
 * ready for the next (or the connection is gone). Subclasses say what becomes of the answers.
 */
export abstract class Statement {
  /** The one behind it in the connection's queue. */
  behind: Statement | undefined = undefined;
  /** The first error; set before `settle` is called. */
  error: unknown = undefined;
  /** The server is ready for the next statement, or never will be. */
  ended = false;
  /** Whether the server read a Parse of this statement without complaint. */
  parsed = false;
  /** Whether this statement brought its own Parse. */
  parses = false;
  /** Sends Parse again even if the connection knows the name: what the server knew under it is of no use any more. */
  reparse = false;
  /** Set while the link listens to the signal. */
  stopListening: (() => void) | undefined = undefined;
  /** Parses of statements that run before this one. */
  #parsesAhead = 0;
  /** Nothing may be sent behind it before it has ended: it may be cancelled, or it speaks COPY. */
  readonly alone: boolean;

  constructor(
    readonly query: NodeQuery,
    readonly options: CallOptions | undefined,
    alone: boolean,
  ) {
    this.alone = alone || options?.signal !== undefined;
  }

  /**
   * Writes the statement; `prepared` are the names the connection's server knows, with their texts. When it throws, the caller
   * drops what was written.
   */
  submit(out: MessageWriter, prepared: Map<string, string>): void {
    if (this.#extended()) {
      this.writeExtended(out, prepared);
      out.sync();
    } else out.query(this.query.text);
  }

  /** Writes it for the extended protocol, without the Sync that would end it. */
  writeExtended(out: MessageWriter, prepared: Map<string, string>): void {
    const { text, values, name, answered } = this.query;
    if (name === undefined) out.parse('', text);
    else {
      if (this.query.genericPlan === true) this.#forceGenericPlan(out, prepared);
      this.#prepare(name, out, prepared);
    }
    out.run(name ?? '', values ?? []);
    if (answered !== undefined) out.flush();
  }

  #extended(): boolean {
    const { values, name, simple } = this.query;
    return simple !== true && (name !== undefined || (values !== undefined && values.length > 0));
  }

  /** The setting lasts until the Sync behind the statement itself, whatever comes of that. Its result is one before the statement's own. */
  #forceGenericPlan(out: MessageWriter, prepared: Map<string, string>): void {
    const { name, text } = genericPlan;
    if (this.reparse) out.close(name);
    if (this.reparse || !prepared.has(name)) {
      out.parse(name, text);
      prepared.set(name, text);
      this.#parsesAhead = 1;
    }
    out.runWith(name);
  }

  #prepare(name: string, out: MessageWriter, prepared: Map<string, string>): void {
    const { text } = this.query;
    const known = this.reparse ? undefined : prepared.get(name);
    if (known === text) return;
    if (known !== undefined) {
      throw new ClusterError('duplicatePreparedStatement', `prepared statement "${name}" was used for a different statement`);
    }
    if (this.reparse) out.close(name);
    out.parse(name, text);
    this.parses = true;
    prepared.set(name, text);
  }

  /** The server has read a Parse that came with this statement. */
  onParsed(): void {
    if (this.#parsesAhead > 0) this.#parsesAhead -= 1;
    else this.parsed = true;
  }

  /** Makes ready to be sent once more, with Parse. Only for one of which nothing ran. */
  prepareAgain(): void {
    this.error = undefined;
    this.ended = false;
    this.parsed = false;
    this.#parsesAhead = 0;
    this.reparse = true;
  }

  /** Called at its end: a name whose Parse was refused or skipped is not known to the server. */
  forgetUnparsed(prepared: Map<string, string>): void {
    const { name } = this.query;
    if (this.parses && !this.parsed && name !== undefined) prepared.delete(name);
  }

  onNotice(notice: NodeNotice): void {
    this.options?.onNotice?.(notice);
  }

  /** Called once, after `ended`; must not throw. */
  abstract settle(): void;
  abstract onFields(fields: FieldDescriptor[]): void;
  abstract onRow(row: RawRow): void;
  abstract onComplete(message: CompleteMessage): void;

  /** The types of a described statement's parameters. */
  onParameters(_typeOids: readonly number[]): void {}

  /** The server wants COPY data. Nobody has any, unless a subclass does. */
  onCopyIn(target: CopyTarget): void {
    target.sendCopyFail('no source of COPY data');
    // The Sync that went with Execute was swallowed by the server's COPY mode.
    if (this.#extended()) target.sync();
  }

  /** A row's message, whose body lies in the reader's memory. */
  onDataRow(reader: DataRowReader, start: number, _end: number): void {
    this.onRow(reader.read(start));
  }

  /** All that one read of the socket brought has been handed on. */
  onChunkEnd(): void {}

  /** The body of a message of COPY TO. Its memory belongs to the statement up to `end`: it may be kept and written to. */
  onCopyData(_bytes: Buffer, _start: number, _end: number): void {}
}
