import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';

interface Entry {
  readonly key: Buffer;
  cancel(): void;
}

/** Who may cancel what: each session has a number and a secret, which it tells its client alone. */
export class CancelKeys {
  readonly #entries = new Map<number, Entry>();

  add(keyBytes: number, cancel: () => void): { readonly processId: number; readonly key: Buffer } {
    let processId = randomInt(1, 2 ** 31);
    while (this.#entries.has(processId)) processId = randomInt(1, 2 ** 31);
    const key = randomBytes(keyBytes);
    this.#entries.set(processId, { key, cancel });
    return { processId, key };
  }

  remove(processId: number): void {
    this.#entries.delete(processId);
  }

  /** Told of requests for sessions that are not here: they may be another process's. */
  onUnknown: (processId: number, key: Buffer) => void = () => undefined;

  /** A wrong key does nothing, and nobody hears of it. */
  cancel(processId: number, key: Buffer): boolean {
    const entry = this.#entries.get(processId);
    if (entry === undefined) return false;
    if (entry.key.length === key.length && timingSafeEqual(entry.key, key)) entry.cancel();
    return true;
  }
}
