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

/** What a turn may resolve to, when there is more for the next one that ought not to wait for long. */
export const soonAgain = Symbol('soon again');
/** Of the first turn that is soon. Each that follows it takes twice as long to come, until it is as good as one that was not asked for. */
const soonMs = 100;

/** Does something again and again, a while after it was done the last time. What goes wrong is met again the next time; `onTrouble` hears of what goes wrong three times in a row. */
export class BackgroundWork {
  #timer: NodeJS.Timeout | undefined;
  /** Undefined before the first. */
  #run: (() => Promise<unknown>) | undefined;
  #turn: Promise<void> = Promise.resolve();
  #isTurning = false;
  #ended = false;
  /** Until the next turn, where somebody has asked for it. */
  #soonMs: number | undefined;
  readonly #failures: FailureCounter;

  /** `intervalMs`: about how long between two turns. */
  constructor(private readonly intervalMs: number, onTrouble: (error: unknown) => void) {
    this.#failures = new FailureCounter(onTrouble);
  }

  /** Does nothing when it runs already, or is over. */
  start(turn: () => Promise<unknown>): void {
    if (this.#run !== undefined || this.#ended) return;
    this.#run = turn;
    this.#schedule();
  }

  /** There is something to do: the next turn comes at once, nearly, and more of them while they resolve to `soonAgain`, or fail. Does nothing before the start. */
  hasten(): void {
    if (this.#run === undefined || this.#ended || this.#soonMs !== undefined) return;
    this.#soonMs = soonMs;
    if (!this.#isTurning) this.#schedule();
  }

  /** Waits for a turn under way. */
  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    await this.#turn;
  }

  /** By chance, so that processes that started together do not all begin at once. It keeps no process alive. */
  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#turn = this.#take().finally(() => !this.#ended && this.#schedule());
    }, aboutMs(Math.min(this.#soonMs ?? Infinity, this.intervalMs))).unref();
  }

  async #take(): Promise<void> {
    const hastened = this.#soonMs;
    // Who asks during the turn may mean what it has passed.
    this.#soonMs = undefined;
    this.#isTurning = true;
    const isMore = await this.#done(hastened !== undefined);
    this.#isTurning = false;
    const nextMs = (hastened ?? this.intervalMs) * 2;
    if (isMore && nextMs < this.intervalMs) this.#soonMs ??= nextMs;
  }

  /** Whether there is more to do. That one of several soon after each other fails is no news: what it is for may have to come back first. */
  async #done(isSoon: boolean): Promise<boolean> {
    try {
      const outcome = await this.#run?.();
      this.#failures.succeeded();
      return outcome === soonAgain;
    } catch (error) {
      if (!this.#ended && !isSoon) this.#failures.failed(error);
      return true;
    }
  }
}
