import { changePrivileges } from '../privileges.ts';
import type { TableDefinition } from '../table-definition.ts';
import type { PartDifference } from './part.ts';
import type { Subject } from './subject.ts';

/** Each privilege that a role has on one and not on the other. The owners are the same person. */
export function comparePrivileges({ table, names }: Subject, shard: TableDefinition): PartDifference[] {
  // Columns are told apart by their positions, which a shard has of its own.
  const columns = shard.columns.map((column) => ({ ...column, position: table.columns.find(({ name }) => name === column.name)?.position ?? -column.position }));
  const found = { owner: shard.owner, ownerReads: shard.ownerReads, grants: ofOwner(shard.grants, shard.owner, shard.owner), columns };
  // On the node the statements are run by the role that connects there.
  const grants = (table.grants ?? []).filter(({ grantee }) => grantee === table.owner || grantee !== shard.owner);
  const expected = { ...table, owner: shard.owner, ownerReads: shard.ownerReads, grants: ofOwner(grants, table.owner, shard.owner) };
  return changePrivileges(found, expected, names).map((statement): PartDifference => {
    const [, verb, what = '', role = ''] = /^(GRANT|REVOKE) (.*?) ON .*? (?:TO|FROM) (.*?)(?: CASCADE)?$/s.exec(statement) ?? [];
    const name = role.replace(' WITH GRANT OPTION', '').replace('CURRENT_USER', 'the owner');
    const has = verb === 'GRANT' ? { expected: role.endsWith('WITH GRANT OPTION') ? 'with grant option' : 'granted', found: undefined } : { expected: undefined, found: 'granted' };
    return { what: `privilege ${what} of ${name}`, ...has, repair: [statement] };
  });
}

/** With the owner's own under another name; an owner needs no grant option. */
function ofOwner(grants: TableDefinition['grants'], owner: string, name: string): TableDefinition['grants'] {
  return (grants ?? []).map((grant) => (grant.grantee === owner ? { ...grant, grantee: name, grantable: false } : grant));
}
