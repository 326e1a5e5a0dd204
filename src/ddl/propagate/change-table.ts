import { quoteIdentifier, quoteLiteral } from '../../sql/identifiers.ts';
import { ensureSchema } from '../on-nodes.ts';
import { optionSql } from '../option-sql.ts';
import { commentTargets, replicaIdentity } from '../render-shard.ts';
import { changePrivileges } from '../privileges.ts';
import { ShardNames } from '../shard-names.ts';
import { optionName } from './change-columns.ts';
import type { TableChange } from './table-change.ts';

/** RENAME and SET SCHEMA of the table. */
export function renameTable({ before, after }: TableChange, { id, sql }: ShardNames): string[] {
  const renamed = new ShardNames({ ...before, name: after.name }, id);
  return [
    ...(before.name === after.name ? [] : [`ALTER TABLE ${sql} RENAME TO ${quoteIdentifier(renamed.name)}`]),
    ...(before.schema === after.schema ? [] : [ensureSchema(after), `ALTER TABLE ${renamed.sql} SET SCHEMA ${quoteIdentifier(after.schema)}`]),
  ];
}

/** What belongs to the table as a whole. */
export function changeTableSettings({ before, after }: TableChange, shard: ShardNames): string[] {
  const alter = `ALTER TABLE ${shard.sql}`;
  const identity = ({ replicaIdentity: kind, indexes }: TableChange['after']): string => `${kind} ${indexes?.find((index) => index.replicaIdentity)?.oid ?? ''}`;
  return [
    ...(before.persistence === after.persistence ? [] : [`${alter} SET ${after.persistence === 'u' ? 'UNLOGGED' : 'LOGGED'}`]),
    ...(before.accessMethod === after.accessMethod || after.accessMethod === null ? [] : [`${alter} SET ACCESS METHOD ${quoteIdentifier(after.accessMethod)}`]),
    ...changedOptions(before.options, after.options, { alter, prefix: '' }),
    ...changedOptions(before.toastOptions, after.toastOptions, { alter, prefix: 'toast.' }),
    ...(identity(before) === identity(after) ? [] : [replicaIdentity(after, shard)]),
    ...(before.owner === after.owner ? [] : [`${alter} OWNER TO ${after.ownerReads ? 'CURRENT_USER' : quoteIdentifier(after.owner)}`]),
    ...changePrivileges(before, after, shard),
  ];
}

function changedOptions(before: readonly string[] | null, after: readonly string[] | null, { alter, prefix }: { readonly alter: string; readonly prefix: string }): string[] {
  const [old, now] = [before ?? [], after ?? []];
  const reset = old.map(optionName).filter((name) => !now.map(optionName).includes(name));
  const set = now.filter((option) => !old.includes(option));
  return [
    ...(reset.length === 0 ? [] : [`${alter} RESET (${reset.map((name) => prefix + quoteIdentifier(name)).join(', ')})`]),
    ...(set.length === 0 ? [] : [`${alter} SET (${set.map((option) => prefix + optionSql(option)).join(', ')})`]),
  ];
}

/** Comments of the table, its columns, constraints and indexes. Constraints that were made anew on the shards only, `remade`, have lost theirs. */
export function changeComments({ before, after }: TableChange, shard: ShardNames, remade: readonly string[]): string[] {
  if (!hasComments(before) && !hasComments(after)) return [];
  const bare = new Set(remade.map((name) => `CONSTRAINT ${shard.constraint(name)} ON ${shard.sql}`));
  const old = new Map(commentTargets(before, new ShardNames({ ...before, schema: after.schema, name: after.name }, shard.id)));
  return commentTargets(after, shard).flatMap(([target, comment]) => {
    const was = bare.has(target) ? null : (old.get(target) ?? null);
    return was === comment ? [] : [`COMMENT ON ${target} IS ${comment === null ? 'NULL' : quoteLiteral(comment)}`];
  });
}

function hasComments({ comment, columns, constraints, indexes }: TableChange['after']): boolean {
  return comment !== null || [columns, constraints ?? [], indexes ?? []].some((parts) => parts.some((part) => part.comment !== null));
}
