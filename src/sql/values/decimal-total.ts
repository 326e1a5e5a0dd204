import { addDecimal, type Decimal, decimal, parseDecimal } from './decimal.ts';

/** The exact sum of numerics or integers in the server's text output. What is small is added as numbers, which stay below 2^53. */
export class DecimalTotal {
  /** A coefficient at `#scale`. */
  #small = 0;
  #scale = 0;
  #large: Decimal | undefined;
  #empty = true;

  add(text: string): void {
    const point = text.indexOf('.');
    const scale = point < 0 ? 0 : text.length - point - 1;
    if (text.length > smallTextMax || !endsInFigure(text)) {
      this.#addLarge(parseDecimal(text));
      this.#empty = false;
      return;
    }
    if (scale !== this.#scale || this.#small > smallMax || this.#small < -smallMax) this.#spill(scale);
    // Off by less than a half before it is rounded, since the coefficient has 15 figures at most.
    this.#small += scale === 0 ? Number(text) : Math.round(Number(text) * (powers[scale] ?? Number.NaN));
    this.#empty = false;
  }

  /** With the largest scale of all summands; undefined when there were none. */
  value(): Decimal | undefined {
    if (this.#empty) return undefined;
    const small = decimal(BigInt(this.#small), this.#scale);
    return this.#large === undefined ? small : addDecimal(this.#large, small);
  }

  #spill(scale: number): void {
    if (!this.#empty) this.#addLarge(decimal(BigInt(this.#small), this.#scale));
    this.#small = 0;
    this.#scale = scale;
  }

  #addLarge(summand: Decimal): void {
    this.#large = this.#large === undefined ? summand : addDecimal(this.#large, summand);
  }
}

/** Fifteen figures and a point or sign: 10^15 more than `smallMax` is below 2^53. */
const smallTextMax = 15;
const smallMax = 8e15;
const powers = Array.from({ length: smallTextMax + 1 }, (_, scale) => 10 ** scale);

/** Not NaN or Infinity. */
function endsInFigure(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0x30 && last <= 0x39;
}
