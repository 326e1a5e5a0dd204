import type { RawRow } from '../../cluster/node-connection.ts';
import type { RowSource } from './row-source.ts';

/** A stream as a source. Leaves out empty batches. A stream that ended or failed is not closed again, as in `for await`. */
export class StreamSource implements RowSource {
  readonly #iterator: AsyncIterator<readonly RawRow[]>;
  #open = true;

  constructor(stream: AsyncIterable<readonly RawRow[]>) {
    this.#iterator = stream[Symbol.asyncIterator]();
  }

  async next(): Promise<readonly RawRow[] | undefined> {
    try {
      while (this.#open) {
        const { done, value } = await this.#iterator.next();
        if (done === true) break;
        if (value.length > 0) return value;
      }
      this.#open = false;
      return undefined;
    } catch (error) {
      this.#open = false;
      throw error;
    }
  }

  /** What goes wrong in closing is dropped: the rows that came before are right all the same. */
  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await Promise.allSettled([(async () => this.#iterator.return?.())()]);
  }
}
