import { canceled } from './abort.ts';
import { ClusterError } from './errors.ts';

interface Waiter {
  readonly grant: () => void;
}

/** At most `permits` holders at once; the others wait in order of arrival, at most `queueMax` of them. */
export class Semaphore {
  #free: number;
  readonly #waiters = new Set<Waiter>();

  constructor(
    permits: number,
    readonly queueMax: number = Number.POSITIVE_INFINITY,
  ) {
    this.#free = permits;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** Resolves when a permit is held; rejects with `canceled` on abort and `poolTimeout` when the queue is full. */
  acquire(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(canceled(signal));
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve();
    }
    if (this.#waiters.size >= this.queueMax) {
      return Promise.reject(new ClusterError('poolTimeout', `more than ${this.queueMax} calls wait already`));
    }
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#waiters.delete(waiter);
        if (signal !== undefined) reject(canceled(signal));
      };
      const waiter: Waiter = {
        grant: () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  release(): void {
    const next = this.#waiters.values().next();
    if (next.done === true) {
      this.#free += 1;
      return;
    }
    this.#waiters.delete(next.value);
    next.value.grant();
  }
}
