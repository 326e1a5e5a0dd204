import type { DataRowReader } from './data-row.ts';
import { HeldRows } from './held-rows.ts';
import type { FieldDescriptor, NodeQuery, RawRow, StreamOptions } from './node-connection.ts';
import { type PulledSource, PulledStatement } from './pulled-statement.ts';

const batchRowsDefault = 256;
const batchesHeld = 2;
const bytesHeld = 1024 * 1024;
/** Few rows exist as objects at a time: of those that outlive a scavenge, V8 would make its young generation larger. */
const rowsAtOnce = 32;

/**
 * The rows of one result, in batches. Rows wait for the consumer as the server's bytes, and are read when they are pulled: so few objects
 * live for long that V8's young generation stays small.
 */
export class StreamStatement extends PulledStatement<readonly RawRow[]> {
  /** Resolves when the rows are described, rejects with the statement's error. */
  readonly fields: Promise<readonly FieldDescriptor[]>;
  readonly #batchRows: number;
  readonly #pieceRows: number;
  readonly #held = new HeldRows();
  #resolveFields: (fields: readonly FieldDescriptor[]) => void = () => undefined;
  #rejectFields: (error: unknown) => void = () => undefined;

  constructor(query: NodeQuery, options: StreamOptions | undefined, source: PulledSource) {
    super(query, options, source);
    this.#batchRows = Math.max(1, options?.batchRows ?? batchRowsDefault);
    this.#pieceRows = Math.min(this.#batchRows, rowsAtOnce);
    this.fields = new Promise((resolve, reject) => {
      this.#resolveFields = resolve;
      this.#rejectFields = reject;
    });
    this.fields.catch(() => undefined);
  }

  override onFields(fields: FieldDescriptor[]): void {
    this.#resolveFields(fields);
  }

  override onDataRow(reader: DataRowReader, start: number, end: number): void {
    if (this.abandoned) return;
    this.#held.add(reader.bytes, start, end);
    this.received();
  }

  override onChunkEnd(): void {
    this.#held.settle();
  }

  override onRow(): void {}

  override onComplete(): void {
    this.#resolveFields([]);
  }

  override settle(): void {
    if (this.error !== undefined) this.#rejectFields(this.error);
    super.settle();
  }

  protected override get full(): boolean {
    return this.#held.rows >= batchesHeld * this.#batchRows || this.#held.bytes >= bytesHeld;
  }

  protected override drop(): void {
    this.#held.clear();
  }

  protected override take(): readonly RawRow[] | undefined {
    return this.#held.rows === 0 ? undefined : this.#held.read(this.#pieceRows);
  }
}
