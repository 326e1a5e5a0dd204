import type { Callback, CallOptions, FieldDescriptor, NodeQuery, ParsedQuery, RawResult, RawRow } from './node-connection.ts';
import type { DataRowReader } from './data-row.ts';
import { type CompleteMessage, Statement } from './statement.ts';
import { ResultTooLong } from '../base/result-too-long.ts';
import { type CustomTypesConfig, type QueryResult, type QueryResultRow, Result } from 'pg';

/** Counts the bytes of rows, where they are limited. Rows behind the limit are not even read. */
abstract class CollectStatement extends Statement {
  #bytes = 0;

  override onDataRow(reader: DataRowReader, start: number, end: number): void {
    const { bytesMax } = this.query;
    if (bytesMax !== undefined) {
      this.#bytes += end - start;
      if (this.#bytes > bytesMax) {
        this.error ??= new ResultTooLong(bytesMax);
        return;
      }
    }
    this.onRow(reader.read(start));
  }
}

/** Collects the rows of every result as they came, without parsing values. Gives one result per statement of the text. */
export class RawStatement extends CollectStatement {
  readonly #results: RawResult[] = [];
  #fields: FieldDescriptor[] = [];
  #rows: RawRow[] = [];

  constructor(
    query: NodeQuery,
    options: CallOptions | undefined,
    private readonly callback: Callback<RawResult[]>,
  ) {
    super(query, options, false);
  }

  protected override get takesKnownFields(): boolean {
    return true;
  }

  override onFields(fields: FieldDescriptor[]): void {
    this.#fields = fields;
  }

  override onRow(row: RawRow): void {
    this.#rows.push(row);
  }

  override onComplete(message: CompleteMessage): void {
    const { command, rowCount } = parseTag(message.text);
    const result = { fields: this.#fields, rows: this.#rows, command, rowCount };
    this.#results.push(result);
    this.query.answered?.(result);
    this.#fields = [];
    this.#rows = [];
  }

  override settle(): void {
    if (this.error === undefined) this.callback(undefined, this.#results);
    else this.callback(this.error, undefined);
  }
}

/** What this file uses of pg's Result beyond its documented interface. */
interface ResultBuilder extends QueryResult {
  addFields(fields: FieldDescriptor[]): void;
  parseRow(row: RawRow): QueryResultRow;
  addCommandComplete(message: CompleteMessage): void;
}

const PgResult = Result as unknown as new (rowMode: string | undefined, types: CustomTypesConfig | undefined) => ResultBuilder;

/** Collects a statement's result as pg's own, by pg's own code. Of several statements in a text, the last one's. */
export class ParsedStatement extends CollectStatement {
  #result: ResultBuilder;

  constructor(
    override readonly query: ParsedQuery,
    options: CallOptions | undefined,
    private readonly callback: Callback<QueryResult>,
  ) {
    super(query, options, false);
    this.#result = new PgResult(query.rowMode, query.types);
  }

  protected override get takesKnownFields(): boolean {
    return true;
  }

  override onFields(fields: FieldDescriptor[]): void {
    this.#next();
    this.#result.addFields(fields);
  }

  override onRow(row: RawRow): void {
    if (this.error !== undefined) return;
    try {
      this.#result.rows.push(this.#result.parseRow(row));
    } catch (error) {
      this.error = error;
    }
  }

  override onComplete(message: CompleteMessage): void {
    this.#next();
    if (message.text !== '') this.#result.addCommandComplete(message);
  }

  override settle(): void {
    if (this.error === undefined) this.callback(undefined, this.#result);
    else this.callback(this.error, undefined);
  }

  #next(): void {
    // pg gives null before there is a tag, whatever its types say.
    const command: string | null = this.#result.command;
    if (command !== null) this.#result = new PgResult(this.query.rowMode, this.query.types);
  }
}

/** `INSERT 0 5` → INSERT, 5; `SELECT 5` → SELECT, 5; `CREATE TABLE` → CREATE, null: as pg has it. */
function parseTag(tag: string): { readonly command: string; readonly rowCount: number | null } {
  const [command = '', first, second] = tag.split(' ');
  const count = Number(second ?? first ?? Number.NaN);
  return { command, rowCount: Number.isInteger(count) ? count : null };
}
