const zoned = /^(timestamp(\(\d+\))? with time zone|timestamptz)$/;

/** An expression of the type as a text that means the same to all servers: outside of DateStyle ISO, that of a `timestamptz` has an abbreviation of its zone, which may stand for another one elsewhere. JSON has the offset. */
export function toldAsText(sql: string, typeSql: string): string {
  return zoned.test(typeSql) ? `pg_catalog.to_json(${sql}) #>> '{}'` : `CAST(${sql} AS pg_catalog.text)`;
}
