import { at } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import type { CatalogTable, Column } from '../../catalog/catalog-snapshot.ts';
import { assignableType } from '../../plan/insert/assignable-type.ts';
import { toldAsText } from '../../sql/zoned-times.ts';
import type { CopyOptions } from './copy-options.ts';
import { fieldEncoder } from './encode-copy.ts';

/** The coordinator database's part in COPY: what must have one value, or one sequence, for all nodes. */
export interface ColumnDefaults {
  /** The next `count` values of a sequence (qualified and quoted name), as text. */
  nextValues(sequence: string, count: number): Promise<readonly string[]>;
  /** An expression's values, as text in the session's settings, computed `count` times. */
  evaluate(expression: string, count: number): Promise<readonly (string | null)[]>;
}

/** A column that the caller leaves out and whose default no node may compute by itself. */
export interface AddedColumn {
  readonly column: Column;
  readonly kind: 'sequence' | 'once' | 'per_row';
}

/**
 * Sequences belong to the coordinator database; a stable expression (`now()`) must be the same on all nodes; a volatile one only
 * where a row has several copies. The distribution column's default is needed here, whatever it is.
 */
export function addedColumns(table: CatalogTable, listed: readonly string[]): AddedColumn[] {
  const added: AddedColumn[] = [];
  for (const column of table.columns) {
    if (column.generated || listed.includes(column.name)) continue;
    const kind = kindOf(column, table);
    if (kind !== undefined) added.push({ column, kind });
  }
  return added;
}

/** Values for the added columns of a batch of rows, as the bytes that go before each row. */
export class AddedValues {
  readonly #columns: readonly AddedColumn[];
  readonly #options: CopyOptions;
  readonly #defaults: ColumnDefaults;
  readonly #listedCount: number;
  readonly #once = new Map<string, string | null>();

  /** `listedCount`: columns in the caller's data. `unsupportedQuery` for a binary column that is not written here. */
  constructor(
    columns: readonly AddedColumn[],
    { options, defaults, listedCount }: { options: CopyOptions; defaults: ColumnDefaults; listedCount: number },
  ) {
    this.#columns = columns;
    this.#options = options;
    this.#defaults = defaults;
    this.#listedCount = listedCount;
    if (options.format === 'binary') for (const { column } of columns) refuseUnwritable(column);
  }

  /** By row, the values in the order of the columns. */
  async rows(count: number): Promise<(string | null)[][]> {
    const values: (readonly (string | null)[])[] = [];
    for (const column of this.#columns) values.push(await this.#valuesOf(column, count));
    return Array.from({ length: count }, (_, row) => values.map((list) => list[row] ?? null));
  }

  /** The bytes before a row: its added fields. In binary they take the place of the row's field count, its first two bytes. */
  prefix(values: readonly (string | null)[], row: { readonly bytes: Buffer; readonly start: number }): Buffer {
    if (this.#options.format === 'binary') return this.#binaryPrefix(values, row.bytes.readInt16BE(row.start));
    const encode = fieldEncoder(this.#options, false);
    const { delimiter } = this.#options;
    const separator = this.#listedCount === 0 ? '' : delimiter;
    return Buffer.from(values.map((value) => encode(value, 'as_needed')).join(delimiter) + separator);
  }

  async #valuesOf({ column, kind }: AddedColumn, count: number): Promise<readonly (string | null)[]> {
    if (column.default?.kind === 'sequence') return this.#defaults.nextValues(column.default.sequence, count);
    const type = assignableType(column);
    const sql = toldAsText(`CAST((${column.default?.sql ?? 'NULL'}) AS ${type})`, type);
    if (kind === 'per_row') return this.#defaults.evaluate(sql, count);
    const known = this.#once.get(column.name);
    if (known !== undefined) return Array.from({ length: count }, () => known);
    const value = at(await this.#defaults.evaluate(sql, 1), 0);
    this.#once.set(column.name, value);
    return Array.from({ length: count }, () => value);
  }

  #binaryPrefix(values: readonly (string | null)[], fieldCount: number): Buffer {
    const count = Buffer.alloc(2);
    count.writeInt16BE(fieldCount + values.length);
    const fields = values.map((value, i) => binaryField(value, at(this.#columns, i).column));
    return Buffer.concat([count, ...fields]);
  }
}

function kindOf(column: Column, table: CatalogTable): AddedColumn['kind'] | undefined {
  if (column.default === undefined) return undefined;
  if (column.default.kind === 'sequence') return 'sequence';
  const places = table.kind === 'distributed' && table.distributionColumn?.name === column.name;
  const { volatility, ofCoordinator } = column.default;
  if (ofCoordinator === true && volatility === 'volatile') return 'per_row';
  if (volatility === 'stable') return 'once';
  if (volatility === 'immutable') return places || ofCoordinator === true ? 'once' : undefined;
  return places || table.kind === 'reference' ? 'per_row' : undefined;
}

/** Bytes of the integer types, by OID. */
const integerBytes: ReadonlyMap<number, number> = new Map([
  [20, 8],
  [21, 2],
  [23, 4],
]);

function refuseUnwritable(column: Column): void {
  if (integerBytes.has(column.type.oid)) return;
  throw new ClusterError('unsupportedQuery', `cannot COPY in binary format without a value for column "${column.name}"`, {
    detail: `Its default is computed once for all nodes, and type ${column.type.sql} is not written in binary form.`,
    hint: 'List the column and give its values, or use the text or CSV format.',
  });
}

function binaryField(value: string | null, column: Column): Buffer {
  const length = value === null ? -1 : (integerBytes.get(column.type.oid) ?? 0);
  const field = Buffer.alloc(4 + Math.max(length, 0));
  field.writeInt32BE(length);
  if (value === null) return field;
  if (length === 8) field.writeBigInt64BE(BigInt(value), 4);
  else field.writeIntBE(Number(value), 4, length);
  return field;
}
