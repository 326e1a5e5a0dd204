import { createHash } from 'node:crypto';
import { placementsOnly } from './placements-only.ts';
import { installShellUses } from './shell-uses.ts';
import { timePartitionFunctions } from './time-partitions.ts';
import { installTableDefinitions } from './table-definitions.ts';
import { volatility } from './volatility.ts';

/**
 * The statement that boots a process: one row of four JSON texts: the catalog document, the session's search path, and the settings that sessions on nodes begin with: those of its own user, and those of others. Fails with 3F000 or
 * 42883 where the schema was not installed. `known`: a version of which the caller has all tables; where newer ones have changed few of them, the others are only named.
 */
export function catalogDocumentQuery(known?: number): string {
  return `WITH settings AS MATERIALIZED (SELECT name, setting, source, context FROM pg_catalog.pg_settings),
  entries AS MATERIALIZED (SELECT setdatabase, setrole, split_part(entry, '=', 1) AS name, substr(entry, strpos(entry, '=') + 1) AS setting FROM pg_catalog.pg_db_role_setting, unnest(setconfig) AS entry
    WHERE (setdatabase = 0 OR setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) AND (setrole = 0 OR setrole = session_user::regrole))
  SELECT ${documentFunction()}(${known ?? 'NULL'}), array_to_json(current_schemas(false)), ${sessionSettings}, ${databaseSettings}`;
}

/**
 * What has become of version `known`: one row with the cluster's id, the version, and, where all versions in between have changed nothing but where shard groups are, these and the nodes as in the document; else NULL. Costs a tenth of the
 * document: statements wait for it behind a move.
 */
export function placementsQuery(known: number): string {
  const since = `h.version > ${known} AND h.version <= c.catalog_version`;
  return `SELECT id, catalog_version, CASE WHEN catalog_version > ${known}
    AND catalog_version - ${known} = (SELECT count(*) FROM shardwright.catalog_change h WHERE ${since} AND h.relations = '{${placementsOnly.join(',')}}')
    THEN json_build_object('nodes', ${nodes}, 'groups', ${groups}) END
  FROM shardwright.cluster c`;
}

/** Of connections alone, or as we need them. */
const ownSettings = `'application_name', 'client_encoding', 'role', 'IntervalStyle'`;

/**
 * Time zone and date style, and whatever ALTER DATABASE and ALTER ROLE say on the coordinator database: a node must read and write values
 * alike. What else a server's configuration file says is its own.
 */
const sessionSettings = `(SELECT json_object_agg(name, setting) FROM (
  SELECT name, setting FROM settings WHERE name IN ('TimeZone', 'DateStyle')
    OR (source IN ('database', 'user', 'database user') AND context = 'user' AND name NOT IN (${ownSettings}))
  UNION SELECT name, current_setting(name) FROM entries WHERE name LIKE '%.%' AND current_setting(name, true) IS NOT NULL) AS s)`;

const ofOwnUser = (name: string): string => `EXISTS (SELECT FROM entries o WHERE o.setrole <> 0 AND lower(o.name) = lower(${name}))`;

/** What the cluster's own user begins with by ALTER ROLE hides what others begin with: a time zone of the configuration file, and a date style, are left to each server then. */
const databaseSettings = `(SELECT coalesce(json_object_agg(name, setting), '{}') FROM (
  (SELECT DISTINCT ON (lower(e.name)) e.name, e.setting FROM entries e LEFT JOIN settings p ON lower(p.name) = lower(e.name)
    WHERE e.setrole = 0 AND CASE WHEN p.name IS NULL THEN e.name LIKE '%.%' ELSE p.context = 'user' AND p.name NOT IN ('DateStyle', ${ownSettings}) AND (p.name <> 'TimeZone' OR ${ofOwnUser('p.name')}) END
    ORDER BY lower(e.name), e.setdatabase DESC)
  UNION ALL SELECT name, setting FROM settings WHERE name IN ('TimeZone', 'DateStyle') AND NOT ${ofOwnUser('settings.name')}) AS s)`;

/**
 * Creates the function behind `catalogDocumentQuery`. A function, because type names and expressions must be written for a search path and
 * date style of our own whatever the session's are, in one round trip; one of PL/pgSQL, which keeps its plan for the session: to make it takes twice as long as to run it.
 * Its name contains a hash of its text, so that processes of different versions can share a database, and of those of the other functions that are installed with it: who has booted by the one finds the others.
 */
export function installCatalogDocument(): string {
  return `CREATE OR REPLACE FUNCTION ${documentFunction()}(known bigint) ${functionText};\n${others()}`;
}

function others(): string {
  return `${installTableDefinitions()};\n${installShellUses()};\n${timePartitionFunctions}`;
}

function documentFunction(): string {
  return `shardwright.catalog_document_${createHash('sha256').update(functionText).update(others()).digest('hex').slice(0, 8)}`;
}

const sequenceOfDefault = `
  (SELECT s.oid::regclass::text FROM pg_depend o JOIN pg_class s ON s.oid = o.refobjid AND s.relkind = 'S'
   WHERE o.classid = 'pg_attrdef'::regclass AND o.objid = d.oid AND o.refclassid = 'pg_class'::regclass
     AND e.sql = format('nextval(%L::regclass)', s.oid::regclass::text))`;

const sequenceOfIdentity = `
  (SELECT s.oid::regclass::text FROM pg_depend o JOIN pg_class s ON s.oid = o.objid AND s.relkind = 'S'
   WHERE o.classid = 'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass AND o.refobjid = a.attrelid AND o.refobjsubid = a.attnum
     AND o.deptype = 'i')`;

/** A column without a default of its own has that of its domain. */
const attributes = `
  SELECT a.*, e.sql, x.tree,
    CASE WHEN a.attidentity <> '' THEN ${sequenceOfIdentity} WHEN e.sql LIKE 'nextval(%' THEN ${sequenceOfDefault} END AS sequence
  FROM listed r
  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON a.atthasdef AND d.adrelid = a.attrelid AND d.adnum = a.attnum
  CROSS JOIN LATERAL (SELECT CASE WHEN a.attgenerated = '' THEN coalesce(d.adbin, t.typdefaultbin) END AS tree) x
  CROSS JOIN LATERAL (
    SELECT CASE WHEN x.tree IS NOT NULL THEN pg_get_expr(x.tree, CASE WHEN d.oid IS NULL THEN 0::oid ELSE a.attrelid END) END AS sql) e`;

/**
 * For what there is much of, lists of texts instead of objects: they take a third of the time. The order is that of the tuples in
 * load-snapshot.ts.
 */
const columns = `
  SELECT a.attrelid AS oid, json_agg(ARRAY[a.attname::text, a.attnum::text, a.atttypid::text, a.atttypmod::text,
    format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attcollation NOT IN (0, 'pg_catalog."default"'::regcollation) THEN a.attcollation::regcollation::text END,
    coalesce(l.collisdeterministic, true)::text, a.attnotnull::text, a.attidentity::text, (a.attgenerated <> '')::text, a.sequence, a.sql, v.volatility]
    ORDER BY a.attnum) AS list
  FROM attributes a
  LEFT JOIN volatilities v ON v.sql = a.sql
  LEFT JOIN pg_collation l ON l.oid = a.attcollation
  GROUP BY a.attrelid`;

/**
 * See `tellsRows` in catalog-snapshot.ts. What is equal under one deterministic collation is so under all of them: columns are looked at one by one only where there are others. Expressions have no attribute of the table.
 */
const tellsRows = `i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND NOT i.indclass::oid[] && ARRAY(SELECT oid FROM pg_opclass WHERE NOT opcdefault)
    AND (NOT EXISTS (SELECT FROM pg_collation WHERE NOT collisdeterministic) OR NOT EXISTS (
      SELECT FROM generate_series(0, i.indnkeyatts - 1) p LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p]
      WHERE a.attcollation IS DISTINCT FROM i.indcollation[p]))`;

const indexes = `
  SELECT i.indrelid AS oid, json_agg(json_build_array(c.relname, i.indisunique AND i.indisvalid AND i.indimmediate,
    to_json((i.indkey::int2[])[0:i.indnkeyatts - 1]),
    i.indpred IS NOT NULL, ${tellsRows}) ORDER BY i.indexrelid) AS list
  FROM listed r JOIN pg_index i ON i.indrelid = r.oid JOIN pg_class c ON c.oid = i.indexrelid
  GROUP BY i.indrelid`;

/** Of the user's. */
const hasTriggers = (where: string): string => `EXISTS (SELECT FROM pg_trigger g WHERE ${where} AND NOT g.tgisinternal AND g.tgfoid NOT IN ('shardwright.refuse_shell_write'::regproc, 'shardwright.note_lookup_change'::regproc))`;

/** In order of name, as PostgreSQL applies them. */
const policies = `SELECT json_agg(json_build_array(p.polname, p.polpermissive, p.polcmd,
    CASE WHEN 0 = ANY (p.polroles) THEN ARRAY[]::name[] ELSE ARRAY(SELECT pg_get_userbyid(role) FROM unnest(p.polroles) role) END,
    pg_get_expr(p.polqual, p.polrelid)) ORDER BY p.polname) FROM pg_policy p WHERE p.polrelid = r.oid`;

const isSet = (option: string): string => `EXISTS (SELECT FROM pg_options_to_table(v.reloptions) WHERE option_name = '${option}' AND option_value::bool)`;

/** A table, and all below it that are its partitions. */
const withPartitions = (oid: string): string => `SELECT json_agg(oid::bigint) FROM (SELECT ${oid} UNION SELECT relid::oid FROM pg_partition_tree(${oid})) x (oid)`;

/** Tables through which a table may be written: itself, those from which the actions of foreign keys reach it, and of each the whole tree of partitions. */
const writtenThrough = (oid: string): string => `WITH RECURSIVE reaching (oid) AS (
    SELECT ${oid} UNION SELECT n.oid FROM reaching r CROSS JOIN LATERAL (
      SELECT k.confrelid FROM pg_constraint k WHERE k.conrelid = r.oid AND k.contype = 'f' AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))
      UNION ALL SELECT relid::oid FROM pg_partition_tree(pg_partition_root(r.oid))) n (oid))
  SELECT json_agg(oid::bigint) FROM reaching`;

const lookups = `SELECT json_agg(json_build_array(l.lookup_id, l.name, l.relation::oid::bigint, l.lookup_relation::oid::bigint, l.columns, l.state = 'valid',
    (${withPartitions('l.relation::oid')}), (${writtenThrough('l.relation::oid')})) ORDER BY l.lookup_id) FROM shardwright.unique_lookup l`;

const nodes = '(SELECT json_agg(json_build_array(node_id, host, port, database, hosts, patroni, system_identifier, timeline) ORDER BY node_id) FROM shardwright.node)';

const groups = `(SELECT json_agg(json_build_array(g.colocation_id, g.shard_count, g.hash_family, g.distribution_type,
      (SELECT json_agg(json_build_array(s.shard_group_id, s.ordinal, s.hash_min, s.hash_max, s.node_id) ORDER BY s.ordinal)
         FROM shardwright.shard_group s WHERE s.colocation_id = g.colocation_id)) ORDER BY g.colocation_id)
    FROM shardwright.colocation_group g)`;

/** Tables whose shell was dropped behind our back have no row in pg_class and are left out. */
const document = `
WITH RECURSIVE kept AS MATERIALIZED (
  SELECT t.relation::oid AS oid FROM shardwright.distributed_table t JOIN pg_class c ON c.oid = t.relation
  WHERE (SELECT v.catalog_version > $1 AND v.catalog_version - $1 = (SELECT count(*) FROM shardwright.catalog_change h WHERE h.version > $1 AND h.version <= v.catalog_version) FROM shardwright.cluster v)
    AND NOT EXISTS (SELECT FROM shardwright.catalog_change h WHERE h.version > $1 AND c.oid = ANY (h.relations))
), listed AS MATERIALIZED (
  SELECT c.oid, n.nspname, c.relname, t.kind, t.distribution_attnum, t.colocation_id, t.shell_is_copy, c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.relkind,
    (c.relhastriggers AND ${hasTriggers('g.tgrelid = c.oid')}) OR (c.relkind = 'p' AND ${hasTriggers('g.tgrelid IN (SELECT relid FROM pg_partition_tree(c.oid))')}) AS triggers
  FROM shardwright.distributed_table t
  JOIN pg_class c ON c.oid = t.relation
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid NOT IN (SELECT oid FROM kept)
), attributes AS MATERIALIZED (${attributes}
), volatilities AS MATERIALIZED (
  SELECT x.sql, ${volatility} AS volatility
  FROM (SELECT DISTINCT ON (sql) sql, tree::text FROM attributes WHERE tree IS NOT NULL AND sequence IS NULL) x
), column_lists AS MATERIALIZED (${columns}
), index_lists AS MATERIALIZED (${indexes}
), readers (oid) AS (
  SELECT relation::oid FROM shardwright.distributed_table
  UNION
  SELECT w.ev_class FROM readers s
  JOIN pg_depend o ON o.refclassid = 'pg_class'::regclass AND o.refobjid = s.oid AND o.classid = 'pg_rewrite'::regclass
  JOIN pg_rewrite w ON w.oid = o.objid
)
SELECT json_build_object(
  'clusterId', c.id,
  'version', c.catalog_version,
  'serverVersion', current_setting('server_version_num')::int,
  'database', (SELECT to_json(b) FROM pg_database b WHERE b.datname = current_database()),
  'nodes', ${nodes},
  'groups', ${groups},
  'schemas', (SELECT json_agg(json_build_array(n.nspname, d.colocation_id)) FROM shardwright.distributed_schema d JOIN pg_namespace n ON n.oid = d.schema),
  'tables', (SELECT json_agg(json_build_array(r.oid::bigint, r.nspname, r.relname, r.kind, r.distribution_attnum, r.colocation_id,
      (SELECT json_agg(h.shard_id ORDER BY s.ordinal) FROM shardwright.shard h LEFT JOIN shardwright.shard_group s USING (shard_group_id)
         WHERE h.relation = r.oid),
      k.list,
      i.list,
      (SELECT json_agg(o.conname ORDER BY o.conname) FROM pg_constraint o WHERE o.conrelid = r.oid),
      r.relrowsecurity, r.triggers, r.relkind = 'p', CASE WHEN r.relrowsecurity THEN json_build_array(pg_get_userbyid(r.relowner), r.relforcerowsecurity, (${policies})) END, r.shell_is_copy) ORDER BY r.oid)
    FROM listed r LEFT JOIN column_lists k USING (oid) LEFT JOIN index_lists i USING (oid)),
  'kept', (SELECT json_agg(oid::bigint) FROM kept),
  'views', (SELECT json_agg(json_build_array(v.oid::bigint, n.nspname, v.relname, v.relkind = 'm', pg_get_viewdef(v.oid),
      ${isSet('security_barrier')}, ${isSet('security_invoker')})) FROM readers JOIN pg_class v USING (oid)
    JOIN pg_namespace n ON n.oid = v.relnamespace WHERE v.relkind IN ('v', 'm')),
  'lookups', (${lookups}))
FROM shardwright.cluster c`;

const functionText = `RETURNS json LANGUAGE plpgsql STABLE
SET search_path = pg_catalog SET datestyle = 'ISO, YMD' SET intervalstyle = postgres SET timezone = 'UTC' SET bytea_output = hex
SET extra_float_digits = 1 SET quote_all_identifiers = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $document$BEGIN RETURN (${document}); END$document$`;
