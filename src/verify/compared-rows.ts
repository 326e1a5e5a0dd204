import { quoteIdentifier } from '../sql/identifiers.ts';

/** What of a table is compared. */
export interface ComparedRows {
  /** Types as the server prints them, with or without modifier. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Those of a key that tells rows apart; undefined where only whole rows do. */
  readonly key: readonly string[] | undefined;
}

/** SQL over a table that is called `t`. It means the same on every server and in every version under `definitionSettings`. */
export interface RowSql {
  /** The row as text: values as a server writes them, NULL and the empty string apart. */
  readonly row: string;
  /** Of all that the text says, int8. Collations have no part in it. */
  readonly hash: string;
  /** What a difference is told by: the key as text, or the whole row. */
  readonly key: string;
  /** As `key`, but short: of a whole row its hash. */
  readonly identity: string;
  /** Of the key, int8. */
  readonly keyHash: string;
}

/**
 * Rows are compared by all that their values say. Equality would not do: it passes over the scale of a numeric, the sign of a zero, and there are types without it. Values of common types are hashed by their bytes, which takes
 * half the time of their texts. The hash of a row adds up those of its values, so it is mixed once more, as the seed of another: sums over rows would not notice values that were swapped between rows.
 */
export function rowSql({ columns, key }: ComparedRows): RowSql {
  const row = rowOf(columns.map(({ name }) => column(name)));
  const hash = `pg_catalog.hashint4extended(1, ${recordHash(columns)})`;
  const keyed = key === undefined ? undefined : rowOf(key.map(column));
  return { row, hash, key: keyed ?? row, identity: keyed ?? `(${hash})::text`, keyHash: recordHash(columns.filter(({ name }) => key?.includes(name) ?? true)) };
}

function recordHash(columns: ComparedRows['columns']): string {
  return `pg_catalog.hash_record_extended(ROW(${columns.map(hashedAs).join(', ')}), 0)`;
}

/** Types of which the server hashes all bits. */
const hashedWhole = new Set(['smallint', 'integer', 'oid', 'boolean', 'date', 'uuid', 'bytea']);
const hashedByBytes = new Set(['text', 'character varying']);
/** Functions that give the bytes of a value: hashes of eight bytes fold them into four, those of floats and numerics are of what is equal. */
const bytesOf: ReadonlyMap<string, string> = new Map([
  ['bigint', 'int8send'], ['timestamp without time zone', 'timestamp_send'], ['timestamp with time zone', 'timestamptz_send'],
  ['real', 'float4send'], ['double precision', 'float8send'], ['numeric', 'numeric_send'],
]);

function hashedAs({ name, type }: ComparedRows['columns'][number]): string {
  const bare = type.replace(/\([-\d, ]+\)/, '');
  const bytes = bytesOf.get(bare);
  if (bytes !== undefined) return `pg_catalog.${bytes}(${column(name)})`;
  if (hashedWhole.has(bare)) return column(name);
  // A row's text holds what the types' own output functions give; a cast to text of the value itself may be anybody's function.
  return hashedByBytes.has(bare) ? `${column(name)} COLLATE "C"` : `ROW(${column(name)})::text COLLATE "C"`;
}

function column(name: string): string {
  return `t.${quoteIdentifier(name)}`;
}

function rowOf(values: readonly string[]): string {
  return `ROW(${values.join(', ')})::text`;
}

/** So much of a row or key is told. */
const shownCharacters = 1_000;

/** A text for people to read, cut where it is long. */
export function shown(sql: string): string {
  return `CASE WHEN pg_catalog.length(${sql}) > ${shownCharacters} THEN pg_catalog.left(${sql}, ${shownCharacters}) || '…' ELSE ${sql} END`;
}
