/** A small seeded generator (xorshift32 over a mixed seed): equal seeds give equal sequences on every machine. */
export class Random {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = mix(seed);
  }

  /** An integer from `min` to `max`, both inclusive. */
  int(min: number, max: number): number {
    return min + (this.#next() % (max - min + 1));
  }

  /** True with the given probability, 0 to 1. */
  chance(probability: number): boolean {
    return this.#next() / 0x1_0000_0000 < probability;
  }

  pick<T>(list: readonly [T, ...T[]] | readonly T[]): T {
    const value = list[this.int(0, list.length - 1)];
    if (value === undefined) throw new Error('cannot pick from an empty list');
    return value;
  }

  /** One of the choices, each as likely as its weight says. */
  weighted<T>(choices: readonly (readonly [weight: number, value: T])[]): T {
    let left = this.int(1, choices.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, value] of choices) {
      left -= weight;
      if (left <= 0) return value;
    }
    throw new Error('weights must be positive integers');
  }

  /** `count` different elements, in the order of the list. */
  sample<T>(list: readonly T[], count: number): T[] {
    let left = count;
    return list.filter((_, index) => {
      const taken = this.int(1, list.length - index) <= left;
      if (taken) left -= 1;
      return taken;
    });
  }

  #next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }
}

/** Spreads neighbouring seeds over the state space; never 0, which xorshift would keep for ever. */
function mix(seed: number): number {
  let x = (seed ^ 0x9e37_79b9) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
  x ^= x >>> 16;
  return x === 0 ? 1 : x;
}
