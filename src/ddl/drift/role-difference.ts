import { quoteIdentifier } from '../../sql/identifiers.ts';
import { type Role, settingsOf } from '../objects/send-roles.ts';
import type { PartDifference } from './part.ts';

/** How a role of a node's server, undefined where it has none, is not as the coordinator database's; undefined where it is. Passwords are not told, nor compared: a role that is made by the repair has none. */
export function roleDifference(role: Role, there: Role | undefined): PartDifference | undefined {
  const name = quoteIdentifier(role.name);
  if (there === undefined) {
    return { what: `role ${name}`, expected: role.attributes, found: undefined, repair: [`CREATE ROLE ${name} ${role.attributes}`, ...role.granted.map((granted) => member(granted, name)), ...settingsOf(role)] };
  }
  const lacking = role.granted.filter((granted) => !there.granted.includes(granted));
  const settings = settingsOf({ ...role, settings: role.settings.filter((setting) => !there.settings.includes(setting)) });
  const repair = [...(role.attributes === there.attributes ? [] : [`ALTER ROLE ${name} ${role.attributes}`]), ...lacking.map((granted) => member(granted, name)), ...settings];
  if (repair.length === 0) return undefined;
  return { what: `role ${name}`, expected: described(role), found: described(there), repair };
}

function member(granted: string, name: string): string {
  return `GRANT ${quoteIdentifier(granted)} TO ${name}`;
}

function described({ attributes, granted, settings }: Role): string {
  return [attributes, ...granted.map((role) => `member of ${quoteIdentifier(role)}`), ...settings].join(', ');
}
