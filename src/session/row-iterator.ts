import { at } from '../base/assert.ts';

/**
 * The rows of batches one by one. A row costs a promise and no more: `yield*` over a batch in an async generator takes several times
 * as long. As with a generator, calls made before the last one has answered wait for it.
 */
export class RowIterator<Row> implements AsyncGenerator<Row, void, undefined> {
  readonly #batches: AsyncGenerator<readonly Row[], void, undefined>;
  #batch: readonly Row[] = [];
  #position = 0;
  /** The last call that had to wait, while it does. */
  #waiting: Promise<unknown> | undefined;

  constructor(batches: AsyncGenerator<readonly Row[], void, undefined>) {
    this.#batches = batches;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Row, void>> {
    const position = this.#position;
    if (position < this.#batch.length && this.#waiting === undefined) {
      this.#position = position + 1;
      return Promise.resolve({ done: false, value: at(this.#batch, position) });
    }
    return this.#queued(() => this.#pull());
  }

  return(): Promise<IteratorResult<Row, void>> {
    return this.#queued(async () => {
      this.#batch = [];
      await this.#batches.return();
      return { done: true, value: undefined };
    });
  }

  throw(error: unknown): Promise<IteratorResult<Row, void>> {
    return this.#queued(async () => {
      this.#batch = [];
      await this.#batches.throw(error);
      return { done: true, value: undefined };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async #pull(): Promise<IteratorResult<Row, void>> {
    while (this.#position >= this.#batch.length) {
      const { done, value } = await this.#batches.next();
      if (done === true) {
        this.#batch = [];
        return { done: true, value: undefined };
      }
      this.#batch = value;
      this.#position = 0;
    }
    const row = at(this.#batch, this.#position);
    this.#position += 1;
    return { done: false, value: row };
  }

  #queued<T>(call: () => Promise<T>): Promise<T> {
    const before = this.#waiting;
    const answer = before === undefined ? call() : before.then(call);
    const over: Promise<unknown> = answer.then(
      () => this.#over(over),
      () => this.#over(over),
    );
    this.#waiting = over;
    return answer;
  }

  #over(call: Promise<unknown>): void {
    if (this.#waiting === call) this.#waiting = undefined;
  }
}
