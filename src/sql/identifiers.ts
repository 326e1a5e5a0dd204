/** `name` as a quoted identifier; always quoted, so no keyword list is needed. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteQualified(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** A name as it may stand in a statement: with its schema, or without one. */
export function quoteName(schema: string | undefined, name: string): string {
  return schema === undefined ? quoteIdentifier(name) : quoteQualified(schema, name);
}

/** `value` as a string constant, safe whatever standard_conforming_strings says. */
export function quoteLiteral(value: string): string {
  const quoted = `'${value.replaceAll("'", "''")}'`;
  return value.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

/** `a.b`, `"A"."b"` → parts, folded to lower case where not quoted. */
export function namePartsOf(name: string): string[] {
  const parts = name.match(/"(?:[^"]|"")*"|[^."]+/g) ?? [name];
  return parts.map((part) => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part.trim().toLowerCase()));
}
