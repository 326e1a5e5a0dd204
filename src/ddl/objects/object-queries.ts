import { at } from '../../base/assert.ts';
import { isPublished, isUsersPublication } from '../../store/publication-sql.ts';

/** One kind of objects: its system catalog, and how CREATE says what is in a row of it. */
interface ObjectKind {
  readonly catalog: string;
  readonly namespace: string | undefined;
  readonly owner: string | undefined;
  /** Its access list, and the letter that `acldefault` knows the kind by. */
  readonly access?: readonly [column: string, letter: string];
  readonly where?: string;
  /** Also objects that every database has from the beginning, which are not to be made, but may have changed. What the server's first superuser has of them, who has another name elsewhere, is left out. */
  readonly fromTheBeginning?: boolean;
  /** SQL for the statements that make `o`. */
  readonly create: string;
  /** SQL for those that complete it when all objects are there: they may need objects that need it. */
  readonly complete?: string;
  /** SQL for the statements that take it away again, where DROP has no word for it. */
  readonly drop?: string;
}

const qualified = (namespace: string, name: string): string => `format('%s.%I', ${namespace}::regnamespace, ${name})`;
const optional = (label: string, value: string): string => `coalesce(', ${label} = ' || ${value}, '')`;
const operator = (oid: string): string => `(SELECT format('OPERATOR(%s.%s)', oprnamespace::regnamespace, oprname) FROM pg_operator WHERE oid = ${oid})`;
const procedure = (oid: string): string => `nullif(${oid}, 0)::oid::regproc::text`;

const typeName = qualified('o.typnamespace', 'o.typname');
const aggregate = `(SELECT format('CREATE AGGREGATE %s.%I(%s) (SFUNC = %s, STYPE = %s', o.pronamespace::regnamespace, o.proname, CASE WHEN o.pronargs = 0 THEN '*' ELSE pg_get_function_arguments(o.oid) END,
    aggtransfn::oid::regproc, format_type(aggtranstype, NULL))
  || ${optional('SSPACE', 'nullif(aggtransspace, 0)::text')} || ${optional('FINALFUNC', procedure('aggfinalfn'))} || CASE WHEN aggfinalextra THEN ', FINALFUNC_EXTRA' ELSE '' END
  || CASE WHEN aggfinalfn <> 0 THEN format(', FINALFUNC_MODIFY = %s', CASE aggfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END) ELSE '' END
  || ${optional('COMBINEFUNC', procedure('aggcombinefn'))} || ${optional('SERIALFUNC', procedure('aggserialfn'))} || ${optional('DESERIALFUNC', procedure('aggdeserialfn'))}
  || ${optional('INITCOND', 'quote_literal(agginitval)')} || ${optional('MSFUNC', procedure('aggmtransfn'))} || ${optional('MINVFUNC', procedure('aggminvtransfn'))}
  || ${optional('MSTYPE', `CASE WHEN aggmtranstype <> 0 THEN format_type(aggmtranstype, NULL) END`)} || ${optional('MFINALFUNC', procedure('aggmfinalfn'))} || ${optional('MINITCOND', 'quote_literal(aggminitval)')}
  || ${optional('SORTOP', operator('nullif(aggsortop, 0)'))} || CASE WHEN aggkind = 'h' THEN ', HYPOTHETICAL' ELSE '' END
  || format(', PARALLEL = %s)', CASE o.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' ELSE 'UNSAFE' END) FROM pg_aggregate WHERE aggfnoid = o.oid)`;

const types = (typtype: string, create: string, further = 'true', complete = 'NULL'): ObjectKind => ({
  catalog: 'pg_type', namespace: 'o.typnamespace', owner: 'o.typowner', access: ['o.typacl', 'T'], where: `o.typtype = '${typtype}' AND ${further}`, create, complete,
});

const granteeName = `CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END`;

/** `commands` gives pairs of a place in order and what stands behind ALTER DEFAULT PRIVILEGES … */
const defaultPrivileges = (commands: string): string => `
    (SELECT string_agg(format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s %s', pg_get_userbyid(o.defaclrole), ' IN SCHEMA ' || nullif(o.defaclnamespace, 0)::regnamespace, c.command), '; ' ORDER BY c.place, c.command)
      FROM (VALUES ('f', 'FUNCTIONS'), ('T', 'TYPES'), ('n', 'SCHEMAS')) AS k (letter, objects), LATERAL (${commands}) AS c (place, command) WHERE k.letter = o.defaclobjtype::text)`;

const kinds: readonly ObjectKind[] = [
  { catalog: 'pg_namespace', namespace: 'o.oid', owner: 'o.nspowner', access: ['o.nspacl', 'n'], where: `o.nspname <> 'public'`, create: `format('CREATE SCHEMA %I', o.nspname)` },
  { catalog: 'pg_namespace', namespace: 'o.oid', owner: 'nullif(o.nspowner, 10)', access: ['o.nspacl', 'n'], where: `o.nspname = 'public'`, fromTheBeginning: true, create: `'CREATE SCHEMA public'` },
  {
    catalog: 'pg_extension', namespace: undefined, owner: undefined, where: `o.extname <> 'plpgsql'`,
    create: `format('CREATE EXTENSION %I SCHEMA %s VERSION %L CASCADE', o.extname, o.extnamespace::regnamespace, o.extversion)`,
  },
  types('e', `format('CREATE TYPE %s AS ENUM (%s)', ${typeName}, (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = o.oid))`),
  types('c', `format('CREATE TYPE %s AS (%s)', ${typeName}, (SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod))
      || CASE WHEN attcollation <> (SELECT typcollation FROM pg_type WHERE oid = atttypid) THEN ' COLLATE ' || attcollation::regcollation ELSE '' END, ', ' ORDER BY attnum)
    FROM pg_attribute WHERE attrelid = o.typrelid AND attnum > 0 AND NOT attisdropped))`, `(SELECT relkind FROM pg_class WHERE oid = o.typrelid) = 'c'`),
  types('r', `(SELECT format('CREATE TYPE %s AS RANGE (SUBTYPE = %s, SUBTYPE_OPCLASS = %s', ${typeName}, format_type(rngsubtype, NULL),
      (SELECT ${qualified('opcnamespace', 'opcname')} FROM pg_opclass WHERE oid = rngsubopc)) || ${optional('COLLATION', 'nullif(rngcollation, 0)::regcollation::text')}
      || ${optional('SUBTYPE_DIFF', procedure('rngsubdiff'))} || ${optional('CANONICAL', procedure('rngcanonical'))}
      || (SELECT format(', MULTIRANGE_TYPE_NAME = %s)', ${qualified('m.typnamespace', 'm.typname')}) FROM pg_type m WHERE m.oid = rngmultitypid) FROM pg_range WHERE rngtypid = o.oid)`),
  types('d', `format('CREATE DOMAIN %s AS %s', ${typeName}, format_type(o.typbasetype, o.typtypmod))
    || CASE WHEN o.typcollation <> (SELECT typcollation FROM pg_type b WHERE b.oid = o.typbasetype) THEN ' COLLATE ' || o.typcollation::regcollation ELSE '' END
    || coalesce(' DEFAULT ' || o.typdefault, '') || CASE WHEN o.typnotnull THEN ' NOT NULL' ELSE '' END`, 'true',
    `(SELECT string_agg(format('ALTER DOMAIN %s ADD CONSTRAINT %I %s', ${typeName}, conname, pg_get_constraintdef(oid)), '; ' ORDER BY conname) FROM pg_constraint WHERE contypid = o.oid AND contype = 'c')`),
  {
    catalog: 'pg_proc', namespace: 'o.pronamespace', owner: 'o.proowner', access: ['o.proacl', 'f'],
    create: `CASE WHEN o.prokind = 'a' THEN ${aggregate} ELSE rtrim(pg_get_functiondef(o.oid), E'\\n') END`,
  },
  {
    catalog: 'pg_operator', namespace: 'o.oprnamespace', owner: 'o.oprowner', where: 'o.oprcode <> 0',
    create: `format('CREATE OPERATOR %s.%s (FUNCTION = %s', o.oprnamespace::regnamespace, o.oprname, o.oprcode::oid::regproc)
      || ${optional('LEFTARG', 'CASE WHEN o.oprleft <> 0 THEN format_type(o.oprleft, NULL) END')} || ${optional('RIGHTARG', 'CASE WHEN o.oprright <> 0 THEN format_type(o.oprright, NULL) END')}
      || ${optional('COMMUTATOR', operator('nullif(o.oprcom, 0)'))} || ${optional('NEGATOR', operator('nullif(o.oprnegate, 0)'))}
      || ${optional('RESTRICT', procedure('o.oprrest'))} || ${optional('JOIN', procedure('o.oprjoin'))}
      || CASE WHEN o.oprcanhash THEN ', HASHES' ELSE '' END || CASE WHEN o.oprcanmerge THEN ', MERGES' ELSE '' END || ')'`,
  },
  {
    catalog: 'pg_opfamily', namespace: 'o.opfnamespace', owner: 'o.opfowner',
    create: `format('CREATE OPERATOR FAMILY %s USING %I', ${qualified('o.opfnamespace', 'o.opfname')}, (SELECT amname FROM pg_am WHERE oid = o.opfmethod))`,
  },
  {
    catalog: 'pg_opclass', namespace: 'o.opcnamespace', owner: 'o.opcowner',
    create: `format('CREATE OPERATOR CLASS %s %sFOR TYPE %s USING %I FAMILY %s AS %s', ${qualified('o.opcnamespace', 'o.opcname')}, CASE WHEN o.opcdefault THEN 'DEFAULT ' ELSE '' END, format_type(o.opcintype, NULL),
      (SELECT amname FROM pg_am WHERE oid = o.opcmethod), (SELECT ${qualified('opfnamespace', 'opfname')} FROM pg_opfamily WHERE oid = o.opcfamily),
      (SELECT string_agg(part, ', ' ORDER BY part) FROM (
        SELECT format('OPERATOR %s %s (%s, %s)', amopstrategy, (SELECT format('%s.%s', oprnamespace::regnamespace, oprname) FROM pg_operator WHERE oid = amopopr), format_type(amoplefttype, NULL), format_type(amoprighttype, NULL))
          || coalesce((SELECT ' FOR ORDER BY ' || ${qualified('opfnamespace', 'opfname')} FROM pg_opfamily WHERE oid = nullif(amopsortfamily, 0)), '')
          FROM pg_amop WHERE amopfamily = o.opcfamily AND amoplefttype = o.opcintype AND amoprighttype = o.opcintype
        UNION ALL SELECT format('FUNCTION %s (%s, %s) %s', amprocnum, format_type(amproclefttype, NULL), format_type(amprocrighttype, NULL), amproc::oid::regprocedure)
          FROM pg_amproc WHERE amprocfamily = o.opcfamily AND amproclefttype = o.opcintype AND amprocrighttype = o.opcintype
        UNION ALL SELECT format('STORAGE %s', format_type(CASE WHEN o.opckeytype <> 0 THEN o.opckeytype ELSE o.opcintype END, NULL))) AS parts (part)))`,
  },
  {
    catalog: 'pg_cast', namespace: undefined, owner: undefined,
    create: `format('CREATE CAST (%s AS %s) %s%s', format_type(o.castsource, NULL), format_type(o.casttarget, NULL),
      CASE o.castmethod WHEN 'f' THEN 'WITH FUNCTION ' || o.castfunc::regprocedure WHEN 'i' THEN 'WITH INOUT' ELSE 'WITHOUT FUNCTION' END,
      CASE o.castcontext WHEN 'a' THEN ' AS ASSIGNMENT' WHEN 'i' THEN ' AS IMPLICIT' ELSE '' END)`,
  },
  {
    catalog: 'pg_collation', namespace: 'o.collnamespace', owner: 'o.collowner',
    create: `format('CREATE COLLATION %s (PROVIDER = %s', ${qualified('o.collnamespace', 'o.collname')}, CASE o.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END)
      || ${optional('LOCALE', `quote_literal(coalesce(to_jsonb(o)->>'colllocale', to_jsonb(o)->>'colliculocale'))`)} || ${optional('LC_COLLATE', 'quote_literal(o.collcollate)')}
      || ${optional('LC_CTYPE', 'quote_literal(o.collctype)')} || ${optional('RULES', `quote_literal(to_jsonb(o)->>'collicurules')`)} || format(', DETERMINISTIC = %s)', CASE WHEN o.collisdeterministic THEN 'true' ELSE 'false' END)`,
  },
  { catalog: 'pg_language', namespace: undefined, owner: 'nullif(o.lanowner, 10)', access: ['o.lanacl', 'l'], where: `o.lanname IN ('plpgsql', 'sql')`, fromTheBeginning: true, create: `''` },
  {
    catalog: 'pg_language', namespace: undefined, owner: 'o.lanowner', access: ['o.lanacl', 'l'],
    create: `format('CREATE %sLANGUAGE %I HANDLER %s', CASE WHEN o.lanpltrusted THEN 'TRUSTED ' ELSE '' END, o.lanname, o.lanplcallfoid::oid::regproc)
      || coalesce(' INLINE ' || nullif(o.laninline, 0)::oid::regproc::text, '') || coalesce(' VALIDATOR ' || nullif(o.lanvalidator, 0)::oid::regproc::text, '')`,
  },
  {
    catalog: 'pg_am', namespace: undefined, owner: undefined,
    create: `format('CREATE ACCESS METHOD %I TYPE %s HANDLER %s', o.amname, CASE o.amtype WHEN 'i' THEN 'INDEX' ELSE 'TABLE' END, o.amhandler::oid::regproc)`,
  },
  {
    catalog: 'pg_conversion', namespace: 'o.connamespace', owner: 'o.conowner',
    create: `format('CREATE %sCONVERSION %s FOR %L TO %L FROM %s', CASE WHEN o.condefault THEN 'DEFAULT ' ELSE '' END, ${qualified('o.connamespace', 'o.conname')}, pg_encoding_to_char(o.conforencoding),
      pg_encoding_to_char(o.contoencoding), o.conproc::oid::regproc)`,
  },
  {
    catalog: 'pg_transform', namespace: undefined, owner: undefined,
    create: `format('CREATE TRANSFORM FOR %s LANGUAGE %I (%s)', format_type(o.trftype, NULL), (SELECT lanname FROM pg_language WHERE oid = o.trflang), concat_ws(', ',
      'FROM SQL WITH FUNCTION ' || nullif(o.trffromsql, 0)::oid::regprocedure::text, 'TO SQL WITH FUNCTION ' || nullif(o.trftosql, 0)::oid::regprocedure::text))`,
    drop: `format('DROP TRANSFORM IF EXISTS FOR %s LANGUAGE %I', format_type(o.trftype, NULL), (SELECT lanname FROM pg_language WHERE oid = o.trflang))`,
  },
  {
    catalog: 'pg_ts_parser', namespace: 'o.prsnamespace', owner: undefined,
    create: `format('CREATE TEXT SEARCH PARSER %s (START = %s, GETTOKEN = %s, END = %s, LEXTYPES = %s', ${qualified('o.prsnamespace', 'o.prsname')}, o.prsstart::oid::regproc, o.prstoken::oid::regproc,
      o.prsend::oid::regproc, o.prslextype::oid::regproc) || ${optional('HEADLINE', procedure('o.prsheadline'))} || ')'`,
  },
  {
    catalog: 'pg_ts_template', namespace: 'o.tmplnamespace', owner: undefined,
    create: `format('CREATE TEXT SEARCH TEMPLATE %s (LEXIZE = %s', ${qualified('o.tmplnamespace', 'o.tmplname')}, o.tmpllexize::oid::regproc) || ${optional('INIT', procedure('o.tmplinit'))} || ')'`,
  },
  {
    catalog: 'pg_ts_dict', namespace: 'o.dictnamespace', owner: 'o.dictowner',
    create: `format('CREATE TEXT SEARCH DICTIONARY %s (TEMPLATE = %s%s)', ${qualified('o.dictnamespace', 'o.dictname')},
      (SELECT ${qualified('tmplnamespace', 'tmplname')} FROM pg_ts_template WHERE oid = o.dicttemplate), coalesce(', ' || o.dictinitoption, ''))`,
  },
  {
    catalog: 'pg_ts_config', namespace: 'o.cfgnamespace', owner: 'o.cfgowner',
    create: `format('CREATE TEXT SEARCH CONFIGURATION %s (PARSER = %s)', ${qualified('o.cfgnamespace', 'o.cfgname')}, (SELECT ${qualified('prsnamespace', 'prsname')} FROM pg_ts_parser WHERE oid = o.cfgparser))
      || coalesce((SELECT string_agg(format('; ALTER TEXT SEARCH CONFIGURATION %s ADD MAPPING FOR %I WITH %s', ${qualified('o.cfgnamespace', 'o.cfgname')}, (SELECT alias FROM ts_token_type(o.cfgparser) WHERE tokid = maptokentype), dicts), '' ORDER BY maptokentype)
        FROM (SELECT maptokentype, string_agg(mapdict::regdictionary::text, ', ' ORDER BY mapseqno) AS dicts FROM pg_ts_config_map WHERE mapcfg = o.oid GROUP BY 1) AS m), '')`,
  },
  // Without tables: shards come into it with what is theirs.
  {
    catalog: 'pg_publication', namespace: undefined, owner: 'o.pubowner', where: isUsersPublication('o'),
    create: `format('CREATE PUBLICATION %I WITH (publish = %L, publish_via_partition_root = %s%s)', o.pubname,
      concat_ws(', ', CASE WHEN o.pubinsert THEN 'insert' END, CASE WHEN o.pubupdate THEN 'update' END, CASE WHEN o.pubdelete THEN 'delete' END, CASE WHEN o.pubtruncate THEN 'truncate' END), o.pubviaroot::text,
      CASE WHEN to_jsonb(o)->>'pubgencols' = 's' THEN ', publish_generated_columns = stored' ELSE '' END)`,
  },
  // Those of tables and sequences are for the coordinator database. When all else is there: it must not get other privileges than it has.
  {
    catalog: 'pg_default_acl', namespace: undefined, owner: undefined, where: `o.defaclobjtype NOT IN ('r', 'S', 'L')`, create: `''`,
    complete: defaultPrivileges(`
        SELECT 1, format('REVOKE ALL ON %s FROM PUBLIC, %I', k.objects, pg_get_userbyid(o.defaclrole)) WHERE o.defaclnamespace = 0
        UNION ALL SELECT 2, format('GRANT %s ON %s TO %s%s', privilege_type, k.objects, ${granteeName}, CASE WHEN is_grantable AND grantee <> o.defaclrole THEN ' WITH GRANT OPTION' ELSE '' END) FROM aclexplode(o.defaclacl)`),
    // What is as it would be without is forgotten.
    drop: defaultPrivileges(`
        SELECT 1, format('REVOKE ALL ON %s FROM %s', k.objects, ${granteeName}) FROM (SELECT DISTINCT grantee FROM aclexplode(o.defaclacl)) AS g
        UNION ALL SELECT 2, format('GRANT ALL ON %s TO %I', k.objects, pg_get_userbyid(o.defaclrole)) WHERE o.defaclnamespace = 0
        UNION ALL SELECT 3, format('GRANT ALL ON %s TO PUBLIC', k.objects) WHERE o.defaclnamespace = 0 AND k.letter IN ('f', 'T')`),
  },
];

/** Whether a row `o` of a kind's catalog is of a user's making, or may be: what extensions brought is among them. */
function isConcerned({ namespace, where = 'true', fromTheBeginning = false }: ObjectKind): string {
  const known = namespace === undefined ? 'true' : `${namespace}::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'shardwright', 'pg_toast') AND ${namespace}::regnamespace::text !~ '^(pg_(toast_)?temp_|shardwright_move)'`;
  return `${fromTheBeginning ? 'true' : 'o.oid >= 16384'} AND ${known} AND ${where}`;
}

function objectsOfKind(kind: ObjectKind): string {
  const { catalog, owner, access, fromTheBeginning = false, create, complete = 'NULL', drop = 'NULL' } = kind;
  const granted = access === undefined ? 'NULL' : `(SELECT json_agg(json_build_object('grantee', CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END, 'privilege', privilege_type, 'grantable', is_grantable) ORDER BY pg_get_userbyid(grantee), privilege_type)
    FROM aclexplode(${access[0]}) WHERE ${access[0]} IS NOT NULL${fromTheBeginning ? ' AND grantee <> 10' : ''})`;
  return `SELECT '${catalog}'::regclass::oid::bigint, o.oid::bigint, i.type, i.identity, ${create}, ${owner === undefined ? 'NULL' : `pg_get_userbyid(${owner})`}, ${granted}::text,
      ${access === undefined ? 'false' : `${access[0]} IS NOT NULL`}, obj_description(o.oid, '${catalog}'), ${complete}, ${drop}
    FROM ${catalog} o, LATERAL pg_identify_object('${catalog}'::regclass, o.oid, 0) i
    WHERE ${isConcerned(kind)}
      AND ${fromTheBeginning ? 'true' : `NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '${catalog}'::regclass AND d.objid = o.oid AND d.deptype IN ('e', 'i') AND d.refclassid <> 'pg_opfamily'::regclass AND d.refclassid <> 'pg_class'::regclass)`}`;
}

/** Of which kinds there are objects, by their places among `kinds`. To plan the whole of `objectsQuery` takes twenty times as long, in a new session a hundred milliseconds, and most databases have objects of few kinds. */
export const kindsThereQuery = kinds.map((kind, place) => `SELECT ${place} WHERE EXISTS (SELECT FROM ${kind.catalog} o WHERE ${isConcerned(kind)})`).join('\nUNION ALL ');

/** One row for each object that users made: catalog, OID, kind, identity, statements that make it, owner, privileges as JSON, whether they are not the default ones, comment, statements that complete it, and that take it away where DROP does not. In order of OID. Of the kinds at these places alone, of which there must be some. */
export function objectsQuery(places: readonly number[]): string {
  return `${places.map((place) => `(${objectsOfKind(at(kinds, place))})`).join('\nUNION ALL ')}\nORDER BY 2`;
}

/** Pairs of objects, the first of which needs the second; parts of objects (constraints of domains, composite types' relations, array types) count as the whole; and whether it
 * needs it only to be completed. Tables need the publications that they are in. */
export const dependenciesQuery = `
WITH whole AS MATERIALIZED (
  SELECT 'pg_type'::regclass::oid AS part_class, a.oid AS part, 'pg_type'::regclass::oid AS class, a.typelem AS oid FROM pg_type a WHERE a.typelem <> 0 AND a.typcategory = 'A'
  UNION ALL SELECT 'pg_class'::regclass::oid, c.oid, 'pg_type'::regclass::oid, c.reltype FROM pg_class c WHERE c.relkind = 'c'
  UNION ALL SELECT 'pg_type'::regclass::oid, rngmultitypid, 'pg_type'::regclass::oid, rngtypid FROM pg_range
  UNION ALL SELECT 'pg_type'::regclass::oid, t.oid, 'pg_class'::regclass::oid, t.typrelid FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid WHERE c.relkind <> 'c'
  UNION ALL SELECT 'pg_constraint'::regclass::oid, k.oid, 'pg_type'::regclass::oid, k.contypid FROM pg_constraint k WHERE k.contypid <> 0
  UNION ALL SELECT 'pg_constraint'::regclass::oid, k.oid, 'pg_class'::regclass::oid, k.conrelid FROM pg_constraint k WHERE k.conrelid <> 0
  UNION ALL SELECT 'pg_attrdef'::regclass::oid, f.oid, 'pg_class'::regclass::oid, f.adrelid FROM pg_attrdef f
  UNION ALL SELECT 'pg_trigger'::regclass::oid, g.oid, 'pg_class'::regclass::oid, g.tgrelid FROM pg_trigger g
  UNION ALL SELECT 'pg_policy'::regclass::oid, p.oid, 'pg_class'::regclass::oid, p.polrelid FROM pg_policy p
  UNION ALL SELECT 'pg_class'::regclass::oid, x.indexrelid, 'pg_class'::regclass::oid, x.indrelid FROM pg_index x
), edge AS (
  SELECT coalesce(w.class, d.classid) AS class, coalesce(w.oid, d.objid) AS oid, coalesce(v.class, u.class, d.refclassid) AS ref_class, coalesce(v.oid, u.oid, d.refobjid) AS ref,
    d.classid = 'pg_constraint'::regclass AND w.class = 'pg_type'::regclass AS later
  FROM pg_depend d LEFT JOIN whole w ON w.part_class = d.classid AND w.part = d.objid
    LEFT JOIN whole u ON u.part_class = d.refclassid AND u.part = d.refobjid
    LEFT JOIN whole v ON v.part_class = coalesce(u.class, d.refclassid) AND v.part = coalesce(u.oid, d.refobjid)
  WHERE d.objid >= 16384 AND d.refobjid >= 16384
)
SELECT DISTINCT class::bigint, oid::bigint, ref_class::bigint, ref::bigint, coalesce(later, false) FROM edge WHERE (class, oid) <> (ref_class, ref)
UNION ALL SELECT 'pg_class'::regclass::oid::bigint, c.oid::bigint, 'pg_publication'::regclass::oid::bigint, p.oid::bigint, false FROM pg_publication p JOIN pg_class c ON c.oid >= 16384 AND c.relkind IN ('r', 'p') AND ${isPublished('p', 'c')}
  WHERE ${isUsersPublication('p')}`;

/** Whether tables, or parts of them, need objects beside relations and schemas; and the schemas that they are in or name. Index look-ups, whatever the number of objects, and whatever the planner believes of it: hence OFFSET 0. */
export const needsOfTablesQuery = `
WITH tables AS MATERIALIZED (SELECT unnest($1::oid[]) AS oid), parts (class, oid) AS MATERIALIZED (
  SELECT 'pg_class'::regclass, oid FROM tables
  UNION ALL SELECT 'pg_class'::regclass, x.indexrelid FROM tables t JOIN pg_index x ON x.indrelid = t.oid
  UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM tables t JOIN pg_constraint k ON k.conrelid = t.oid
  UNION ALL SELECT 'pg_attrdef'::regclass, f.oid FROM tables t JOIN pg_attrdef f ON f.adrelid = t.oid
  UNION ALL SELECT 'pg_trigger'::regclass, g.oid FROM tables t JOIN pg_trigger g ON g.tgrelid = t.oid
  UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM tables t JOIN pg_policy p ON p.polrelid = t.oid
), needs AS MATERIALIZED (
  SELECT d.refclassid, d.refobjid FROM parts p CROSS JOIN LATERAL (SELECT * FROM pg_depend WHERE classid = p.class AND objid = p.oid OFFSET 0) d WHERE d.refobjid >= 16384
  UNION ALL SELECT 'pg_publication'::regclass, p.oid FROM tables t JOIN pg_class c USING (oid) JOIN pg_publication p ON ${isUsersPublication('p')} AND ${isPublished('p', 'c')}
)
SELECT EXISTS (SELECT FROM needs WHERE refclassid NOT IN ('pg_class'::regclass, 'pg_constraint'::regclass, 'pg_namespace'::regclass)),
  (SELECT json_agg(DISTINCT n.nspname) FROM needs JOIN pg_namespace n ON n.oid = refobjid WHERE refclassid = 'pg_namespace'::regclass)`;
