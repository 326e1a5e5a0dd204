import type { DataRowReader } from './data-row.ts';
import { headerBytes } from './message-framer.ts';
import type { MessageWriter } from './message-writer.ts';
import type { Callback, CallOptions, RelayedResult, RelayQuery } from './node-connection.ts';
import { Statement } from './statement.ts';
import { ResultTooLong } from '../base/result-too-long.ts';

/** Keeps a statement's rows as the messages that they came in: nothing is read of them. */
export class RelayStatement extends Statement {
  #rows = 0;
  #size = 0;
  /** Messages behind one another in the memory that came last, from `#from` to `#to`; what came before that. */
  #bytes: Buffer | undefined;
  #from = 0;
  #to = 0;
  #pieces: Buffer[] = [];

  constructor(
    override readonly query: RelayQuery,
    options: CallOptions | undefined,
    private readonly callback: Callback<RelayedResult>,
  ) {
    super(query, options, false);
  }

  protected override get takesKnownFields(): boolean {
    return true;
  }

  /** Who knows the columns does not ask for them. */
  protected override run(out: MessageWriter, name: string, values: readonly unknown[]): void {
    out.runWith(name, values, this.query.resultFormats);
  }

  override onFields(): void {}

  override onDataRow({ bytes }: DataRowReader, start: number, end: number): void {
    this.#rows += 1;
    this.#take(bytes, start - headerBytes, end);
  }

  override onRow(): void {}

  override onCompleteMessage(bytes: Buffer, start: number, end: number): void {
    this.#take(bytes, start - headerBytes, end);
  }

  override onComplete(): void {}

  override settle(): void {
    if (this.error !== undefined) {
      this.callback(this.error, undefined);
      return;
    }
    this.#keep();
    this.callback(undefined, { rows: this.#rows, messages: this.#pieces });
  }

  #take(bytes: Buffer, start: number, end: number): void {
    this.#size += end - start;
    if (this.#size > this.query.bytesMax) {
      this.error ??= new ResultTooLong(this.query.bytesMax);
      this.#bytes = undefined;
      this.#pieces = [];
      return;
    }
    if (this.#bytes !== bytes || this.#to !== start) {
      this.#keep();
      this.#bytes = bytes;
      this.#from = start;
    }
    this.#to = end;
  }

  #keep(): void {
    if (this.#bytes !== undefined) this.#pieces.push(this.#bytes.subarray(this.#from, this.#to));
    this.#bytes = undefined;
  }
}
