import type { RawRow } from '../../../src/cluster/node-connection.ts';

export interface StreamScript {
  readonly rows: readonly RawRow[];
  readonly batchRows: number;
  /** After the rows: throw this, or be silent until closed. */
  readonly ending?: { readonly kind: 'throw'; readonly error: Error } | { readonly kind: 'silence' };
}

/** A stream that knows how it was used. Its `return` does not wait for a pending `next`, as those of real streams do not. */
export class TrackedStream implements AsyncIterableIterator<readonly RawRow[], undefined> {
  state: 'unread' | 'reading' | 'ended' | 'closed' = 'unread';
  pulls = 0;
  returns = 0;
  readonly #script: StreamScript;
  #position = 0;
  #interrupt: () => void = () => undefined;

  constructor(script: StreamScript) {
    this.#script = script;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<readonly RawRow[], undefined>> {
    this.pulls += 1;
    this.state = 'reading';
    const { rows, batchRows, ending } = this.#script;
    const value = rows.slice(this.#position, this.#position + batchRows);
    this.#position += value.length;
    if (value.length > 0) return { done: false, value };
    if (ending?.kind === 'silence') {
      await new Promise<void>((resolve) => {
        this.#interrupt = resolve;
      });
      throw new Error('closed while reading');
    }
    this.state = 'ended';
    if (ending?.kind === 'throw') throw ending.error;
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<readonly RawRow[], undefined>> {
    this.returns += 1;
    this.state = 'closed';
    this.#interrupt();
    return { done: true, value: undefined };
  }
}
