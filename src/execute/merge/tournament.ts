/**
 * Finds again and again the first of `size` players, of which only the winner changes in between: O(log size) comparisons a time.
 * `before` is a strict total order of player numbers. Source: the tree of losers, Knuth, TAOCP vol. 3, 5.4.1.
 */
export class Tournament {
  readonly #before: (a: number, b: number) => boolean;
  readonly #size: number;
  /** Inner nodes from 1; the leaf of player p hangs below node (size + p) >> 1. */
  readonly #losers: Int32Array;
  /** The first of all players. */
  winner: number;

  /** `size` is at least 1. */
  constructor(size: number, before: (a: number, b: number) => boolean) {
    this.#before = before;
    this.#size = size;
    this.#losers = new Int32Array(size);
    this.winner = this.#play(1);
  }

  /** To be called after the winner's value changed. */
  replay(): void {
    const losers = this.#losers;
    let winner = this.winner;
    for (let node = (this.#size + winner) >> 1; node >= 1; node >>= 1) {
      const loser = losers[node] ?? 0;
      if (!this.#before(loser, winner)) continue;
      losers[node] = winner;
      winner = loser;
    }
    this.winner = winner;
  }

  /** Lets all players below a node play; returns their winner. */
  #play(node: number): number {
    if (node >= this.#size) return node - this.#size;
    const left = this.#play(node * 2);
    const right = this.#play(node * 2 + 1);
    const leftWins = this.#before(left, right);
    this.#losers[node] = leftWins ? right : left;
    return leftWins ? left : right;
  }
}
