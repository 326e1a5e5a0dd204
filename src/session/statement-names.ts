import { ClusterError } from '../base/errors.ts';
import { LruMap } from '../base/lru.ts';

const namesMax = 10_000;

/** The names that a caller gave to statements: one name, one text, as pg has it. */
export class StatementNames {
  readonly #texts = new LruMap<string, string>(namesMax);

  /** Runs a query under its name; one that failed has not taken the name. Rejects with `duplicatePreparedStatement`, in pg's words. */
  run<T>({ name, text }: { readonly name?: string | undefined; readonly text: string }, work: () => Promise<T>): Promise<T> {
    if (name === undefined) return work();
    const known = this.#texts.get(name);
    if (known === text) return work();
    if (known !== undefined) {
      return Promise.reject(new ClusterError('duplicatePreparedStatement', `Prepared statements must be unique - '${name}' was used for a different statement`));
    }
    return work().then((result) => {
      this.#texts.set(name, text);
      return result;
    });
  }
}
