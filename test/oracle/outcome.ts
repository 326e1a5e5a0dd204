import type { FieldDef, QueryArrayConfig, QueryArrayResult } from 'pg';

/** What the suite asks of `pg.Pool` once the data is there. */
export interface Queryable {
  query(call: string | QueryArrayConfig, values?: unknown[]): Promise<unknown>;
}

export interface Connectable extends Queryable {
  /** A client of one's own; `release(true)` closes it with all its settings. */
  connect(): Promise<Queryable & { release(destroy?: boolean): void }>;
}

/** Rows one by one. */
export interface Streaming {
  stream(sql: string, values?: readonly unknown[]): AsyncIterable<unknown>;
}

/** A value as the server sent it; `null` is SQL NULL. */
export type RawValue = string | null;

export interface Rows {
  readonly columns: readonly ColumnShape[];
  readonly rows: readonly (readonly RawValue[])[];
  readonly rowCount: number | null;
  readonly command: string;
}

export interface ColumnShape {
  readonly name: string;
  /** Name of the type, since user-defined types have other OIDs on every database. */
  readonly type: string;
  readonly modifier: number;
  readonly size: number;
  /** The table's name and the column's number, or empty for an expression. */
  readonly origin: string;
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly fields: Readonly<Record<ErrorField, string>>;
  /** The number of a refusal or other error raised by the cluster itself, such as SW001. */
  readonly number: string | undefined;
}

const errorFields = ['detail', 'hint', 'position', 'schema', 'table', 'column', 'constraint', 'dataType'] as const;
export type ErrorField = (typeof errorFields)[number];

export type Outcome =
  | { readonly kind: 'answered'; readonly results: readonly Rows[] }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** Names of types and tables by OID in one database, read once. */
export interface ObjectNames {
  readonly types: ReadonlyMap<number, string>;
  readonly tables: ReadonlyMap<number, string>;
}

/** Runs a statement; values come back as the server's own text. Never throws for a server's error. */
export async function runRaw(pool: Queryable, names: ObjectNames, sql: string, values?: readonly unknown[]): Promise<Outcome> {
  const config: QueryArrayConfig = { text: sql, rowMode: 'array', types: { getTypeParser: () => (text: unknown) => text } };
  if (values !== undefined) config.values = [...values];
  try {
    const answer = await pool.query(config);
    const results = (Array.isArray(answer) ? answer : [answer]) as QueryArrayResult<RawValue[]>[];
    return { kind: 'answered', results: results.map((result) => shapeOf(result, names)) };
  } catch (error) {
    return { kind: 'failed', failure: failureOf(error) };
  }
}

/** Runs a statement the way applications do: rows as objects, pg's own type parsers. */
export async function runParsed(pool: Queryable, sql: string, values?: readonly unknown[]): Promise<unknown> {
  try {
    const answer = await (values === undefined ? pool.query(sql) : pool.query(sql, [...values]));
    const results = (Array.isArray(answer) ? answer : [answer]) as { rows: unknown[] }[];
    return results.map((result) => result.rows);
  } catch (error) {
    return failureOf(error).code;
  }
}

/** Runs a statement as `runParsed` does, its rows taken from a stream. Undefined for what no stream takes: none or several statements. */
export async function runStreamed(side: Streaming, sql: string, values: readonly unknown[] = []): Promise<unknown> {
  const rows: unknown[] = [];
  try {
    for await (const row of side.stream(sql, values)) rows.push(row);
    return [rows];
  } catch (error) {
    if (error instanceof Error && error.message === 'exactly one statement is expected') return undefined;
    return failureOf(error).code;
  }
}

export async function readObjectNames(pool: Queryable): Promise<ObjectNames> {
  return { types: await namesByOid(pool, 'typname', 'pg_type'), tables: await namesByOid(pool, 'relname', 'pg_class') };
}

async function namesByOid(pool: Queryable, column: string, catalog: string): Promise<Map<number, string>> {
  const { rows } = (await pool.query(`SELECT oid::int8::float8 AS oid, ${column}::text AS name FROM pg_catalog.${catalog}`)) as { rows: { oid: number; name: string }[] };
  return new Map(rows.map(({ oid, name }) => [oid, name]));
}

function shapeOf(result: QueryArrayResult<RawValue[]>, names: ObjectNames): Rows {
  return {
    columns: (result.fields ?? []).map((field) => columnOf(field, names)),
    rows: result.rows,
    rowCount: result.rowCount,
    command: result.command,
  };
}

function columnOf(field: FieldDef, names: ObjectNames): ColumnShape {
  return {
    name: field.name,
    type: names.types.get(field.dataTypeID) ?? `unknown type ${field.dataTypeID}`,
    modifier: field.dataTypeModifier,
    size: field.dataTypeSize,
    origin: field.tableID === 0 ? '' : `${names.tables.get(field.tableID) ?? 'another table'}.${field.columnID}`,
  };
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { code: 'not an Error', message: String(error), fields: fieldsOf({}), number: undefined };
  const fields = error as Error & Record<string, unknown>;
  return {
    code: typeof fields['code'] === 'string' ? fields['code'] : `no SQLSTATE (${error.name})`,
    message: error.message,
    fields: fieldsOf(fields),
    number: typeof fields['number'] === 'string' ? fields['number'] : undefined,
  };
}

function fieldsOf(source: Readonly<Record<string, unknown>>): Record<ErrorField, string> {
  return {
    detail: textOf(source['detail']),
    hint: textOf(source['hint']),
    position: textOf(source['position']),
    schema: textOf(source['schema']),
    table: textOf(source['table']),
    column: textOf(source['column']),
    constraint: textOf(source['constraint']),
    dataType: textOf(source['dataType']),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
