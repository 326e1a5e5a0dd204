export interface LaneWorker<T> {
  /** Must not reject: it reports its failure itself. */
  readonly send: (item: T) => Promise<void>;
  /** The lane has nothing left: who waits for idle lanes may look again, whatever came first, this or the end of the last `send`. */
  readonly onIdle: () => void;
}

/** Sends one node's buffers, one after the other: a transaction has one connection per node. */
export class NodeLane<T> {
  readonly #queue: T[] = [];
  readonly #worker: LaneWorker<T>;
  #run: Promise<void> | undefined;
  #stopped = false;

  constructor(worker: LaneWorker<T>) {
    this.#worker = worker;
  }

  get idle(): boolean {
    return this.#run === undefined;
  }

  push(item: T): void {
    if (this.#stopped) return;
    this.#queue.push(item);
    this.#run ??= this.#work();
  }

  /** Drops what has not been sent. */
  stop(): void {
    this.#stopped = true;
    this.#queue.length = 0;
  }

  /** Resolves when nothing is left to send. */
  async drained(): Promise<void> {
    await this.#run;
  }

  async #work(): Promise<void> {
    for (;;) {
      const item = this.#queue.shift();
      if (item === undefined) break;
      await this.#worker.send(item);
    }
    this.#run = undefined;
    this.#worker.onIdle();
  }
}
