/**
 * Lets one waiter stop waiting when something fails elsewhere. Unlike a race with a promise that lasts, it holds nothing of waits
 * that are over.
 */
export class Interrupt {
  #failure: { readonly error: unknown } | undefined;
  #reject: ((error: unknown) => void) | undefined;

  /** The first failure, if any. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** Only the first counts. */
  raise(error: unknown): void {
    this.#failure ??= { error };
    this.#reject?.(this.#failure.error);
  }

  /** Settles as `promise`, or rejects with the failure as soon as there is one. One call at a time. */
  wait<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      if (this.#failure !== undefined) reject(this.#failure.error);
      promise.then(resolve, reject);
    });
  }
}
