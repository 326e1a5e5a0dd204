import { sqlStateOf } from '../base/errors.ts';
import type { RawRow } from '../cluster/node-connection.ts';
import { Fatal } from './fatal.ts';
import { parseVerifier, type ScramVerifier } from '../cluster/scram-verifier.ts';

/** What the coordinator database says of a role that wants to connect. */
export interface RoleFacts {
  readonly canLogin: boolean;
  /** CONNECT on the database. */
  readonly mayConnect: boolean;
  readonly isSuperuser: boolean;
  /** Clients of it at a time; -1 for any number. */
  readonly connectionsMax: number;
  readonly isExpired: boolean;
  /** The cluster's own user. */
  readonly isOwn: boolean;
  /** The cluster's user may act as it. */
  readonly isWithinReach: boolean;
  /** Undefined for a role without such a password. */
  readonly verifier: ScramVerifier | undefined;
  /** Where the server was given it, and not what is stored of it. */
  readonly password?: string | undefined;
  /** What ALTER ROLE and ALTER DATABASE have set for its sessions. */
  readonly settings: readonly (readonly [name: string, value: string])[];
}

interface Database {
  query(query: { readonly text: string; readonly values: readonly unknown[] }): Promise<{ readonly rows: readonly RawRow[] }>;
}

const rolesQuery = `SELECT rolcanlogin, pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'CONNECT'), rolsuper, rolconnlimit,
  coalesce(rolvaliduntil < pg_catalog.now(), false), rolname = current_user, pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER'),
  (SELECT pg_catalog.json_agg(setting ORDER BY s.setdatabase, n) FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) WITH ORDINALITY AS c(setting, n)
   WHERE s.setrole = r.oid AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))) FROM pg_catalog.pg_roles r WHERE rolname = $1`;

/** Undefined for a role that does not exist. Passwords can be read by a superuser only: `Fatal` 0A000 says so where one is asked for. */
export async function readRole(database: Database, user: string, needsPassword: boolean): Promise<RoleFacts | undefined> {
  const { rows } = await database.query({ text: rolesQuery, values: [user] });
  const [row] = rows;
  if (row === undefined) return undefined;
  const [canLogin, mayConnect, isSuperuser, connectionsMax, isExpired, isOwn, isWithinReach, settings] = row;
  const password = needsPassword ? await readPassword(database, user) : undefined;
  return {
    canLogin: canLogin === 't', mayConnect: mayConnect === 't', isSuperuser: isSuperuser === 't', connectionsMax: Number(connectionsMax), isExpired: isExpired === 't', isOwn: isOwn === 't', isWithinReach: isWithinReach === 't',
    verifier: password === undefined ? undefined : parseVerifier(password),
    settings: (JSON.parse(settings ?? 'null') as string[] | null ?? []).map((setting) => [setting.slice(0, setting.indexOf('=')), setting.slice(setting.indexOf('=') + 1)]),
  };
}

async function readPassword(database: Database, user: string): Promise<string | undefined> {
  try {
    const { rows } = await database.query({ text: 'SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1', values: [user] });
    return rows[0]?.[0] ?? undefined;
  } catch (error) {
    if (sqlStateOf(error) !== '42501') throw error;
    throw new Fatal('0A000', 'the wire server cannot check passwords', { detail: 'Its own role may not read pg_authid.', hint: 'Give it a role that may, or the passwords of roles by the option "passwords".' });
  }
}
