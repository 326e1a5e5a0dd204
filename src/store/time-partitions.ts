import { timePartitionsSql } from '../plan/time-partitions/time-partitions-sql.ts';

/** Whether a table is partitioned by ranges of one column of time; its type. */
const typeOfColumn = `CREATE OR REPLACE FUNCTION shardwright.time_partition_type(partitioned regclass) RETURNS regtype LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  keyed record;
BEGIN
  SELECT p.partstrat, p.partnatts, a.atttypid::regtype AS type INTO keyed
    FROM pg_partitioned_table p LEFT JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0] AND a.attnum > 0 WHERE p.partrelid = partitioned;
  IF NOT FOUND THEN
    RAISE EXCEPTION '% is not partitioned', partitioned USING ERRCODE = 'wrong_object_type', HINT = 'Create it with PARTITION BY RANGE.';
  ELSIF keyed.partnatts <> 1 THEN
    RAISE EXCEPTION 'partitioned tables with multiple partition columns are not supported' USING ERRCODE = 'feature_not_supported';
  ELSIF keyed.partstrat <> 'r' THEN
    RAISE EXCEPTION '% is not partitioned by ranges', partitioned USING ERRCODE = 'wrong_object_type';
  ELSIF keyed.type IS NULL OR keyed.type NOT IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) THEN
    RAISE EXCEPTION 'type of the partition column of the table % must be date, timestamp or timestamptz', partitioned USING ERRCODE = 'wrong_object_type';
  END IF;
  RETURN keyed.type;
END
$$`;

/**
 * The ranges that lack a partition, in order. They follow each other from the one that `from_value` is in up to the one that ends at `to_value` or later, at a distance of whole intervals from the first partition that there is; where there is none, from a
 * whole hour, day, month … on. Dates and timestamps without a time zone are counted as such, so that no hour is missing where clocks are changed.
 */
const missingRanges = `CREATE OR REPLACE FUNCTION shardwright.get_missing_time_partition_ranges(table_name regclass, partition_interval interval, to_value timestamptz, from_value timestamptz DEFAULT now())
RETURNS TABLE (partition_name text, range_from_value text, range_to_value text) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = ISO AS $$
DECLARE
  type regtype := shardwright.time_partition_type(table_name);
  unit text := CASE WHEN partition_interval < interval '1 hour' THEN 'minute' WHEN partition_interval < interval '1 day' THEN 'hour' WHEN partition_interval < interval '1 week' THEN 'day'
    WHEN partition_interval < interval '1 month' THEN 'week' WHEN partition_interval = interval '3 months' THEN 'quarter' WHEN partition_interval < interval '1 year' THEN 'month' ELSE 'year' END;
  pattern text := CASE partition_interval WHEN interval '3 months' THEN 'YYYY"q"Q' WHEN interval '1 week' THEN 'IYYY"w"IW' ELSE
    'YYYY' || CASE WHEN partition_interval < interval '1 year' THEN '_MM' ELSE '' END || CASE WHEN partition_interval < interval '1 month' THEN '_DD' ELSE '' END
      || CASE WHEN partition_interval < interval '1 day' THEN '_HH24MI' ELSE '' END || CASE WHEN partition_interval < interval '1 minute' THEN 'SS' ELSE '' END END;
  part record;
BEGIN
  IF partition_interval IS NULL OR to_value IS NULL OR from_value IS NULL OR NOT isfinite(to_value) OR NOT isfinite(from_value) OR partition_interval <= interval '0' OR NOT isfinite('epoch'::timestamp + partition_interval) THEN
    RAISE EXCEPTION 'partition interval must be greater than zero, and the range have two ends' USING ERRCODE = 'invalid_parameter_value';
  ELSIF type = 'date'::regtype AND date_trunc('day', partition_interval) <> partition_interval THEN
    RAISE EXCEPTION 'partition interval of date partitioned table must be day or multiple days' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  FOR part IN EXECUTE format($query$
    WITH RECURSIVE known AS MATERIALIZED (
      SELECT t.partition, t.from_value, t.to_value FROM (${timePartitionsSql.replaceAll('%', '%%')}) AS t WHERE t.parent_table = $1 AND t.from_value IS NOT NULL AND t.to_value IS NOT NULL
    ), taken (partition, starts, ends) AS MATERIALIZED (SELECT partition, from_value::%1$s, to_value::%1$s FROM known
    ), starts (at) AS (
      SELECT coalesce((SELECT min(starts) FROM taken WHERE isfinite(starts)), date_trunc($4, $3::%1$s))
      UNION ALL SELECT CASE WHEN at > $3::%1$s THEN at - $2 ELSE at + $2 END FROM starts WHERE at > $3::%1$s OR at + $2 <= $3::%1$s
    ), ranges (starts, ends) AS (
      SELECT at, at + $2 FROM starts WHERE at <= $3::%1$s AND at + $2 > $3::%1$s
      UNION ALL SELECT ends, ends + $2 FROM ranges WHERE ends < $5::%1$s
    )
    SELECT '_p' || to_char(r.starts, $6) AS suffix, r.starts::%2$s::text AS starts, r.ends::%2$s::text AS ends, k.partition, k.from_value, k.to_value
    FROM ranges r LEFT JOIN LATERAL (SELECT n.* FROM taken o JOIN known n USING (partition) WHERE o.starts < r.ends AND o.ends > r.starts LIMIT 1) k ON true
    WHERE r.starts < $5::%1$s AND NOT EXISTS (SELECT FROM taken o WHERE o.starts = r.starts AND o.ends = r.ends) ORDER BY r.starts
  $query$, CASE type WHEN 'timestamptz'::regtype THEN 'timestamptz' ELSE 'timestamp' END, type) USING table_name, partition_interval, from_value, unit, to_value, pattern LOOP
    IF part.partition IS NOT NULL THEN
      RAISE EXCEPTION 'partition % with the range from % to % does not align with the initial partition given the partition interval', part.partition, part.from_value, part.to_value
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Only use partitions of the same size, without gaps between partitions.';
    END IF;
    -- Names have 63 bytes, of which the parent's gives way.
    partition_name := (SELECT "left"(c.relname, max(length)) || part.suffix FROM pg_class c, generate_series(0, length(c.relname)) AS length
      WHERE c.oid = table_name AND octet_length("left"(c.relname, length)) + octet_length(part.suffix) <= 63 GROUP BY c.relname);
    range_from_value := part.starts;
    range_to_value := part.ends;
    RETURN NEXT;
  END LOOP;
END
$$`;

/** Made beside the table and attached then, so that it can be read and written meanwhile; whoever else makes partitions of it waits, and finds them. */
const createPartitions = `CREATE OR REPLACE FUNCTION shardwright.create_time_partitions(table_name regclass, partition_interval interval, end_at timestamptz, start_from timestamptz DEFAULT now())
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = ISO AS $$
DECLARE
  schema name;
  method text;
  part record;
  made boolean := false;
BEGIN
  PERFORM shardwright.time_partition_type(table_name);
  IF start_from >= end_at THEN
    RAISE EXCEPTION 'start_from (%) must be older than end_at (%)', start_from, end_at USING ERRCODE = 'invalid_parameter_value';
  END IF;
  EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', table_name);
  SELECT n.nspname, ' USING ' || quote_ident(m.amname) INTO schema, method FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am m ON m.oid = c.relam WHERE c.oid = table_name;
  FOR part IN SELECT * FROM shardwright.get_missing_time_partition_ranges(table_name, partition_interval, end_at, start_from) LOOP
    EXECUTE format('CREATE TABLE %I.%I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION)%s', schema, part.partition_name, table_name, method);
    EXECUTE format('ALTER TABLE ONLY %s ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)', table_name, schema, part.partition_name, part.range_from_value, part.range_to_value);
    RAISE NOTICE 'created partition % for table %', part.partition_name, table_name;
    made := true;
  END LOOP;
  RETURN made;
END
$$`;

/** Those that end at the time or before it, oldest first. */
const dropPartitions = `CREATE OR REPLACE PROCEDURE shardwright.drop_old_time_partitions(table_name regclass, older_than timestamptz) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = ISO AS $$
DECLARE
  part record;
BEGIN
  PERFORM shardwright.time_partition_type(table_name);
  FOR part IN WITH known AS MATERIALIZED (SELECT t.* FROM (${timePartitionsSql}) AS t WHERE t.parent_table = table_name AND t.to_value IS NOT NULL)
    SELECT * FROM known WHERE to_value::timestamptz <= older_than ORDER BY to_value::timestamptz LOOP
    RAISE NOTICE 'dropping % with start time % and end time %', part.partition, part.from_value, part.to_value;
    EXECUTE format('DROP TABLE %s', part.partition);
  END LOOP;
END
$$`;

/**
 * Citus's helpers for tables that are partitioned by time, of local tables as of distributed ones: they change the shells, and shards follow. They run with the rights of who calls them. May be run again and again.
 * Source of what they do: Citus's documentation, "Timeseries functions".
 */
export const timePartitionFunctions = [typeOfColumn, missingRanges, createPartitions, dropPartitions].join(';\n');
