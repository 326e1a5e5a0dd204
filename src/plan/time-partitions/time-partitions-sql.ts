/** A bound as the catalog tells it, without quotes; NULL for MINVALUE, MAXVALUE and DEFAULT. */
const bound = (pattern: string): string => `pg_catalog.replace(pg_catalog."substring"(b.text, '${pattern}'), '''''', '''')`;
const literal = `''((?:[^'']|'''')*)''`;

/**
 * SQL for Citus's `time_partitions`: the partitions of tables that are partitioned by ranges of one column, from the catalogs of the coordinator database. Bounds are texts under the session's settings. Of tables that are distributed these
 * are the logical ones, also where the coordinator database is a node and has shards.
 */
export const timePartitionsSql = `SELECT p.partrelid::regclass AS parent_table, a.attname AS partition_column, c.oid::regclass AS partition,
    ${bound(`^FOR VALUES FROM \\(${literal}\\) TO `)} AS from_value, ${bound(` TO \\(${literal}\\)$`)} AS to_value, m.amname AS access_method
  FROM pg_catalog.pg_partitioned_table AS p
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    JOIN pg_catalog.pg_inherits AS h ON h.inhparent = p.partrelid
    JOIN pg_catalog.pg_class AS c ON c.oid = h.inhrelid
    LEFT JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
    CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid)) AS b (text)
  WHERE p.partstrat = 'r' AND p.partnatts = 1 AND c.relpartbound IS NOT NULL AND NOT EXISTS (
    SELECT FROM shardwright.shard AS s JOIN pg_catalog.pg_class AS k ON k.oid = s.relation
    WHERE k.relnamespace = c.relnamespace AND pg_catalog."right"(c.relname, pg_catalog.length(s.shard_id::text) + 1) = '_' || s.shard_id::text
      AND pg_catalog.starts_with(k.relname, pg_catalog."left"(c.relname, -pg_catalog.length(s.shard_id::text) - 1)))`;
