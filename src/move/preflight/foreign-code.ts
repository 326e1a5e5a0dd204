import { ClusterError } from '../../base/errors.ts';
import type { CallOptions, NodeConnections } from '../../cluster/node-connection.ts';
import type { PreflightCheck } from './preflight-check.ts';

/**
 * What is looked at whenever a row is written or an index built: functions of CHECK constraints, generated columns, indexes, statistics, partition keys and domains, and of casts between the types of columns; with all that
 * these are made of. Of types those that can be given more of it at any time: domains, composite types, and (by a cast from text) what columns have arrays of. An owner is as good as the role that connects when it may
 * become that role, as superusers may.
 */
const foreignCodeQuery = `
WITH RECURSIVE part (class, oid) AS (
  SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, pg_catalog.to_regclass(name)::pg_catalog.oid FROM pg_catalog.unnest($1::text[]) AS name
  UNION SELECT n.class, n.oid FROM part, LATERAL (
    SELECT d.refclassid, d.refobjid FROM pg_catalog.pg_depend d WHERE d.classid = part.class AND d.objid = part.oid AND d.refclassid = ANY (
      '{pg_catalog.pg_class,pg_catalog.pg_proc,pg_catalog.pg_type,pg_catalog.pg_operator,pg_catalog.pg_opclass}'::pg_catalog.regclass[]::pg_catalog.oid[])
    UNION ALL SELECT d.classid, d.objid FROM pg_catalog.pg_depend d WHERE d.refclassid = part.class AND d.refobjid = part.oid AND d.deptype IN ('a', 'i') AND (
      d.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass
      OR (d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.oid = d.objid AND k.contype <> 'f'))
      OR (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = d.objid AND c.relkind IN ('i', 'I')))
      OR (d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND EXISTS (
        SELECT FROM pg_catalog.pg_attrdef e JOIN pg_catalog.pg_attribute a ON a.attrelid = e.adrelid AND a.attnum = e.adnum WHERE e.oid = d.objid AND a.attgenerated <> '')))
    UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid, c.castfunc FROM pg_catalog.pg_cast c
      WHERE part.class = 'pg_catalog.pg_type'::pg_catalog.regclass AND part.oid IN (c.castsource, c.casttarget) AND c.castfunc <> 0) n (class, oid)),
code (kind, name, owner) AS (
  SELECT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, p.oid::pg_catalog.regprocedure::text, p.proowner
    FROM part JOIN pg_catalog.pg_proc p ON p.oid = part.oid WHERE part.class = 'pg_catalog.pg_proc'::pg_catalog.regclass
  UNION ALL SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, pg_catalog.format_type(t.oid, NULL), t.typowner
    FROM part JOIN pg_catalog.pg_type t ON t.oid = part.oid
    WHERE part.class = 'pg_catalog.pg_type'::pg_catalog.regclass AND (t.typtype IN ('c', 'd') OR t.typelem <> 0))
SELECT DISTINCT kind, name, pg_catalog.pg_get_userbyid(owner), current_user FROM code WHERE NOT pg_catalog.pg_has_role(owner, current_user, 'MEMBER') ORDER BY 1, 2`;

/**
 * Code that copying rows of these tables would run with the rights of the role that connects, though it is of a role that does not have them: a check for each function, domain or type; a good one when there is none.
 * Tables are named quoted and qualified, on the server that is asked.
 */
export async function checkForeignCode(server: Pick<NodeConnections, 'query'>, { tables, name }: { readonly tables: readonly string[]; readonly name: string | null }, options: CallOptions): Promise<PreflightCheck[]> {
  const { rows } = await server.query({ text: foreignCodeQuery, values: [tables] }, options);
  const common = { check: 'foreign_code', level: 'error', node: name } as const;
  if (rows.length === 0) return [{ ...common, ok: true, message: 'No other role has a say in what runs when rows are written', hint: null }];
  return rows.map(([kind, what, owner, own]): PreflightCheck => ({
    ...common, ok: false, message: `${kind === 'function' ? 'Function' : kind === 'domain' ? 'Domain' : 'Type'} ${what ?? ''} belongs to role ${owner ?? ''}, and copying rows would run its code with the rights of role ${own ?? ''}`,
    hint: `Look at it, and ALTER ${kind?.toUpperCase() ?? ''} … OWNER TO ${own ?? ''}, or a role that may become it.`,
  }));
}

/** `moveRefused` where `checkForeignCode` objects. */
export async function refuseForeignCode(server: Pick<NodeConnections, 'query'>, tables: readonly string[], options: CallOptions): Promise<void> {
  const objections = (await checkForeignCode(server, { tables, name: null }, options)).filter(({ ok }) => !ok);
  if (objections.length === 0) return;
  throw new ClusterError('moveRefused', 'rows cannot be copied safely', { detail: `${objections.map(({ message }) => message).join('. ')}.`, hint: objections[0]?.hint ?? undefined });
}
