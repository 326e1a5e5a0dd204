import { ClusterError } from '../../base/errors.ts';
import { copyContext, withCopyContext } from './copy-error.ts';
import { defaultAsked } from './field-decoder.ts';
import type { FieldDecoder, FieldValue } from './field-decoder.ts';
import { readSmallInteger } from './read-small-integer.ts';
import type { RowBatch } from './row-batch.ts';
import { ShardMemo } from './shard-memo.ts';

/**
 * The ordinal of the shard group that a value of the distribution column belongs to. Numbers are passed for integer columns
 * only. undefined: no server would accept the value; the row is sent to some shard, whose server then says what is wrong.
 */
export type ShardOf = (value: string | number) => number | undefined | Promise<number | undefined>;

/** Where malformed rows go: any server refuses them in PostgreSQL's own words. */
const anyOrdinal = 0;

export interface RowLocatorOptions {
  readonly table: { readonly schema: string; readonly name: string };
  /** Undefined for a single-shard table. */
  readonly column: { readonly name: string; readonly kind: 'integer' | 'other' } | undefined;
  readonly format: 'text' | 'csv' | 'binary';
  /** undefined when the column is not in the data. */
  readonly decoder: FieldDecoder | undefined;
  readonly shardOf: ShardOf;
}

/** Finds the shard of each row of a batch. */
export class RowLocator {
  readonly #options: RowLocatorOptions;
  readonly #memo = new ShardMemo();
  readonly #readIntegers: boolean;
  /**
   * Why the last row has no shard: `distributionValueMissing`, `unsupportedQuery` for a DEFAULT marker, or what `shardOf` threw. Its ordinal
   * is some shard's, so that a server may say first what else is wrong with the row; then the COPY must fail.
   */
  refusal: { readonly error: unknown } | undefined;

  constructor(options: RowLocatorOptions) {
    this.#options = options;
    this.#readIntegers = options.column?.kind === 'integer' && options.format !== 'binary';
  }

  /** The ordinal of row `index`, at once unless `shardOf` has to wait. See `refusal`. `line` is for its error. */
  locate(batch: RowBatch, index: number, line: number): number | Promise<number> {
    const start = batch.valueStarts[index] ?? -1;
    const end = batch.valueEnds[index] ?? -1;
    const { decoder } = this.#options;
    if (start < 0 || decoder === undefined) return anyOrdinal;
    if (this.#readIntegers) {
      const value = readSmallInteger(batch.bytes, start, end);
      if (value !== undefined) return this.#ordinalOf(value, line);
    }
    const known = this.#memo.find(batch.bytes, start, end);
    if (known >= 0) return known;
    const ordinal = this.#ordinalOf(decoder.decode(batch.bytes, start, end), line);
    if (typeof ordinal === 'number' && this.refusal === undefined) this.#memo.store(batch.bytes, start, end, ordinal);
    return ordinal;
  }

  /** The ordinal of a value that does not stand in the row. */
  locateValue(value: string | null, line: number): number | Promise<number> {
    return this.#ordinalOf(value, line);
  }

  #ordinalOf(value: FieldValue | number, line: number): number | Promise<number> {
    if (value === null) return this.#refuse(this.#missing(line));
    if (value === defaultAsked) return this.#refuse(this.#defaultAsked(line));
    try {
      const ordinal = this.#options.shardOf(value);
      if (typeof ordinal === 'number') return ordinal;
      if (ordinal === undefined) return anyOrdinal;
      return ordinal.then(
        (settled) => settled ?? anyOrdinal,
        (error: unknown) => this.#refuse(withCopyContext(error, this.#context(line))),
      );
    } catch (error) {
      return this.#refuse(withCopyContext(error, this.#context(line)));
    }
  }

  #refuse(error: unknown): number {
    this.refusal ??= { error };
    return anyOrdinal;
  }

  #missing(line: number): ClusterError {
    return missingDistributionValue(this.#options.table, this.#options.column?.name ?? '', line);
  }

  #defaultAsked(line: number): ClusterError {
    const { column } = this.#options;
    return new ClusterError('unsupportedQuery', `cannot use the default of distribution column "${column?.name}" in COPY`, {
      detail: 'The row is placed before its server would compute the default.',
      hint: 'Give the value in the data.',
      where: this.#context(line),
    });
  }

  #context(line: number): string {
    return copyContext(this.#options.table.name, line);
  }
}

/** PostgreSQL's error of a NOT NULL column: a distribution column is one, whatever its definition says. */
export function missingDistributionValue(
  table: { readonly schema: string; readonly name: string },
  column: string,
  line: number,
): ClusterError {
  return new ClusterError(
    'distributionValueMissing',
    `null value in column "${column}" of relation "${table.name}" violates not-null constraint`,
    { schema: table.schema, table: table.name, column, where: copyContext(table.name, line) },
  );
}
