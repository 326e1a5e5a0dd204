import { assert } from '../../base/assert.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import type { RowSource } from './row-source.ts';

type Step = IteratorResult<readonly RawRow[], undefined>;

/**
 * A source as a stream for `for await`, once. It closes the source when the rows end, when the source throws, and on `return`, which unlike
 * a generator's does not wait for a pending `next`: that one then ends without rows.
 */
export class PulledRows implements AsyncIterableIterator<readonly RawRow[], undefined> {
  readonly #source: RowSource;
  #ended = false;
  #pending = false;

  constructor(source: RowSource) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<Step> {
    assert(!this.#pending, 'rows are pulled one batch at a time');
    if (this.#ended) return end;
    this.#pending = true;
    try {
      const rows = await this.#source.next();
      if (!this.#ended && rows !== undefined) return { done: false, value: rows };
    } catch (error) {
      if (!this.#ended) {
        await this.#close();
        throw error;
      }
    } finally {
      this.#pending = false;
    }
    await this.#close();
    return end;
  }

  async return(): Promise<Step> {
    await this.#close();
    return end;
  }

  async throw(error: unknown): Promise<Step> {
    await this.#close();
    throw error;
  }

  async #close(): Promise<void> {
    this.#ended = true;
    await this.#source.close();
  }
}

const end: Step = { done: true, value: undefined };
