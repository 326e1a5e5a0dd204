export interface Weighing<K> {
  /** All entries together may weigh this much. */
  readonly max: number;
  readonly of: (key: K) => number;
}

/** A map of at most `capacity` entries, and of a limited weight, that forgets the least recently used. Get and set are O(1), but for what set forgets. */
export class LruMap<K, V> {
  readonly #entries = new Map<K, V>();
  #weight = 0;

  constructor(
    readonly capacity: number,
    readonly weighing: Weighing<K> = { max: Infinity, of: () => 0 },
  ) {}

  get size(): number {
    return this.#entries.size;
  }

  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    if (this.#entries.size > this.capacity >> 1 || this.#weight * 2 > this.weighing.max) this.#touch(key, value);
    return value;
  }

  set(key: K, value: V): void {
    this.delete(key);
    this.#entries.set(key, value);
    this.#weight += this.weighing.of(key);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.capacity && this.#weight <= this.weighing.max) return;
      this.delete(oldest);
    }
  }

  delete(key: K): void {
    if (this.#entries.delete(key)) this.#weight -= this.weighing.of(key);
  }

  clear(): void {
    this.#entries.clear();
    this.#weight = 0;
  }

  #touch(key: K, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
  }
}
