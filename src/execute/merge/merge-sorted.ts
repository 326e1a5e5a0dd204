import { at } from '../../base/assert.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import type { RowOrder } from './row-order.ts';
import { closeAll, type RowSource } from './row-source.ts';
import { Tournament } from './tournament.ts';

/**
 * Merges sorted inputs. Order: `order`, ties by position of the input (stable). Duplicates are kept. All inputs are pulled at once at first, so
 * all must be able to run at the same time. Memory: one batch for each input. Time: O(rows · log inputs). Throws what the inputs throw.
 */
export class MergeSorted implements RowSource {
  readonly #inputs: readonly RowSource[];
  readonly #order: RowOrder;
  readonly #batchRows: number;
  readonly #batches: (readonly RawRow[])[] = [];
  readonly #positions: number[] = [];
  /** Each input's next row, undefined when it has ended. */
  readonly #heads: (RawRow | undefined)[] = [];
  readonly #ranks: number[] = [];
  #tournament: Tournament | undefined;
  /** Whether the batch of the last winner is used up. */
  #dry = false;

  constructor(inputs: readonly RowSource[], { order, batchRows }: { readonly order: RowOrder; readonly batchRows: number }) {
    this.#inputs = inputs;
    this.#order = order;
    this.#batchRows = batchRows;
  }

  /** What is certain before an input must be waited for again, up to `batchRows`. */
  async next(): Promise<readonly RawRow[] | undefined> {
    if (this.#inputs.length === 0) return undefined;
    const tournament = (this.#tournament ??= await this.#begin());
    if (this.#dry) {
      await this.#refill(tournament.winner);
      tournament.replay();
      this.#dry = false;
    }
    const rows = this.#take(tournament);
    return rows.length === 0 ? undefined : rows;
  }

  close(): Promise<void> {
    return closeAll(this.#inputs);
  }

  async #begin(): Promise<Tournament> {
    await Promise.all(this.#inputs.map((_, input) => this.#refill(input)));
    return new Tournament(this.#inputs.length, (a, b) => this.#isBefore(a, b));
  }

  async #refill(input: number): Promise<void> {
    this.#set(input, (await at(this.#inputs, input).next()) ?? []);
  }

  #set(input: number, batch: readonly RawRow[]): void {
    this.#batches[input] = batch;
    this.#positions[input] = 0;
    this.#show(input, batch[0]);
  }

  #show(input: number, row: RawRow | undefined): void {
    this.#heads[input] = row;
    this.#ranks[input] = row === undefined ? Infinity : this.#order.rank(row);
  }

  #take(tournament: Tournament): RawRow[] {
    const rows: RawRow[] = [];
    while (rows.length < this.#batchRows) {
      const { winner } = tournament;
      const row = this.#heads[winner];
      if (row === undefined) break;
      rows.push(row);
      if (!this.#advance(winner)) {
        this.#dry = true;
        break;
      }
      tournament.replay();
    }
    return rows;
  }

  /** Whether the input's batch has a further row. */
  #advance(input: number): boolean {
    const position = (this.#positions[input] ?? 0) + 1;
    const row = this.#batches[input]?.[position];
    if (row === undefined) return false;
    this.#positions[input] = position;
    this.#show(input, row);
    return true;
  }

  /** Inputs that have ended come last. */
  #isBefore(a: number, b: number): boolean {
    const left = this.#ranks[a] ?? 0;
    const right = this.#ranks[b] ?? 0;
    if (left !== right) return left < right;
    const [rowA, rowB] = [this.#heads[a], this.#heads[b]];
    if (rowA === undefined) return false;
    if (rowB === undefined) return true;
    const order = this.#order.compare(rowA, rowB);
    return order === 0 ? a < b : order < 0;
  }
}
