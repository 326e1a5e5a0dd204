import type { Ask } from '../describe-table.ts';

/** Every object beside tables that a user has made in a database, one line or text each. */
export async function describeObjects(ask: Ask): Promise<string[]> {
  const found = await ask(queries.map((query) => `(${query})`).join(' UNION ALL ') + ' ORDER BY 1');
  return found.map(([line]) => String(line));
}

const own = (namespace: string, classOid: string, oid: string): string => `${namespace}::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'shardwright', 'pg_toast')
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = '${classOid}'::regclass AND objid = ${oid} AND deptype = 'e')`;

const access = (acl: string, kind: string, owner: string): string => `(SELECT string_agg(line, ' ' ORDER BY line) FROM aclexplode(coalesce(${acl}, acldefault('${kind}', ${owner}))) a,
  LATERAL (SELECT concat_ws('/', CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END, privilege_type, is_grantable) AS line) l)`;

const queries = [
  `SELECT concat_ws(' ', 'schema', nspname, pg_get_userbyid(nspowner), ${access('nspacl', 'n', 'nspowner')}, obj_description(oid, 'pg_namespace')) FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'shardwright')`,
  `SELECT concat_ws(' ', 'type', typtype, oid::regtype, pg_get_userbyid(typowner), ${access('typacl', 'T', 'typowner')}, obj_description(oid, 'pg_type'),
      (SELECT array_agg(enumlabel ORDER BY enumsortorder)::text FROM pg_enum WHERE enumtypid = t.oid),
      (SELECT array_agg(concat_ws(' ', attname, format_type(atttypid, atttypmod), nullif(attcollation, 0)::regcollation) ORDER BY attnum)::text FROM pg_attribute
        WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped),
      (SELECT rngsubtype::regtype::text || rngsubdiff::text FROM pg_range WHERE rngtypid = t.oid),
      nullif(typbasetype, 0)::regtype, typtypmod, typnotnull, typdefault, nullif(typcollation, 0)::regcollation,
      (SELECT array_agg(concat_ws(' ', conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint')) ORDER BY conname)::text FROM pg_constraint WHERE contypid = t.oid AND contype = 'c'))
    FROM pg_type t WHERE ${own('typnamespace', 'pg_type', 't.oid')} AND typtype IN ('e', 'c', 'd', 'r') AND (typrelid = 0 OR (SELECT relkind FROM pg_class WHERE oid = typrelid) = 'c')`,
  `SELECT concat_ws(' ', 'function', prokind, oid::regprocedure, pg_get_userbyid(proowner), ${access('proacl', 'f', 'proowner')}, obj_description(oid, 'pg_proc'),
      CASE WHEN prokind <> 'a' THEN pg_get_functiondef(oid) ELSE (SELECT concat_ws(' ', aggtransfn::regproc, aggfinalfn::regproc, aggtranstype::regtype, agginitval) FROM pg_aggregate WHERE aggfnoid = p.oid) END)
    FROM pg_proc p WHERE ${own('pronamespace', 'pg_proc', 'p.oid')} AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'i')`,
  `SELECT concat_ws(' ', 'operator', oid::regoperator, oprcode::regproc, oprcom::regoperator, oprnegate::regoperator, oprrest::regproc, pg_get_userbyid(oprowner), obj_description(oid, 'pg_operator')) FROM pg_operator
    WHERE ${own('oprnamespace', 'pg_operator', 'pg_operator.oid')}`,
  `SELECT concat_ws(' ', 'operator class', opcname, opcfamily IS NOT NULL, opcintype::regtype, opcdefault, pg_get_userbyid(opcowner)) FROM pg_opclass WHERE ${own('opcnamespace', 'pg_opclass', 'pg_opclass.oid')}`,
  `SELECT concat_ws(' ', 'operator family', opfname, (SELECT string_agg(concat_ws('/', amopstrategy, amopopr::regoperator), ' ' ORDER BY amopstrategy) FROM pg_amop WHERE amopfamily = f.oid)) FROM pg_opfamily f
    WHERE ${own('opfnamespace', 'pg_opfamily', 'f.oid')}`,
  `SELECT concat_ws(' ', 'cast', castsource::regtype, casttarget::regtype, nullif(castfunc, 0)::regprocedure, castcontext, castmethod) FROM pg_cast WHERE oid >= 16384`,
  `SELECT concat_ws(' ', 'collation', collnamespace::regnamespace, collname, collprovider, collisdeterministic, collcollate, pg_get_userbyid(collowner)) FROM pg_collation WHERE ${own('collnamespace', 'pg_collation', 'pg_collation.oid')}`,
  `SELECT concat_ws(' ', 'text search', cfgnamespace::regnamespace, cfgname, pg_get_userbyid(cfgowner), (SELECT string_agg(concat_ws('/', maptokentype, mapdict::regdictionary), ' ' ORDER BY maptokentype, mapseqno) FROM pg_ts_config_map WHERE mapcfg = c.oid))
    FROM pg_ts_config c WHERE ${own('cfgnamespace', 'pg_ts_config', 'c.oid')}`,
  `SELECT concat_ws(' ', 'dictionary', dictnamespace::regnamespace, dictname, (SELECT tmplname FROM pg_ts_template t WHERE t.oid = dicttemplate), dictinitoption) FROM pg_ts_dict WHERE ${own('dictnamespace', 'pg_ts_dict', 'pg_ts_dict.oid')}`,
  `SELECT concat_ws(' ', 'parser', prsname, prsstart, prstoken, prsend, prsheadline, prslextype) FROM pg_ts_parser WHERE ${own('prsnamespace', 'pg_ts_parser', 'pg_ts_parser.oid')}`,
  `SELECT concat_ws(' ', 'template', tmplname, tmplinit, tmpllexize) FROM pg_ts_template WHERE ${own('tmplnamespace', 'pg_ts_template', 'pg_ts_template.oid')}`,
  `SELECT concat_ws(' ', 'language', lanname, lanpltrusted, lanplcallfoid::regproc, laninline::regproc, lanvalidator::regproc, pg_get_userbyid(lanowner), ${access('lanacl', 'l', 'lanowner')}, obj_description(oid, 'pg_language')) FROM pg_language`,
  `SELECT concat_ws(' ', 'access method', amname, amtype, amhandler) FROM pg_am`,
  `SELECT concat_ws(' ', 'conversion', conname, conforencoding, contoencoding, conproc, condefault) FROM pg_conversion WHERE ${own('connamespace', 'pg_conversion', 'pg_conversion.oid')}`,
  `SELECT concat_ws(' ', 'transform', trftype::regtype, trffromsql::regproc, trftosql::regproc, (SELECT lanname FROM pg_language l WHERE l.oid = trflang)) FROM pg_transform`,
  `SELECT concat_ws(' ', 'extension', extname, extversion, extnamespace::regnamespace) FROM pg_extension`,
  `SELECT concat_ws(' ', 'default privileges', nullif(defaclnamespace, 0)::regnamespace, pg_get_userbyid(defaclrole), defaclobjtype, (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(defaclacl) a)) FROM pg_default_acl WHERE defaclobjtype NOT IN ('r', 'S')`,
];
