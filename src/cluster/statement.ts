import type { DataRowReader } from './data-row.ts';
import type { CallOptions, FieldDescriptor, NodeNotice, NodeQuery, Planning, RawRow } from './node-connection.ts';
import type { KnownStatement, KnownStatements } from './known-statements.ts';
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

const planningSettings: Readonly<Record<Planning, { readonly name: string; readonly text: string }>> = {
  generic: { name: 'shardwright_generic_plan', text: `SELECT pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true)` },
  serial: { name: 'shardwright_serial_plan', text: `SELECT pg_catalog.set_config('max_parallel_workers_per_gather', '0', true)` },
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
  /** The prepared statement that it runs, unless that is the unnamed one. */
  known: KnownStatement | undefined = undefined;
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

  /** Writes the statement; `known` is what the connection's server knows as prepared. When it throws, the caller drops what was written. */
  submit(out: MessageWriter, known: KnownStatements): void {
    if (this.#extended()) {
      this.writeExtended(out, known);
      out.sync();
    } else out.query(this.query.text);
  }

  /** Writes it for the extended protocol, without the Sync that would end it. */
  writeExtended(out: MessageWriter, known: KnownStatements): void {
    const { text, values = [], name, repeats, planning, answered } = this.query;
    this.known = name !== undefined ? known.named(name, text, this.reparse) : repeats === undefined ? undefined : known.repeated(text, repeats, this.reparse);
    if (planning === 'serial' || (planning === 'generic' && this.known !== undefined)) this.#setPlanning(planning, out, known);
    if (this.known === undefined) {
      out.parse('', text);
      this.run(out, '', values, undefined);
    } else this.#runKnown(this.known, values, out);
    if (answered !== undefined) out.flush();
  }

  /** Whether it can be told of its columns before the server answers. */
  protected get takesKnownFields(): boolean {
    return false;
  }

  #runKnown(known: KnownStatement, values: readonly unknown[], out: MessageWriter): void {
    if (!known.isSent) {
      parse(known, out);
      this.parses = true;
    }
    this.run(out, known.name, values, this.takesKnownFields && this.query.planning === undefined ? known.fields : undefined);
  }

  /** `fields`: its columns, where they need not be described. */
  protected run(out: MessageWriter, name: string, values: readonly unknown[], fields: FieldDescriptor[] | undefined): void {
    if (fields === undefined) out.run(name, values);
    else {
      out.runWith(name, values);
      if (fields.length > 0) this.onFields(fields.slice());
    }
  }

  #extended(): boolean {
    const { values, name, repeats, planning, resultFormats, simple } = this.query;
    return simple !== true && (name !== undefined || repeats !== undefined || planning !== undefined || resultFormats !== undefined || (values !== undefined && values.length > 0));
  }

  /** The setting lasts until the Sync behind the statement itself, whatever comes of that. Its result is one before the statement's own. */
  #setPlanning(planning: Planning, out: MessageWriter, known: KnownStatements): void {
    const { name, text } = planningSettings[planning];
    const setting = known.named(name, text, this.reparse);
    if (!setting.isSent) {
      parse(setting, out);
      this.#parsesAhead = 1;
    }
    out.runWith(setting.name, []);
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
  forgetUnparsed(known: KnownStatements): void {
    if (this.parses && !this.parsed && this.known !== undefined) known.forget(this.known);
  }

  /** The server has described the columns. */
  describedAs(fields: FieldDescriptor[]): void {
    if (this.known !== undefined) this.known.fields = fields.slice();
    this.onFields(fields);
  }

  /** It returns no rows. */
  describedAsNone(): void {
    if (this.known !== undefined) this.known.fields = [];
  }

  onNotice(notice: NodeNotice): void {
    this.options?.onNotice?.(notice);
  }

  /** Called once, after `ended`; must not throw. */
  abstract settle(): void;
  abstract onFields(fields: FieldDescriptor[]): void;
  abstract onRow(row: RawRow): void;
  abstract onComplete(message: CompleteMessage): void;

  /** The message of which that is the body. */
  onCompleteMessage(bytes: Buffer, start: number, end: number): void {
    this.onComplete({ text: bytes.toString('latin1', start, end - 1) });
  }

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

function parse(known: KnownStatement, out: MessageWriter): void {
  if (known.closes !== undefined) out.close(known.closes);
  out.parse(known.name, known.text);
  known.isSent = true;
}
