import { quoteIdentifier, quoteLiteral } from '../../sql/identifiers.ts';
import type { UserObject } from './user-object.ts';

/** The statements that give a node an object, with its owner, privileges and comment; only the latter where it `isThere`, made alike. Roles must be there. */
export function renderObject(object: UserObject, there: UserObject | undefined): string[] {
  const { create, owner, comment } = object;
  const on = `${keyword(object)} ${object.identity}`;
  return [
    ...(there === undefined ? [create] : []),
    ...(owner === undefined || owner === there?.owner ? [] : [`ALTER ${on} OWNER TO ${quoteIdentifier(owner)}`]),
    ...(JSON.stringify(object.grants) === JSON.stringify(there?.grants) ? [] : renderGrants(object, on, there)),
    ...(comment === there?.comment ? [] : [`COMMENT ON ${on} IS ${comment === undefined ? 'NULL' : quoteLiteral(comment)}`]),
  ];
}

/** All privileges are taken away first, those that the kind has by default, and those that others have `there`, included. */
function renderGrants({ grants = [], owner }: UserObject, on: string, there: UserObject | undefined): string[] {
  const holders = new Set([owner, ...(there?.grants ?? []).map(({ grantee }) => grantee)].flatMap((role) => (role === undefined || role === null ? [] : [quoteIdentifier(role)])));
  return [
    `REVOKE ALL ON ${on} FROM ${['PUBLIC', ...holders].join(', ')}`,
    ...grants.map(({ grantee, privilege, grantable }) =>
      `GRANT ${privilege} ON ${on} TO ${grantee === null ? 'PUBLIC' : quoteIdentifier(grantee)}${grantable && grantee !== owner ? ' WITH GRANT OPTION' : ''}`),
  ];
}

/** As it stands behind ALTER and DROP: functions of all sorts are routines. */
export function keyword({ kind }: Pick<UserObject, 'kind'>): string {
  return kind === 'function' || kind === 'procedure' || kind === 'aggregate' ? 'ROUTINE' : kind.toUpperCase();
}
