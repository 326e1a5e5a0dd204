/**
 * Reads one thing for all who ask at once. A reading that started before somebody asked may miss what he waits for: then he gets the next one, with all who wait meanwhile. So there is one at a time, and nobody
 * waits for more than two.
 */
export class SharedReading<T> {
  #running: Promise<T> | undefined;
  /** Starts when the running one is done. */
  #next: Promise<T> | undefined;

  constructor(private readonly read: () => Promise<T>) {}

  /** The one that runs, if there is one: it may have started long ago. */
  get running(): Promise<T> | undefined {
    return this.#running;
  }

  /** Begun no earlier than the call. Rejects as the reading does. */
  fresh(): Promise<T> {
    if (this.#running === undefined) return this.#start();
    const again = (): Promise<T> => {
      this.#next = undefined;
      return this.#start();
    };
    this.#next ??= this.#running.then(again, again);
    return this.#next;
  }

  #start(): Promise<T> {
    const reading = this.read().finally(() => {
      this.#running = undefined;
    });
    this.#running = reading;
    return reading;
  }
}
