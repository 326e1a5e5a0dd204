/** Why a text has no value here: only a server can tell, or every server would refuse it. */
export interface Unreadable {
  readonly kind: 'needs_server' | 'invalid';
}

export const needsServer: Unreadable = { kind: 'needs_server' };
export const invalid: Unreadable = { kind: 'invalid' };

export function isUnreadable(value: unknown): value is Unreadable {
  return value === needsServer || value === invalid;
}

/** What the reading of a value may depend on besides the value. */
export interface ValueContext {
  /** The session's TimeZone; when absent, times that depend on it need the server. */
  readonly timeZone?: string | undefined;
  /**
   * The column's type modifier (atttypmod), given when the value is *assigned* to the column (INSERT, UPDATE SET, COPY): it is then
   * rounded, cut or refused as the server would. Absent for comparisons, which ignore modifiers.
   */
  readonly modifier?: number | undefined;
}

/** One type's knowledge. `V` is the value in memory: two texts mean equal values exactly when `print` of both is the same text. */
export interface TypeRules<V> {
  /** As format_type prints it, without modifier. */
  readonly name: string;
  /** A name fit for a cast, where `name` is not: a bare `character` would mean `character(1)`. */
  readonly castName?: string;
  /** SQL for the server's own hash of an expression of this type: int4 or int8, immutable, on every supported version. */
  hashSql(valueSql: string): string;
  /** Reads what the type's input function reads; `needsServer` wherever the reading depends on version or settings. */
  parse(text: string, context: ValueContext): V | Unreadable;
  /** The canonical text, which `parse` reads back under any context. */
  print(value: V): string;
  /** PostgreSQL's hash of the value, int32. */
  hash(value: V): number;
  /** Reads binary format; absent when that is left to the server. */
  parseBinary?(bytes: Uint8Array): V | Unreadable;
  /** Applies a modifier other than -1 on assignment; absent for types that have none. */
  assign?(value: V, modifier: number): V | Unreadable;
  /** A shortcut from common JavaScript values to the hash that allocates nothing; undefined when it does not apply. */
  hashDirect?(value: unknown): number | undefined;
}

/** A call of one of the server's hash functions. */
export function callSql(hashFunction: string): (valueSql: string) => string {
  return (valueSql) => `pg_catalog.${hashFunction}(${valueSql})`;
}

/**
 * For types whose hash function cannot be called from SQL on every version: an array of one element hashes to
 * 31 + the element's hash, wrapping at 32 bits, since version 8.4.
 */
export function viaArraySql(type: string): (valueSql: string) => string {
  return (valueSql) =>
    `(((pg_catalog.hash_array(ARRAY[(${valueSql})::${type}])::bigint + 2147483617) & 4294967295) - 2147483648)`;
}
