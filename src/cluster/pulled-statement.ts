import type { CallOptions, NodeQuery } from './node-connection.ts';
import { Statement } from './statement.ts';

/** What a pulled statement needs of the connection it reads from. */
export interface PulledSource {
  pause(): void;
  resume(): void;
  /** The consumer is gone and the statement is not over: it may be cancelled, or its rows dropped. */
  abandon(statement: Statement): void;
}

interface Pull<Item> {
  resolve(result: IteratorResult<Item, undefined>): void;
  reject(error: unknown): void;
}

const end = { done: true, value: undefined } as const;

/**
 * A statement whose answer is read by one consumer, item by item. When the consumer lags too far the socket is paused, so
 * what is held is bounded, but for what one read of the socket brings. A waiting consumer gets what has come as soon as the
 * socket's read has been worked off.
 */
export abstract class PulledStatement<Item> extends Statement implements AsyncIterableIterator<Item, undefined> {
  protected abandoned = false;
  #pull: Pull<Item> | undefined = undefined;
  #paused = false;
  #flushing = false;
  #settled = false;
  #onLeft: (() => void) | undefined = undefined;

  constructor(
    query: NodeQuery,
    options: CallOptions | undefined,
    private readonly source: PulledSource,
  ) {
    super(query, options, true);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Rejects with the statement's error, after what came before it. One call at a time. */
  next(): Promise<IteratorResult<Item, undefined>> {
    const value = this.#take();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#settled) return this.error === undefined ? Promise.resolve(end) : Promise.reject(this.error);
    return new Promise((resolve, reject) => {
      this.#pull = { resolve, reject };
    });
  }

  /** Unlike a generator's, it does not wait behind a pending `next`, which ends too. */
  async return(): Promise<IteratorResult<Item, undefined>> {
    await this.leave();
    return end;
  }

  /** The consumer leaves. Resolves when the connection is ready for another statement; never rejects. */
  leave(): Promise<void> {
    this.abandoned = true;
    this.drop();
    this.#resume();
    if (this.#settled) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onLeft = resolve;
      this.source.abandon(this);
    });
  }

  override settle(): void {
    this.#settled = true;
    this.#resume();
    this.#flush();
    this.#onLeft?.();
    const pull = this.#pull;
    if (pull === undefined) return;
    this.#pull = undefined;
    if (this.error === undefined) pull.resolve(end);
    else pull.reject(this.error);
  }

  /** The next of what has come; undefined if nothing. */
  protected abstract take(): Item | undefined;
  /** Whether so much has come that the server shall wait. */
  protected abstract readonly full: boolean;
  /** Forgets what has come. */
  protected abstract drop(): void;

  /** Something has come: a waiting consumer shall have it soon. */
  protected received(): void {
    if (this.full && !this.#paused && !this.ended) {
      this.#paused = true;
      this.source.pause();
    }
    if (this.#pull === undefined || this.#flushing) return;
    this.#flushing = true;
    process.nextTick(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    const pull = this.#pull;
    const item = pull === undefined ? undefined : this.#take();
    if (pull === undefined || item === undefined) return;
    this.#pull = undefined;
    pull.resolve({ done: false, value: item });
  }

  #take(): Item | undefined {
    const item = this.take();
    if (this.#paused && !this.full) this.#resume();
    return item;
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.source.resume();
  }
}
