import { aboutMs } from './pause.ts';

/** What goes wrong so often in a row is no accident. */
const accidents = 2;

/** Tells of work that goes wrong again and again: once, until it has gone well. */
export class FailureCounter {
  #failures = 0;

  constructor(private readonly tell: (error: unknown) => void) {}

  failed(error: unknown): void {
    this.#failures += 1;
    if (this.#failures === accidents + 1) this.tell(error);
  }

  succeeded(): void {
    this.#failures = 0;
  }
}

/** Does something again and again, a while after it was done the last time. What goes wrong is met again the next time; `onTrouble` hears of what goes wrong three times in a row. */
export class BackgroundWork {
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();
  #ended = false;
  readonly #failures: FailureCounter;

  /** `intervalMs`: about how long between two turns. */
  constructor(private readonly intervalMs: number, onTrouble: (error: unknown) => void) {
    this.#failures = new FailureCounter(onTrouble);
  }

  /** Does nothing when it runs already, or is over. */
  start(turn: () => Promise<unknown>): void {
    if (this.#timer === undefined && !this.#ended) this.#schedule(turn);
  }

  /** Waits for a turn under way. */
  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    await this.#turn;
  }

  /** By chance, so that processes that started together do not all begin at once. It keeps no process alive. */
  #schedule(turn: () => Promise<unknown>): void {
    this.#timer = setTimeout(() => {
      this.#turn = this.#take(turn).finally(() => !this.#ended && this.#schedule(turn));
    }, aboutMs(this.intervalMs)).unref();
  }

  async #take(turn: () => Promise<unknown>): Promise<void> {
    try {
      await turn();
      this.#failures.succeeded();
    } catch (error) {
      if (!this.#ended) this.#failures.failed(error);
    }
  }
}
