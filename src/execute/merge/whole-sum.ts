import { ClusterError } from '../../base/errors.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import type { Accumulator } from './accumulator.ts';

/** The exact sum of bigints; `numericOverflow` only when the total is none. */
export class WholeSum implements Accumulator {
  readonly #column: number;
  readonly #empty: string | null;
  #seen = false;
  /** The total is the sum of both: small summands go to the number, which is always exact. */
  #small = 0;
  #large = 0n;

  constructor(column: number, empty: string | null) {
    this.#column = column;
    this.#empty = empty;
  }

  add(row: RawRow): void {
    const text = row[this.#column] ?? null;
    if (text === null) return;
    this.#seen = true;
    if (text.length > smallDigitsMax) this.#large += BigInt(text);
    else this.#small += Number(text);
    if (Math.abs(this.#small) < smallMax) return;
    this.#large += BigInt(this.#small);
    this.#small = 0;
  }

  result(): string | null {
    if (!this.#seen) return this.#empty;
    if (this.#large === 0n) return String(this.#small);
    const total = this.#large + BigInt(this.#small);
    if (BigInt.asIntN(64, total) !== total) throw new ClusterError('numericOverflow', 'bigint out of range');
    return String(total);
  }
}

/** One more summand of so many digits keeps a number below `smallMax` within 2^53. */
const smallDigitsMax = 15;
const smallMax = 8e15;
