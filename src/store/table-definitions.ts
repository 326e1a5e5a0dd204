import { createHash } from 'node:crypto';
import { isPublished, isPublishedWhole, isUsersPublication } from './publication-sql.ts';
import { volatility } from './volatility.ts';

/**
 * One JSON text for each of the tables in the coordinator database whose OIDs are `$1`, an array: a `TableDefinition`, but for the heads of its indexes. The transaction must have `definitionSettings`.
 */
export function tableDefinitionsQuery(): string {
  return `SELECT ${definitionsFunction()}($1::pg_catalog.oid[])`;
}

/**
 * Creates the function behind `tableDefinitionsQuery`. A function of PL/pgSQL, which keeps its plan for the session: to make it takes three times as long as to run it. (A prepared statement would do so too, but not survive
 * DEALLOCATE ALL, which a session may say on its connection.) It has the rights of its caller. Its name contains a hash of its text.
 */
export function installTableDefinitions(): string {
  return `CREATE OR REPLACE FUNCTION ${definitionsFunction()}(oid[]) ${functionText};
GRANT EXECUTE ON FUNCTION ${definitionsFunction()}(oid[]) TO PUBLIC`;
}

function definitionsFunction(): string {
  return `shardwright.table_definitions_${createHash('sha256').update(functionText).digest('hex').slice(0, 8)}`;
}

/** As `tableDefinitionsQuery`, for shards on a node, which may have no such function: `$1` is a JSON list of schemas and names. What does not exist is left out, and nothing is said of their distribution. */
export function shardDefinitionsQuery(): string {
  return definitionsOfShards;
}

/** How a query finds a table's distribution, given SQL for its OID: nodes have no catalog. */
type DistributionSql = (oid: string) => string;

const nowhere: DistributionSql = () => 'null';

const distributionOf: DistributionSql = (oid) => `(
  SELECT json_build_object('kind', t.kind, 'columnPosition', t.distribution_attnum,
    'columnName', (SELECT w.attname FROM pg_attribute w WHERE w.attrelid = t.relation AND w.attnum = t.distribution_attnum), 'colocationId', t.colocation_id, 'shardIds',
    (SELECT json_agg(h.shard_id ORDER BY s.ordinal) FROM shardwright.shard h LEFT JOIN shardwright.shard_group s USING (shard_group_id)
     WHERE h.relation = t.relation), 'shellIsCopy', t.shell_is_copy)
  FROM shardwright.distributed_table t WHERE t.relation = ${oid})`;

const relatedTable = (oid: string, distribution: DistributionSql): string => `(
  SELECT json_build_object('oid', k.oid::bigint, 'schema', m.nspname, 'name', k.relname, 'sql', k.oid::regclass::text,
    'distribution', ${distribution('k.oid')})
  FROM pg_class k JOIN pg_namespace m ON m.oid = k.relnamespace WHERE k.oid = ${oid})`;

/** Null on a node. */
const fenceFunction = `to_regproc('shardwright.refuse_shell_write')`;

const action = (column: string): string =>
  `CASE ${column} WHEN 'r' THEN 'restrict' WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set_null' WHEN 'd' THEN 'set_default' ELSE 'no_action' END`;

const storageName = (column: string): string => `CASE ${column} WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END`;

const grants = (acl: string): string => `(
  SELECT json_agg(json_build_object('grantee', CASE WHEN x.grantee <> 0 THEN pg_get_userbyid(x.grantee) END, 'privilege', x.privilege_type, 'grantable', x.is_grantable)
    ORDER BY x.grantee, x.privilege_type, x.is_grantable) FROM aclexplode(${acl}) x)`;

const columns = `
  SELECT json_agg(json_build_object('name', a.attname, 'position', a.attnum, 'type', format_type(a.atttypid, a.atttypmod),
    'typeName', format_type(a.atttypid, NULL), 'dimensions', a.attndims,
    'collation', CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
    'deterministic', coalesce(l.collisdeterministic, true),
    'notNull', a.attnotnull AND coalesce(n.convalidated, true), 'notNullName', n.conname, 'notNullNoInherit', coalesce(n.connoinherit, false),
    'identity', nullif(a.attidentity, ''), 'generated', CASE a.attgenerated WHEN 's' THEN 'stored' WHEN 'v' THEN 'virtual' END,
    'expression', pg_get_expr(d.adbin, d.adrelid), 'expressionOid', d.oid::bigint,
    'volatility', CASE WHEN d.oid IS NOT NULL THEN (SELECT ${volatility} FROM (SELECT d.adbin::text AS tree) x) END,
    'missing', CASE WHEN a.atthasmissing AND t.typdelim = ',' THEN (a.attmissingval::text::text[])[1] END,
    'usesSequence', a.attidentity <> '' OR EXISTS (
      SELECT FROM pg_depend o JOIN pg_class s ON s.oid = o.refobjid AND s.relkind = 'S'
      WHERE o.classid = 'pg_attrdef'::regclass AND o.objid = d.oid AND o.refclassid = 'pg_class'::regclass),
    'storage', CASE WHEN a.attstorage <> t.typstorage THEN ${storageName('a.attstorage')} END, 'typeStorage', ${storageName('t.typstorage')}, 'typeKind', t.typtype,
    'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
    'statisticsTarget', CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END,
    'options', to_json(a.attoptions), 'grants', ${grants('a.attacl')}, 'comment', col_description(a.attrelid, a.attnum)) ORDER BY a.attnum)
  FROM pg_attribute a
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN pg_collation l ON l.oid = a.attcollation
  LEFT JOIN pg_constraint n ON n.conrelid = a.attrelid AND n.contype = 'n' AND n.conkey[1] = a.attnum
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped`;

/** A foreign key to a partitioned table has parts for its partitions, which are no constraints of their own. */
const isWhole = 'NOT EXISTS (SELECT FROM pg_constraint w WHERE w.oid = o.conparentid AND w.conrelid = o.conrelid)';

const hasInvalidIndex = `c.relkind = 'p' AND o.contype IN ('p', 'u', 'x') AND NOT (SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = o.conindid)`;

const constraints = (distribution: DistributionSql): string => `
  SELECT json_agg(json_build_object('oid', o.oid::bigint, 'name', o.conname,
    'kind', CASE o.contype WHEN 'c' THEN 'check' WHEN 'p' THEN 'primary' WHEN 'u' THEN 'unique' WHEN 'x' THEN 'exclude'
      WHEN 'f' THEN 'foreign' WHEN 'n' THEN 'not_null' END,
    'sql', pg_get_constraintdef(o.oid), 'validated', o.convalidated, 'inherited', o.coninhcount > 0, 'columns', to_json(o.conkey),
    'flags', concat(o.condeferrable::text, o.condeferred::text, coalesce(to_json(o)->>'conenforced', 'true'), o.connoinherit::text),
    'deferrable', o.condeferrable, 'deferred', o.condeferred, 'only', ${hasInvalidIndex}, 'indexOid', CASE WHEN o.contype IN ('p', 'u', 'x') THEN o.conindid::bigint END,
    'equalities', (SELECT json_agg(EXISTS (
        SELECT FROM pg_amop w JOIN pg_am m ON m.oid = w.amopmethod AND m.amname = 'btree' WHERE w.amopopr = e.operator AND w.amopstrategy = 3)
        ORDER BY e.place) FROM unnest(o.conexclop) WITH ORDINALITY e (operator, place)),
    'foreign', CASE WHEN o.contype = 'f' THEN json_build_object('table', ${relatedTable('o.confrelid', distribution)}, 'columns', to_json(o.confkey),
      'onDelete', ${action('o.confdeltype')}, 'onUpdate', ${action('o.confupdtype')}, 'onDeleteColumns', to_json(o.confdelsetcols)) END,
    'comment', obj_description(o.oid, 'pg_constraint')) ORDER BY o.oid)
  FROM pg_constraint o WHERE o.conrelid = c.oid AND o.contype IN ('c', 'p', 'u', 'x', 'f', 'n') AND ${isWhole}`;

/** What belongs to an index of a partitioned table that is not valid, since not all partitions have one for it; invalid indexes of rows are none. */
const partsOfInvalid = (distribution: DistributionSql): string => `CASE WHEN c.relkind = 'p' AND NOT i.indisvalid THEN (
  SELECT coalesce(json_agg(json_build_object('name', p.relname, 'table', ${relatedTable('y.indrelid', distribution)}) ORDER BY p.oid), '[]')
  FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhrelid JOIN pg_index y ON y.indexrelid = p.oid WHERE h.inhparent = x.oid AND (y.indisvalid OR p.relkind = 'I')) END`;

const indexes = (distribution: DistributionSql): string => `
  SELECT json_agg(json_build_object('oid', x.oid::bigint, 'name', x.relname, 'unique', i.indisunique, 'valid', i.indisvalid, 'inherited', x.relispartition,
    'parent', (SELECT p.relname FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent WHERE h.inhrelid = x.oid),
    'parts', ${partsOfInvalid(distribution)},
    'ofConstraint', EXISTS (SELECT FROM pg_constraint o WHERE o.conrelid = i.indrelid AND o.conindid = x.oid AND o.contype IN ('p', 'u', 'x')),
    'head', format('CREATE %sINDEX %I ON %s%I.%I ', CASE WHEN i.indisunique THEN 'UNIQUE ' END, x.relname, CASE c.relkind WHEN 'p' THEN 'ONLY ' END, n.nspname, c.relname),
    'sql', pg_get_indexdef(x.oid),
    'columns', (SELECT json_agg(k.position ORDER BY k.place) FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (position, place)
      WHERE k.place <= i.indnkeyatts),
    'clustered', i.indisclustered, 'replicaIdentity', i.indisreplident, 'tablespace', x.reltablespace <> 0, 'options', to_json(x.reloptions),
    'statistics', (SELECT json_agg(json_build_array(s.attnum, s.attstattarget)) FROM pg_attribute s
      WHERE s.attrelid = x.oid AND s.attstattarget >= 0),
    'comment', obj_description(x.oid, 'pg_class')) ORDER BY x.oid)
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid`;

/** Functions of the user's in stored trees, which name them by OID. */
const calledFunctions = (trees: string): string => `
  SELECT json_agg(DISTINCT jsonb_build_object('signature', f.oid::regprocedure::text, 'language', l.lanname,
    'source', coalesce(pg_get_function_sqlbody(f.oid), f.prosrc), 'definition', CASE WHEN f.prokind <> 'a' THEN pg_get_functiondef(f.oid) END))
  FROM regexp_matches(${trees}, ' :(?:funcid|opfuncid) ([0-9]+)', 'g') m (id)
  JOIN pg_proc f ON f.oid = m.id[1]::oid JOIN pg_language l ON l.oid = f.prolang WHERE f.oid >= 16384`;

const policies = (distribution: DistributionSql): string => `
  SELECT json_agg(json_build_object('oid', p.oid::bigint, 'name', p.polname,
    'head', format('AS %s FOR %s', CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
      CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END),
    'roles', (SELECT string_agg(CASE WHEN role = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', ' ORDER BY role) FROM unnest(p.polroles) AS role),
    'roleNames', (SELECT json_agg(quote_ident(pg_get_userbyid(role))) FROM unnest(p.polroles) AS role WHERE role <> 0),
    'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid),
    'reads', (SELECT json_agg(${relatedTable('o.refobjid', distribution)}) FROM (SELECT DISTINCT refobjid FROM pg_depend WHERE classid = 'pg_policy'::regclass AND objid = p.oid
      AND refclassid = 'pg_class'::regclass AND refobjid <> c.oid) o),
    'readsItself', t.trees ~ format(' :relid %s ', c.oid),
    'unsteady', (SELECT json_agg(DISTINCT f.proname) FROM regexp_matches(t.trees, ' :(?:funcid|opfuncid) ([0-9]+)', 'g') m (id)
      JOIN pg_proc f ON f.oid = m.id[1]::oid WHERE f.provolatile <> 'i' AND f.proname <> 'current_setting'),
    'functions', (${calledFunctions('t.trees')}),
    'comment', obj_description(p.oid, 'pg_policy')) ORDER BY p.oid)
  FROM pg_policy p, concat(p.polqual::text, p.polwithcheck::text) t (trees) WHERE p.polrelid = c.oid`;

/** The fence of a shell is triggers of ours, not the user's; a partition's copies of its parent's triggers are the parent's. */
const triggers = `
  SELECT json_agg(json_build_object('oid', g.oid::bigint, 'name', g.tgname, 'sql', pg_get_triggerdef(g.oid), 'enabled', g.tgenabled, 'perRow', g.tgtype & 1 = 1,
    'timing', CASE WHEN g.tgtype & 2 = 2 THEN 'before' ELSE 'after' END,
    'seesMore', g.tgoldtable IS NOT NULL OR g.tgnewtable IS NOT NULL OR g.tgconstrrelid <> 0,
    'function', (SELECT json_build_object('signature', f.oid::regprocedure::text, 'language', l.lanname, 'source', f.prosrc, 'definition', pg_get_functiondef(f.oid))
      FROM pg_proc f JOIN pg_language l ON l.oid = f.prolang WHERE f.oid = g.tgfoid),
    'comment', obj_description(g.oid, 'pg_trigger')) ORDER BY g.oid)
  FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgparentid = 0 AND g.tgfoid IS DISTINCT FROM ${fenceFunction}`;

/** PUBLIC may use the schema "public" of every new database. */
const schemaUsers = `
  SELECT json_agg(DISTINCT CASE u.role WHEN 0 THEN 'PUBLIC' ELSE u.role::regrole::text END) FROM (
    SELECT grantee FROM aclexplode(n.nspacl) WHERE privilege_type = 'USAGE' UNION ALL SELECT n.nspowner) u (role)
  WHERE u.role::regrole::text <> quote_ident(current_user) AND n.nspname <> 'public'`;

const statistics = `
  SELECT json_agg(json_build_object('oid', s.oid::bigint, 'schema', m.nspname, 'name', s.stxname, 'sql', pg_get_statisticsobjdef(s.oid),
    'head', format('CREATE STATISTICS %I.%I ', m.nspname, s.stxname), 'tail', format(' FROM %I.%I', n.nspname, c.relname),
    'target', CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget END, 'comment', obj_description(s.oid, 'pg_statistic_ext')) ORDER BY s.oid)
  FROM pg_statistic_ext s JOIN pg_namespace m ON m.oid = s.stxnamespace WHERE s.stxrelid = c.oid`;

/** What a publication as a whole has it has with all columns and rows, whatever else it says of the table. */
const publications = `
  SELECT json_agg(json_build_object('oid', p.oid::bigint, 'name', p.pubname, 'whole', w.whole, 'where', pg_get_expr(r.prqual, r.prrelid),
    'columns', (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs::int2[]))) ORDER BY p.pubname)
  FROM pg_publication p CROSS JOIN LATERAL (SELECT ${isPublishedWhole('p', 'c')}) w (whole)
    LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = c.oid AND NOT w.whole
  WHERE ${isUsersPublication('p')} AND ${isPublished('p', 'c')}`;

/** Looked for without an index, so not on nodes, which have many constraints. */
const referencedBy = (distribution: DistributionSql): string => `(
  SELECT json_agg(json_build_object('constraint', o.conname, 'table', ${relatedTable('o.conrelid', distribution)}) ORDER BY o.oid)
  FROM pg_constraint o WHERE o.confrelid = c.oid AND o.contype = 'f' AND o.conrelid <> c.oid AND ${isWhole})`;

const definitionsWhere = (which: string, distribution: DistributionSql): string => `
SELECT json_build_object('oid', c.oid::bigint, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, 'persistence', c.relpersistence,
  'system', c.oid < 16384 OR n.nspname IN ('pg_catalog', 'information_schema') OR (n.nspname = 'shardwright' AND c.relname !~ '^unique_lookup_[0-9]'), 'typed', c.reloftype <> 0,
  'partition', c.relispartition,
  'partitionOf', CASE WHEN c.relispartition THEN (SELECT json_build_object('bound', pg_get_expr(c.relpartbound, c.oid),
    'table', ${relatedTable('h.inhparent', distribution)}) FROM pg_inherits h WHERE h.inhrelid = c.oid) END,
  'partitionKey', pg_get_partkeydef(c.oid),
  'inherits', NOT c.relispartition AND EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid),
  'inherited', c.relkind <> 'p' AND EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid),
  'rowSecurity', c.relrowsecurity, 'rowSecurityForced', c.relforcerowsecurity, 'policies', (${policies(distribution)}),
  'triggers', (${triggers}), 'statistics', (${statistics}), 'publications', (${publications}),
  'triggersUnlikeAbove', (SELECT json_agg(g.tgname ORDER BY g.tgname) FROM pg_trigger g JOIN pg_trigger a ON a.oid = g.tgparentid WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled <> a.tgenabled),
  'fence', (SELECT json_agg(g.tgname ORDER BY g.tgname) FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgfoid = ${fenceFunction} AND g.tgenabled <> 'D'),
  'rules', (SELECT json_agg(r.rulename ORDER BY r.rulename) FROM pg_rewrite r WHERE r.ev_class = c.oid),
  'tablespace', c.reltablespace <> 0,
  'accessMethod', (SELECT m.amname FROM pg_am m WHERE m.oid = c.relam),
  'options', to_json(c.reloptions),
  'toastOptions', (SELECT to_json(t.reloptions) FROM pg_class t WHERE t.oid = c.reltoastrelid),
  'replicaIdentity', c.relreplident,
  'owner', pg_get_userbyid(c.relowner), 'ownerReads', pg_get_userbyid(c.relowner) = current_user, 'schemaUsers', (${schemaUsers}),
  'grants', ${grants(`coalesce(c.relacl, acldefault('r', c.relowner))`)},
  'comment', obj_description(c.oid, 'pg_class'),
  'columns', coalesce((${columns}), '[]'),
  'constraints', (${constraints(distribution)}),
  'indexes', (${indexes(distribution)}),
  'referencedBy', ${distribution === nowhere ? 'null' : referencedBy(distribution)},
  'distribution', ${distribution('c.oid')})
FROM ${which}`;

const definitionsOfShards = definitionsWhere(
  `json_to_recordset($1::json) AS k (schema name, name name) JOIN pg_namespace n ON n.nspname = k.schema
   JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = k.name`,
  nowhere,
);

const functionText = `RETURNS SETOF json LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
AS $definitions$BEGIN RETURN QUERY ${definitionsWhere('pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1)', distributionOf)}; END$definitions$`;
