import type { NodeConnection, RawRow } from '../../cluster/node-connection.ts';
import { quoteIdentifier, quoteLiteral } from '../../sql/identifiers.ts';
import type { CatalogChange } from '../change-catalog.ts';

/** Roles that own something or have a privilege in the coordinator database, with those that they are members of. */
const used = `
WITH RECURSIVE used (oid) AS (
  SELECT refobjid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  UNION SELECT m.roleid FROM pg_auth_members m JOIN used ON m.member = used.oid)`;

const roles = `
SELECT rolname, format('%s %s %s %s %s %s %s CONNECTION LIMIT %s', CASE WHEN rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END, CASE WHEN rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
    CASE WHEN rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END, CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END,
    CASE WHEN rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END, rolconnlimit),
  (SELECT json_agg(g.rolname) FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid),
  (SELECT json_agg(entry) FROM pg_db_role_setting s, unnest(s.setconfig) AS entry WHERE s.setrole = r.oid AND s.setdatabase = 0)
FROM pg_roles r`;

export interface Role {
  readonly name: string;
  readonly attributes: string;
  /** Roles that it is a member of. */
  readonly granted: readonly string[];
  /** What its sessions begin with in whatever database: `name=value`. */
  readonly settings: readonly string[];
  /** As it is stored; undefined where there is none, or it may not be read. */
  readonly password: string | undefined;
}

export async function readRoles({ coordinator, signal }: Pick<CatalogChange, 'coordinator' | 'signal'>): Promise<Role[]> {
  const { rows } = await coordinator.query({ text: `${used} ${roles} WHERE r.oid IN (SELECT oid FROM used) AND r.oid >= 16384 ORDER BY r.oid` }, { signal });
  const passwords = rows.length === 0 ? new Map<string, string>() : await readPasswords(coordinator, signal);
  return rows.map((row) => ({ ...roleOf(row), password: passwords.get(row[0] ?? '') }));
}

/** Those of these names that the server of a node has, without passwords. */
export async function readRolesNamed(node: NodeConnection, names: readonly string[], signal: AbortSignal | undefined): Promise<Role[]> {
  if (names.length === 0) return [];
  const { rows } = await node.query({ text: `${roles} WHERE r.rolname = ANY ($1)`, values: [names] }, { signal });
  return rows.map(roleOf);
}

function roleOf([name, attributes, granted, settings]: RawRow): Role {
  return { name: name ?? '', attributes: attributes ?? '', granted: JSON.parse(granted ?? '[]') as string[], settings: JSON.parse(settings ?? '[]') as string[], password: undefined };
}

/** By role; none where they may not be read. */
async function readPasswords(coordinator: NodeConnection, signal: AbortSignal | undefined): Promise<ReadonlyMap<string, string>> {
  const may = await coordinator.query({ text: `SELECT pg_catalog.has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'SELECT')` }, { signal });
  if (may.rows[0]?.[0] !== 't') return new Map();
  const { rows } = await coordinator.query({ text: 'SELECT rolname, rolpassword FROM pg_catalog.pg_authid WHERE rolpassword IS NOT NULL' }, { signal });
  return new Map(rows.map(([name, password]) => [name ?? '', password ?? '']));
}

/** Makes those that the node's server lacks, with the same stored passwords: what a client of the wire server proves is passed on to every server. */
export async function sendRoles(change: CatalogChange, node: NodeConnection, roles: readonly Role[]): Promise<void> {
  const missing = await missingRoles(change, node, roles);
  // Another cluster may add a node on the same server at the same moment.
  const texts = missing.map(({ name, attributes, password }) => unlessThere(`CREATE ROLE ${quoteIdentifier(name)} ${attributes}${password === undefined ? '' : ` PASSWORD ${quoteLiteral(password)}`}`));
  const memberships = missing.flatMap(({ name, granted }) => granted.map((role) => `GRANT ${quoteIdentifier(role)} TO ${quoteIdentifier(name)}`));
  const all = [...texts, ...memberships, ...missing.flatMap(settingsOf)];
  if (all.length > 0) await node.query({ text: all.join(';\n'), simple: true }, { signal: change.signal });
}

/** Those that the node's server lacks. */
export async function missingRoles({ signal }: Pick<CatalogChange, 'signal'>, node: NodeConnection, roles: readonly Role[]): Promise<Role[]> {
  if (roles.length === 0) return [];
  const known = await node.query({ text: 'SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = ANY ($1)', values: [roles.map(({ name }) => name)] }, { signal });
  return roles.filter(({ name }) => !known.rows.some(([there]) => there === name));
}

/** Settings that are lists of names are kept as they are written behind TO. */
const lists: ReadonlySet<string> = new Set(['search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries']);

/** The statements that set them. */
export function settingsOf({ name: role, settings }: Pick<Role, 'name' | 'settings'>): string[] {
  return settings.map((entry) => {
    const [name, value] = [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)];
    return `ALTER ROLE ${quoteIdentifier(role)} SET ${quoteIdentifier(name)} TO ${lists.has(name) && value !== '' ? value : quoteLiteral(value)}`;
  });
}

function unlessThere(create: string): string {
  return `DO ${quoteLiteral(`BEGIN ${create}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END`)}`;
}
