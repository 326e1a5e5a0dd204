import { hashCheck, type ShardWish } from '../render-shard.ts';
import { hashConstraint, type ShardNames } from '../shard-names.ts';
import { matchColumns, type TableChange } from './table-change.ts';

/**
 * A virtual column gets another expression only in a table without CHECK constraints, and each shard has that of its hashes: it goes before, and comes again afterwards, in the same transaction, under the lock that the change takes anyway.
 * The column is no part of it, so the rows pass; to make sure PostgreSQL reads them all.
 */
export function dropGuard(change: TableChange, shard: ShardNames, guard: ShardWish['hash']): string[] {
  return guard === undefined || !isInTheWay(change) ? [] : [`ALTER TABLE ${shard.sql} DROP CONSTRAINT IF EXISTS ${shard.part(hashConstraint)}`];
}

export function addGuard(change: TableChange, shard: ShardNames, guard: ShardWish['hash']): string[] {
  return guard === undefined || !isInTheWay(change) ? [] : [`ALTER TABLE ${shard.sql} ADD CONSTRAINT ${shard.part(hashConstraint)} ${hashCheck(guard)}`];
}

function isInTheWay(change: TableChange): boolean {
  return matchColumns(change).kept.some(({ from, to }) => to.generated === 'virtual' && from.expressionOid !== to.expressionOid);
}
