import type { Planning } from '../cluster/node-connection.ts';

/** How one run is planned. */
export interface ChosenPlanning {
  /** Undefined: as the server likes. */
  readonly mode: Planning | undefined;
  /** Learns from the time that the run took. */
  judge(ms: number): void;
}

/** Asking for another plan costs a little: it must be quicker by more than that. */
const otherMsShare = 0.8;

/** Learns whether statements run quicker when they are planned in another way: some runs as the server likes, as many in the other way; the shortest of each are compared. */
export class PlanTrial {
  #runs = 0;
  #chosenMs = Number.POSITIVE_INFINITY;
  #otherMs = Number.POSITIVE_INFINITY;

  constructor(
    private readonly other: Planning,
    private readonly runsEach: number,
  ) {}

  choose(): ChosenPlanning {
    this.#runs += 1;
    const mode = this.#isOther() ? this.other : undefined;
    return { mode, judge: (ms) => this.#judge(mode, ms) };
  }

  #isOther(): boolean {
    if (this.#runs <= this.runsEach) return false;
    return this.#runs <= 2 * this.runsEach || this.#otherMs < this.#chosenMs * otherMsShare;
  }

  #judge(mode: Planning | undefined, ms: number): void {
    if (mode === undefined) this.#chosenMs = Math.min(this.#chosenMs, ms);
    else this.#otherMs = Math.min(this.#otherMs, ms);
  }
}
