import type { RawRow } from '../../cluster/node-connection.ts';
import type { RowSource } from './row-source.ts';
import type { RowStage } from './row-stage.ts';

/** The rows that come out of a stage, made when they are first pulled. What it holds back until the end comes in batches of `batchRows`. */
export class StagedSource implements RowSource {
  readonly #input: RowSource;
  readonly #makeStage: () => RowStage;
  readonly #batchRows: number;
  #stage: RowStage | undefined;
  #rest: readonly RawRow[] | undefined;
  #position = 0;

  constructor(input: RowSource, { makeStage, batchRows }: { readonly makeStage: () => RowStage; readonly batchRows: number }) {
    this.#input = input;
    this.#makeStage = makeStage;
    this.#batchRows = batchRows;
  }

  async next(): Promise<readonly RawRow[] | undefined> {
    const stage = (this.#stage ??= this.#makeStage());
    while (this.#rest === undefined) {
      if (stage.satisfied) return undefined;
      const rows = await this.#input.next();
      if (rows === undefined) this.#rest = stage.finish();
      else {
        const passed = stage.push(rows);
        if (passed.length > 0) return passed;
      }
    }
    const batch = this.#rest.slice(this.#position, this.#position + this.#batchRows);
    this.#position += batch.length;
    return batch.length === 0 ? undefined : batch;
  }

  close(): Promise<void> {
    return this.#input.close();
  }
}
