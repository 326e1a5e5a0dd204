/** A server to ask. */
export type Ask = (text: string) => Promise<readonly (readonly unknown[])[]>;

/** What the system catalogs say of a table, one fact a line, without looking at the library's own reading of them. */
export async function describeTable(ask: Ask, schema: string, name: string): Promise<string[]> {
  const quoted = `'${`"${schema}"."${name.replaceAll('"', '""')}"`.replaceAll("'", "''")}'::regclass`;
  await ask('SET search_path = pg_catalog');
  const rows = await ask(queries.map((query) => `(${query.replaceAll('$table', quoted)})`).join(' UNION ALL '));
  await ask('RESET search_path');
  return rows.map(([line]) => String(line)).sort();
}

/** As `describeTable` of a shard, with the names that the table itself has. */
export function withoutShardId(lines: readonly string[], id: number): string[] {
  return lines.map((line) => line.replaceAll(`_${id}`, '')).filter((line) => !line.includes('shardwright_hash')).sort();
}

const queries = [
  `SELECT concat_ws(' ', 'table', relkind, relpersistence, relreplident, reloptions::text, (SELECT t.reloptions::text FROM pg_class t WHERE t.oid = c.reltoastrelid),
     obj_description(oid, 'pg_class')) FROM pg_class c WHERE oid = $table`,
  `SELECT concat_ws(' ', 'column', row_number() OVER (ORDER BY attnum), attname, format_type(atttypid, atttypmod), greatest(attndims, 1), attcollation::regcollation, attnotnull,
     'storage', attstorage, 'compression', attcompression, 'statistics', coalesce(nullif(attstattarget, -1)::text, '-'), attoptions::text,
     'generated', attgenerated,
     CASE WHEN attidentity = '' AND pg_get_expr(adbin, adrelid) NOT LIKE '%nextval%' THEN pg_get_expr(adbin, adrelid) END,
     col_description(attrelid, attnum))
   FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = $table AND attnum > 0 AND NOT attisdropped`,
  `SELECT concat_ws(' ', 'constraint', conname, contype, convalidated, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint'))
   FROM pg_constraint WHERE conrelid = $table`,
  `SELECT concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisprimary, indisclustered, indisreplident, indisvalid, 'of', (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = indexrelid), reloptions::text,
     (SELECT array_agg(concat(attnum, ':', attstattarget))::text FROM pg_attribute WHERE attrelid = indexrelid AND attstattarget >= 0),
     obj_description(indexrelid, 'pg_class')) FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = $table`,
];
