import type { RawRow } from '../../cluster/node-connection.ts';
import { PulledRows } from './pulled-rows.ts';
import type { RowSource } from './row-source.ts';
import { StreamSource } from './stream-source.ts';

type RunResidual = (rows: AsyncIterable<readonly RawRow[]>) => AsyncIterable<readonly RawRow[]>;

/** The rows that a residual makes of its input; it begins when they are first pulled. Closing it closes the input too, which it may not have read. */
export class ResidualSource implements RowSource {
  readonly #input: RowSource;
  readonly #run: RunResidual;
  #output: StreamSource | undefined;

  constructor(input: RowSource, run: RunResidual) {
    this.#input = input;
    this.#run = run;
  }

  next(): Promise<readonly RawRow[] | undefined> {
    this.#output ??= new StreamSource(this.#run(new PulledRows(this.#input)));
    return this.#output.next();
  }

  /** Side by side: the residual may be waiting for its input. */
  async close(): Promise<void> {
    await Promise.all([this.#input.close(), this.#output?.close()]);
  }
}
