import { assert } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import { volatility } from '../store/catalog-document.ts';
import type { TableDefinition } from './table-definition.ts';

/** Reads a table's definition; the transaction must have `definitionSettings`, and a lock that keeps the definition from changing. */
export async function readDefinition(coordinator: NodeConnection, oid: number, options?: CallOptions): Promise<TableDefinition> {
  const definition = (await readDefinitions(coordinator, [oid], options)).get(oid);
  if (definition === undefined) throw new ClusterError('undefinedTable', `relation with OID ${oid} does not exist`);
  return definition;
}

/** Those of several tables, by OID; of what is gone there is none. */
export async function readDefinitions(coordinator: NodeConnection, oids: readonly number[], options?: CallOptions): Promise<Map<number, TableDefinition>> {
  const { rows } = await coordinator.query({ text: definitionQuery, values: [oids] }, options);
  return new Map(rows.map(([document]) => {
    const definition = JSON.parse(document ?? '') as TableDefinition;
    return [definition.oid, { ...definition, indexes: (definition.indexes ?? []).map(withoutHead) }];
  }));
}

/** What follows name and table in CREATE INDEX. The head is known to the letter, so it can be cut off. */
function withoutHead<I extends { readonly head: string; readonly sql: string }>(index: I): I {
  assert(index.sql.startsWith(index.head), `unexpected index definition ${index.sql}`);
  return { ...index, sql: index.sql.slice(index.head.length) };
}

const distributionOf = (oid: string): string => `(
  SELECT json_build_object('kind', t.kind, 'columnPosition', t.distribution_attnum, 'colocationId', t.colocation_id, 'shardIds',
    (SELECT json_agg(h.shard_id ORDER BY s.ordinal) FROM shardwright.shard h LEFT JOIN shardwright.shard_group s USING (shard_group_id)
     WHERE h.relation = t.relation))
  FROM shardwright.distributed_table t WHERE t.relation = ${oid})`;

const relatedTable = (oid: string): string => `(
  SELECT json_build_object('oid', k.oid::bigint, 'schema', m.nspname, 'name', k.relname, 'sql', k.oid::regclass::text,
    'distribution', ${distributionOf('k.oid')})
  FROM pg_class k JOIN pg_namespace m ON m.oid = k.relnamespace WHERE k.oid = ${oid})`;

const action = (column: string): string =>
  `CASE ${column} WHEN 'r' THEN 'restrict' WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set_null' WHEN 'd' THEN 'set_default' ELSE 'no_action' END`;

const storageName = (column: string): string => `CASE ${column} WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END`;

const grants = (acl: string): string => `(
  SELECT json_agg(json_build_object('grantee', CASE WHEN x.grantee <> 0 THEN pg_get_userbyid(x.grantee) END, 'privilege', x.privilege_type, 'grantable', x.is_grantable)
    ORDER BY x.grantee, x.privilege_type, x.is_grantable) FROM aclexplode(${acl}) x)`;

const columns = `
  SELECT json_agg(json_build_object('name', a.attname, 'position', a.attnum, 'type', format_type(a.atttypid, a.atttypmod),
    'typeName', format_type(a.atttypid, NULL),
    'collation', CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
    'deterministic', coalesce(l.collisdeterministic, true),
    'notNull', a.attnotnull AND coalesce(n.convalidated, true), 'notNullName', n.conname,
    'identity', nullif(a.attidentity, ''), 'generated', CASE a.attgenerated WHEN 's' THEN 'stored' WHEN 'v' THEN 'virtual' END,
    'expression', pg_get_expr(d.adbin, d.adrelid), 'expressionOid', d.oid::bigint,
    'volatility', CASE WHEN d.oid IS NOT NULL THEN (SELECT ${volatility} FROM (SELECT d.adbin::text AS tree) x) END,
    'missing', CASE WHEN a.atthasmissing AND t.typdelim = ',' THEN (a.attmissingval::text::text[])[1] END,
    'usesSequence', a.attidentity <> '' OR EXISTS (
      SELECT FROM pg_depend o JOIN pg_class s ON s.oid = o.refobjid AND s.relkind = 'S'
      WHERE o.classid = 'pg_attrdef'::regclass AND o.objid = d.oid AND o.refclassid = 'pg_class'::regclass),
    'storage', CASE WHEN a.attstorage <> t.typstorage THEN ${storageName('a.attstorage')} END, 'typeStorage', ${storageName('t.typstorage')},
    'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
    'statisticsTarget', CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END,
    'options', to_json(a.attoptions), 'grants', ${grants('a.attacl')}, 'comment', col_description(a.attrelid, a.attnum)) ORDER BY a.attnum)
  FROM pg_attribute a
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN pg_collation l ON l.oid = a.attcollation
  LEFT JOIN pg_constraint n ON n.conrelid = a.attrelid AND n.contype = 'n' AND n.conkey[1] = a.attnum
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped`;

const constraints = `
  SELECT json_agg(json_build_object('oid', o.oid::bigint, 'name', o.conname,
    'kind', CASE o.contype WHEN 'c' THEN 'check' WHEN 'p' THEN 'primary' WHEN 'u' THEN 'unique' WHEN 'x' THEN 'exclude'
      WHEN 'f' THEN 'foreign' WHEN 'n' THEN 'not_null' END,
    'sql', pg_get_constraintdef(o.oid), 'validated', o.convalidated, 'columns', to_json(o.conkey),
    'flags', concat(o.condeferrable::text, o.condeferred::text, coalesce(to_json(o)->>'conenforced', 'true'), o.connoinherit::text),
    'deferrable', o.condeferrable, 'deferred', o.condeferred, 'indexOid', CASE WHEN o.contype IN ('p', 'u', 'x') THEN o.conindid::bigint END,
    'equalities', (SELECT json_agg(EXISTS (
        SELECT FROM pg_amop w JOIN pg_am m ON m.oid = w.amopmethod AND m.amname = 'btree' WHERE w.amopopr = e.operator AND w.amopstrategy = 3)
        ORDER BY e.place) FROM unnest(o.conexclop) WITH ORDINALITY e (operator, place)),
    'foreign', CASE WHEN o.contype = 'f' THEN json_build_object('table', ${relatedTable('o.confrelid')}, 'columns', to_json(o.confkey),
      'onDelete', ${action('o.confdeltype')}, 'onUpdate', ${action('o.confupdtype')}, 'onDeleteColumns', to_json(o.confdelsetcols)) END,
    'comment', obj_description(o.oid, 'pg_constraint')) ORDER BY o.oid)
  FROM pg_constraint o WHERE o.conrelid = c.oid AND o.contype IN ('c', 'p', 'u', 'x', 'f', 'n')`;

const indexes = `
  SELECT json_agg(json_build_object('oid', x.oid::bigint, 'name', x.relname, 'unique', i.indisunique,
    'ofConstraint', EXISTS (SELECT FROM pg_constraint o WHERE o.conindid = x.oid AND o.contype IN ('p', 'u', 'x')),
    'head', format('CREATE %sINDEX %I ON %I.%I ', CASE WHEN i.indisunique THEN 'UNIQUE ' END, x.relname, n.nspname, c.relname),
    'sql', pg_get_indexdef(x.oid),
    'columns', (SELECT json_agg(k.position ORDER BY k.place) FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (position, place)
      WHERE k.place <= i.indnkeyatts),
    'clustered', i.indisclustered, 'replicaIdentity', i.indisreplident, 'tablespace', x.reltablespace <> 0, 'options', to_json(x.reloptions),
    'statistics', (SELECT json_agg(json_build_array(s.attnum, s.attstattarget)) FROM pg_attribute s
      WHERE s.attrelid = x.oid AND s.attstattarget >= 0),
    'comment', obj_description(x.oid, 'pg_class')) ORDER BY x.oid)
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisvalid`;

const policies = `
  SELECT json_agg(json_build_object('oid', p.oid::bigint, 'name', p.polname,
    'head', format('AS %s FOR %s', CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
      CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END),
    'roles', (SELECT string_agg(CASE WHEN role = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', ' ORDER BY role) FROM unnest(p.polroles) AS role),
    'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid),
    'reads', (SELECT json_agg(${relatedTable('o.refobjid')}) FROM (SELECT DISTINCT refobjid FROM pg_depend WHERE classid = 'pg_policy'::regclass AND objid = p.oid
      AND refclassid = 'pg_class'::regclass AND refobjid <> c.oid) o),
    'comment', obj_description(p.oid, 'pg_policy')) ORDER BY p.oid)
  FROM pg_policy p WHERE p.polrelid = c.oid`;

/** The fence of a shell is triggers of ours, not the user's. */
const triggers = `
  SELECT json_agg(json_build_object('oid', g.oid::bigint, 'name', g.tgname, 'sql', pg_get_triggerdef(g.oid), 'enabled', g.tgenabled, 'perRow', g.tgtype & 1 = 1,
    'mentions', (SELECT json_agg(k.relname ORDER BY k.relname) FROM pg_proc f, shardwright.distributed_table d JOIN pg_class k ON k.oid = d.relation
      WHERE f.oid = g.tgfoid AND f.prosrc ~* ('\\m' || regexp_replace(k.relname, '(\\W)', '\\\\\\1', 'g') || '\\M')),
    'comment', obj_description(g.oid, 'pg_trigger')) ORDER BY g.oid)
  FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgfoid <> 'shardwright.refuse_shell_write'::regproc`;

const statistics = `
  SELECT json_agg(json_build_object('oid', s.oid::bigint, 'schema', m.nspname, 'name', s.stxname, 'sql', pg_get_statisticsobjdef(s.oid),
    'head', format('CREATE STATISTICS %I.%I ', m.nspname, s.stxname), 'tail', format(' FROM %I.%I', n.nspname, c.relname),
    'target', CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget END, 'comment', obj_description(s.oid, 'pg_statistic_ext')) ORDER BY s.oid)
  FROM pg_statistic_ext s JOIN pg_namespace m ON m.oid = s.stxnamespace WHERE s.stxrelid = c.oid`;

const definitionQuery = `
SELECT json_build_object('oid', c.oid::bigint, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, 'persistence', c.relpersistence,
  'system', c.oid < 16384 OR n.nspname IN ('pg_catalog', 'information_schema', 'shardwright'), 'typed', c.reloftype <> 0,
  'partition', c.relispartition,
  'inherits', EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid),
  'inherited', EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid),
  'rowSecurity', c.relrowsecurity, 'rowSecurityForced', c.relforcerowsecurity, 'policies', (${policies}),
  'triggers', (${triggers}), 'statistics', (${statistics}),
  'fence', (SELECT json_agg(g.tgname ORDER BY g.tgname) FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgfoid = 'shardwright.refuse_shell_write'::regproc AND g.tgenabled <> 'D'),
  'rules', (SELECT json_agg(r.rulename ORDER BY r.rulename) FROM pg_rewrite r WHERE r.ev_class = c.oid),
  'tablespace', c.reltablespace <> 0,
  'accessMethod', (SELECT m.amname FROM pg_am m WHERE m.oid = c.relam),
  'options', to_json(c.reloptions),
  'toastOptions', (SELECT to_json(t.reloptions) FROM pg_class t WHERE t.oid = c.reltoastrelid),
  'replicaIdentity', c.relreplident,
  'owner', pg_get_userbyid(c.relowner),
  'grants', ${grants(`coalesce(c.relacl, acldefault('r', c.relowner))`)},
  'comment', obj_description(c.oid, 'pg_class'),
  'columns', coalesce((${columns}), '[]'),
  'constraints', (${constraints}),
  'indexes', (${indexes}),
  'referencedBy', (SELECT json_agg(json_build_object('constraint', o.conname, 'table', ${relatedTable('o.conrelid')}) ORDER BY o.oid)
    FROM pg_constraint o WHERE o.confrelid = c.oid AND o.contype = 'f' AND o.conrelid <> c.oid),
  'distribution', ${distributionOf('c.oid')})
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1::oid[])`;
