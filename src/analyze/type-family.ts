/**
 * Types whose equality means the same and whose hashes agree for equal values. Names as the parser (`int8`) and
 * as format_type (`bigint`) print them. Types outside any family compare only with themselves.
 */
export function typeFamily(type: string | undefined): string | undefined {
  if (type === undefined) return undefined;
  const base = type.startsWith('pg_catalog.') ? type.slice('pg_catalog.'.length) : type;
  return families[base] ?? base;
}

/** Whether a fact about a column of one type holds for an equal column of the other. */
export function comparableTypes(a: string | undefined, b: string | undefined): boolean {
  const family = typeFamily(a);
  return family !== undefined && family === typeFamily(b);
}

const families: Readonly<Record<string, string>> = {
  smallint: 'integer', integer: 'integer', bigint: 'integer', int2: 'integer', int4: 'integer', int8: 'integer',
  int: 'integer', numeric: 'numeric', decimal: 'numeric',
  text: 'text', varchar: 'text', 'character varying': 'text',
  char: '"char"', '"char"': '"char"', character: 'bpchar', bpchar: 'bpchar',
  boolean: 'boolean', bool: 'boolean',
  timestamptz: 'timestamptz', 'timestamp with time zone': 'timestamptz',
  timestamp: 'timestamp', 'timestamp without time zone': 'timestamp',
  timetz: 'timetz', 'time with time zone': 'timetz', time: 'time', 'time without time zone': 'time',
  float4: 'float4', real: 'float4', float8: 'float8', 'double precision': 'float8',
};
