import type { FieldDescriptor, NodeQuery, RawRow, StreamOptions } from './node-connection.ts';
import { type PulledSource, PulledStatement } from './pulled-statement.ts';

const batchRowsDefault = 256;

/** The rows of one result, in batches. */
export class StreamStatement extends PulledStatement<readonly RawRow[]> {
  /** Resolves when the rows are described, rejects with the statement's error. */
  readonly fields: Promise<readonly FieldDescriptor[]>;
  readonly #batchRows: number;
  #batch: RawRow[] = [];
  #resolveFields: (fields: readonly FieldDescriptor[]) => void = () => undefined;
  #rejectFields: (error: unknown) => void = () => undefined;

  constructor(query: NodeQuery, options: StreamOptions | undefined, source: PulledSource) {
    super(query, options, source);
    this.#batchRows = Math.max(1, options?.batchRows ?? batchRowsDefault);
    this.fields = new Promise((resolve, reject) => {
      this.#resolveFields = resolve;
      this.#rejectFields = reject;
    });
    this.fields.catch(() => undefined);
  }

  override onFields(fields: FieldDescriptor[]): void {
    this.#resolveFields(fields);
  }

  override onRow(fields: (string | null)[]): void {
    if (this.abandoned) return;
    this.#batch.push(fields);
    this.received();
    if (this.#batch.length < this.#batchRows) return;
    const full = this.#batch;
    this.#batch = [];
    this.enqueue(full);
  }

  override onComplete(): void {
    this.#resolveFields([]);
  }

  override settle(): void {
    if (this.error !== undefined) this.#rejectFields(this.error);
    super.settle();
  }

  protected override takePartial(): readonly RawRow[] | undefined {
    if (this.#batch.length === 0) return undefined;
    const partial = this.#batch;
    this.#batch = [];
    return partial;
  }
}
