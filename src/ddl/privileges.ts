import { quoteIdentifier } from '../sql/identifiers.ts';
import type { ShardNames } from './shard-names.ts';
import type { Grant, TableDefinition } from './table-definition.ts';

type Granted = Pick<TableDefinition, 'owner' | 'ownerReads' | 'grants' | 'columns'>;

/** What gives a shard the privileges `after`, when it has those `before`. Roles must exist on its node. */
export function changePrivileges(before: Granted, after: Granted, shard: ShardNames): string[] {
  const owners = [before.owner, after.owner] as const;
  const ownerSql = after.ownerReads ? 'CURRENT_USER' : quoteIdentifier(after.owner);
  const earlier = new Map(before.columns.map(({ position, grants }) => [position, grants]));
  const columns = after.columns.map((column) => {
    return changedGrants(earlier.get(column.position) ?? [], column.grants ?? [], { shard, owners, ownerSql, column: column.name });
  });
  return [...changedGrants(before.grants ?? [], after.grants ?? [], { shard, owners, ownerSql }), ...columns.flat()];
}

/** Of a shard that was just made: its owner has all privileges, and nobody else has any. */
export function privilegesOfNew(table: TableDefinition, shard: ShardNames): string[] {
  if (table.grants === null) return changePrivileges({ ...table, columns: [] }, table, shard);
  const own = new Set([...ownersPrivileges, ...table.grants.flatMap(({ grantee, privilege }) => (grantee === table.owner ? [privilege] : []))]);
  const grants = [...own].map((privilege) => ({ grantee: table.owner, privilege, grantable: false }));
  const fresh = { owner: table.owner, ownerReads: table.ownerReads, grants, columns: [] };
  return changePrivileges(fresh, table, shard);
}

/** In every version. */
const ownersPrivileges = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'];

interface GrantTarget {
  readonly shard: ShardNames;
  /** The owner before and after: the same person to us. */
  readonly owners: readonly [string, string];
  readonly ownerSql: string;
  readonly column?: string;
}

function changedGrants(before: readonly Grant[], after: readonly Grant[], target: GrantTarget): string[] {
  if (before.length === 0 && after.length === 0) return []; // As nearly all columns, of all shards.
  const [old, now] = [byHolder(before, target.owners), byHolder(after, [target.owners[1]])];
  const on = (privilege: string): string => `${privilege}${target.column === undefined ? '' : ` (${quoteIdentifier(target.column)})`} ON ${target.shard.sql}`;
  const revoked = [...old].flatMap(([key, { privilege, grantable, holder }]) => {
    const kept = now.get(key);
    const from = holder === undefined ? target.ownerSql : roleSql(holder);
    if (kept === undefined) return [`REVOKE ${on(privilege)} FROM ${from} CASCADE`];
    return grantable && !kept.grantable ? [`REVOKE GRANT OPTION FOR ${on(privilege)} FROM ${from} CASCADE`] : [];
  });
  const granted = [...now].flatMap(([key, { privilege, grantable, holder }]) => {
    const known = old.get(key);
    if (known !== undefined && (known.grantable || !grantable)) return [];
    return [`GRANT ${on(privilege)} TO ${holder === undefined ? target.ownerSql : roleSql(holder)}${grantable && holder !== undefined ? ' WITH GRANT OPTION' : ''}`];
  });
  return [...revoked, ...granted];
}

interface Held {
  readonly privilege: string;
  readonly grantable: boolean;
  /** Undefined for the owner; null for PUBLIC. */
  readonly holder: string | null | undefined;
}

/** A privilege that several have granted counts once. */
function byHolder(grants: readonly Grant[], owners: readonly string[]): Map<string, Held> {
  const held = new Map<string, Held>();
  for (const { grantee, privilege, grantable } of grants) {
    const holder = grantee !== null && owners.includes(grantee) ? undefined : grantee;
    const key = JSON.stringify([holder === undefined ? { owner: true } : holder, privilege]);
    held.set(key, { privilege, holder, grantable: grantable || held.get(key)?.grantable === true });
  }
  return held;
}

function roleSql(role: string | null): string {
  return role === null ? 'PUBLIC' : quoteIdentifier(role);
}
