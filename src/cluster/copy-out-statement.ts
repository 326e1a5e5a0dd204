import type { CallOptions } from './node-connection.ts';
import { type PulledSource, PulledStatement } from './pulled-statement.ts';

const chunkBytes = 64 * 1024;

/**
 * COPY TO STDOUT: the server's messages, gathered into chunks of about 64 KiB. pg may reuse the memory that a message lies
 * in, so it is copied at once.
 */
export class CopyOutStatement extends PulledStatement<Uint8Array> {
  #chunk = Buffer.allocUnsafe(chunkBytes);
  #used = 0;

  constructor(sql: string, options: CallOptions | undefined, source: PulledSource) {
    super({ text: sql, simple: true }, options, source);
  }

  override onFields(): void {}
  override onRow(): void {}
  override onComplete(): void {}

  override onCopyData(data: Uint8Array): void {
    if (this.abandoned) return;
    if (this.#used + data.length > this.#chunk.length) this.#cut(data.length);
    this.#chunk.set(data, this.#used);
    this.#used += data.length;
    this.received();
  }

  protected override takePartial(): Uint8Array | undefined {
    if (this.#used === 0) return undefined;
    const partial = this.#chunk.subarray(0, this.#used);
    this.#start(0);
    return partial;
  }

  /** Hands on what is gathered and makes room for so many bytes. */
  #cut(bytes: number): void {
    const full = this.#chunk.subarray(0, this.#used);
    this.#start(bytes);
    if (full.length > 0) this.enqueue(full);
  }

  /** The rest of the chunk if it is large enough for what comes, else a new one. */
  #start(bytes: number): void {
    const rest = this.#chunk.subarray(this.#used);
    this.#chunk = rest.length >= Math.max(bytes, chunkBytes / 4) ? rest : Buffer.allocUnsafe(Math.max(chunkBytes, bytes));
    this.#used = 0;
  }
}
