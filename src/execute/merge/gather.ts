import type { RawRow } from '../../cluster/node-connection.ts';
import { closeAll, type RowSource } from './row-source.ts';

/** What came of pulling one input. */
type Arrival =
  | { readonly kind: 'rows'; readonly input: RowSource; readonly rows: readonly RawRow[] }
  | { readonly kind: 'end' }
  | { readonly kind: 'failure'; readonly error: unknown };

/**
 * The rows of all inputs, which are pulled side by side. Order: as they come; within one input its own. Duplicates are kept. Memory: one batch
 * for each input. Throws the first failure.
 */
export class Gather implements RowSource {
  readonly #inputs: readonly RowSource[];
  #open: number;
  #started = false;
  readonly #arrivals: Arrival[] = [];
  #waiting: ((arrival: Arrival) => void) | undefined;

  constructor(inputs: readonly RowSource[]) {
    this.#inputs = inputs;
    this.#open = inputs.length;
  }

  async next(): Promise<readonly RawRow[] | undefined> {
    this.#start();
    while (this.#open > 0) {
      const arrival = this.#arrivals.shift() ?? (await this.#arrival());
      if (arrival.kind === 'failure') throw arrival.error;
      if (arrival.kind === 'rows') {
        this.#pull(arrival.input);
        return arrival.rows;
      }
      this.#open -= 1;
    }
    return undefined;
  }

  close(): Promise<void> {
    return closeAll(this.#inputs);
  }

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    for (const input of this.#inputs) this.#pull(input);
  }

  /** Every outcome becomes an arrival, so the promise cannot reject. */
  #pull(input: RowSource): void {
    void input.next().then(
      (rows) => this.#arrived(rows === undefined ? { kind: 'end' } : { kind: 'rows', input, rows }),
      (error: unknown) => this.#arrived({ kind: 'failure', error }),
    );
  }

  #arrived(arrival: Arrival): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#arrivals.push(arrival);
    else waiting(arrival);
  }

  #arrival(): Promise<Arrival> {
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }
}

/** All rows, in order of the sets. May return a set itself. */
export function concatenate(rowSets: readonly (readonly RawRow[])[]): readonly RawRow[] {
  const [only] = rowSets;
  if (only !== undefined && rowSets.length === 1) return only;
  const all: RawRow[] = [];
  for (const rows of rowSets) for (const row of rows) all.push(row);
  return all;
}
