import { canceled, onAbort, throwIfAborted } from '../base/abort.ts';
import type { Change } from './change.ts';
import type { FeedConsumer } from './feed-consumer.ts';

/**
 * The events of a change feed, pulled: reading stops at the servers when nobody pulls. It is opened by the first pull, and closed by leaving the loop, by `return()`, by its signal or by an error; the feed stays. One that was closed cannot be
 * opened again: call `changes()` once more.
 */
export interface ChangeStream<Row = Record<string, unknown>> extends AsyncIterableIterator<Change<Row>, undefined>, AsyncDisposable {
  /**
   * Says that all up to this cursor is with the receiver for good, so that the servers may forget it, and the feed goes on behind it when it is opened without a cursor. Stored within a second, and when the stream is closed.
   * `invalidParameter` for a cursor ahead of what was given.
   */
  confirm(cursor: string): void;
  /** Unlike a generator's, it does not wait behind a pending `next`, which ends too. */
  return(): Promise<IteratorResult<Change<Row>, undefined>>;
}

interface StreamOptions {
  readonly signal: AbortSignal;
  /** An event is confirmed when the one behind it is asked for. */
  readonly autoConfirm: boolean;
  open(signal: AbortSignal): Promise<FeedConsumer>;
}

const end = { done: true, value: undefined } as const;

export class PulledChanges implements ChangeStream {
  #opening: Promise<FeedConsumer> | undefined;
  #consumer: FeedConsumer | undefined;
  /** Calls of `next` have turns. */
  #turn: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | undefined;
  #last: string | undefined;
  #aborting: Disposable | undefined;
  /** It was aborted, and nobody has heard of that yet: an end would look as if all had come. */
  #untold = false;
  readonly #ending = new AbortController();

  constructor(private readonly options: StreamOptions) {}

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Change, undefined>> {
    const result = this.#turn.then(() => this.#next());
    this.#turn = result.catch(() => undefined);
    return result;
  }

  confirm(cursor: string): void {
    this.#consumer?.confirm(cursor);
  }

  async return(): Promise<typeof end> {
    this.#untold = false;
    await this.#close();
    return end;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #next(): Promise<IteratorResult<Change, undefined>> {
    const { signal, autoConfirm } = this.options;
    if (this.#untold) this.#tellAborted();
    if (this.#closed !== undefined) return end;
    try {
      throwIfAborted(signal);
      // Closing ends a pending pull.
      this.#aborting ??= onAbort(signal, () => void this.#abort());
      this.#consumer ??= await (this.#opening ??= this.options.open(this.#ending.signal));
      if (autoConfirm && this.#last !== undefined) this.#consumer.confirm(this.#last);
      const change = await this.#consumer.next();
      this.#last = change?.cursor ?? this.#last;
      if (change !== undefined) return { done: false, value: change };
    } catch (error) {
      const wasClosed = this.#closed !== undefined;
      await this.#close();
      if (signal.aborted) this.#tellAborted();
      if (wasClosed) return end;
      throw error;
    }
    await this.#close();
    if (signal.aborted) this.#tellAborted();
    return end;
  }

  #abort(): Promise<void> {
    this.#untold = this.#closed === undefined;
    return this.#close();
  }

  #tellAborted(): never {
    this.#untold = false;
    throw canceled(this.options.signal);
  }

  #close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#ending.abort();
      this.#aborting?.[Symbol.dispose]();
      const consumer = this.#consumer ?? (await this.#opening?.catch(() => undefined));
      await consumer?.close();
    })();
    return this.#closed;
  }
}
