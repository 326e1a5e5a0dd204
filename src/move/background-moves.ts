import type { Moves } from './moves.ts';

/** Looks now and then for moves that a process has left, and carries them on. */
export class BackgroundMoves {
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();
  #ended = false;

  /** `intervalMs`: about how long between two looks. */
  constructor(private readonly intervalMs: number) {}

  /** Does nothing when it runs already, or is over. */
  start(moves: Moves): void {
    if (this.#timer === undefined && !this.#ended) this.#schedule(moves);
  }

  /** Waits for a turn under way, which must have been told to leave its move. */
  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    await this.#turn;
  }

  #schedule(moves: Moves): void {
    // By chance, so that processes that started together do not all ask at once. It keeps no process alive.
    const delayMs = this.intervalMs * (0.5 + Math.random() / 2);
    this.#timer = setTimeout(() => {
      this.#turn = moves.carryOnAll().catch(() => undefined).finally(() => !this.#ended && this.#schedule(moves));
    }, delayMs).unref();
  }
}
