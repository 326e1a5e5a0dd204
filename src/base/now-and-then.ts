import { aboutMs } from './pause.ts';

/** Does something again and again, a while after it was done the last time. What goes wrong is met again the next time. */
export class NowAndThen {
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();
  #ended = false;

  /** `intervalMs`: about how long between two turns. */
  constructor(private readonly intervalMs: number) {}

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
      this.#turn = turn().then(() => undefined, () => undefined).finally(() => !this.#ended && this.#schedule(turn));
    }, aboutMs(this.intervalMs)).unref();
  }
}
