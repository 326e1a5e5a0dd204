import { type Ask, describeTable } from '../describe-table.ts';

/** What `describeTable` says, and who may do what with it. */
export async function described(ask: Ask, schema: string, name: string): Promise<string[]> {
  const access = await ask(`
    SELECT concat_ws(' ', 'grant', g, privilege_type, is_grantable) FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner))) x,
      LATERAL (SELECT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END AS g) AS named
      WHERE oid = '"${schema}"."${name}"'::regclass
    UNION ALL SELECT concat_ws(' ', 'grant of column', attname, grantee::regrole, privilege_type, is_grantable) FROM pg_attribute, aclexplode(attacl) WHERE attrelid = '"${schema}"."${name}"'::regclass
    UNION ALL SELECT concat_ws(' ', 'owner', relowner::regrole) FROM pg_class WHERE oid = '"${schema}"."${name}"'::regclass`);
  const behaviour = await ask(`
    SELECT concat_ws(' ', 'policy', polname, polpermissive, polcmd, polroles::regrole[]::text, pg_get_expr(polqual, polrelid), 'check', pg_get_expr(polwithcheck, polrelid), obj_description(oid, 'pg_policy'))
      FROM pg_policy WHERE polrelid = '"${schema}"."${name}"'::regclass
    UNION ALL SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(oid), tgenabled, obj_description(oid, 'pg_trigger')) FROM pg_trigger
      WHERE tgrelid = '"${schema}"."${name}"'::regclass AND NOT tgisinternal AND tgname NOT LIKE 'shardwright%'
    UNION ALL SELECT concat_ws(' ', 'statistics', pg_get_statisticsobjdef(oid), coalesce(nullif(stxstattarget, -1)::text, '-'), obj_description(oid, 'pg_statistic_ext')) FROM pg_statistic_ext
      WHERE stxrelid = '"${schema}"."${name}"'::regclass
    UNION ALL SELECT concat_ws(' ', 'row security', relrowsecurity, relforcerowsecurity) FROM pg_class WHERE oid = '"${schema}"."${name}"'::regclass`);
  const further = [...access, ...behaviour].map(([line]) => String(line));
  return logical([...(await describeTable(ask, schema, name)), ...further]);
}

/** A table's definition without the names of shards; the check of their hashes is left out. */
function logical(lines: readonly string[]): string[] {
  return lines.filter((line) => !line.includes('shardwright_hash')).map((line) => line.replaceAll(/_1\d{5}\b/g, '')).sort();
}
