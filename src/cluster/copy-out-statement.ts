import type { CopyOutOptions } from './node-connection.ts';
import { type PulledSource, PulledStatement } from './pulled-statement.ts';

const bytesHeldMax = 128 * 1024;

/**
 * COPY TO STDOUT. What one read of the socket brought becomes one chunk: the server's messages are moved together where they lie, over
 * their headers, which costs a third of copying them elsewhere.
 */
export class CopyOutStatement extends PulledStatement<Uint8Array> {
  readonly #chunks: Uint8Array[] = [];
  readonly #onMessage: CopyOutOptions['onMessage'];
  #bytesHeld = 0;
  /** The memory that the last messages lie in, and where their data is gathered. */
  #memory: Buffer | undefined = undefined;
  #start = 0;
  #end = 0;

  constructor(sql: string, options: CopyOutOptions | undefined, source: PulledSource) {
    super({ text: sql, simple: true }, options, source);
    this.#onMessage = options?.onMessage;
  }

  override onFields(): void {}
  override onRow(): void {}
  override onComplete(): void {}

  override onCopyData(bytes: Buffer, start: number, end: number): void {
    if (this.abandoned) return;
    this.#onMessage?.();
    this.#bytesHeld += end - start;
    if (bytes === this.#memory) {
      bytes.copyWithin(this.#end, start, end);
      this.#end += end - start;
    } else {
      this.#cut();
      this.#memory = bytes;
      this.#start = start;
      this.#end = end;
    }
    this.received();
  }

  protected override get full(): boolean {
    return this.#bytesHeld >= bytesHeldMax;
  }

  protected override drop(): void {
    this.#memory = undefined;
    this.#chunks.length = 0;
    this.#bytesHeld = 0;
  }

  protected override take(): Uint8Array | undefined {
    if (this.#chunks.length === 0) this.#cut();
    const chunk = this.#chunks.shift();
    this.#bytesHeld -= chunk?.length ?? 0;
    return chunk;
  }

  /** Ends the chunk that is being gathered. Later messages of the same memory begin another one. */
  #cut(): void {
    if (this.#memory !== undefined) this.#chunks.push(this.#memory.subarray(this.#start, this.#end));
    this.#memory = undefined;
  }
}
