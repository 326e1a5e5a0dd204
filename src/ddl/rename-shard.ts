import type { ShardId } from '../catalog/ids.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { hashConstraint, ShardNames } from './shard-names.ts';
import { statisticsName } from './render-behaviour.ts';
import type { ConstraintDefinition, TableDefinition } from './table-definition.ts';

export interface ShardRename {
  readonly from: ShardId;
  readonly to: ShardId;
  /** Whether the shard has a check of its hashes. */
  readonly hasHash: boolean;
}

/** Gives a shard, and all of it that is named by its id, the names of another id. */
export function renameShard(table: TableDefinition, { from, to, hasHash }: ShardRename): string[] {
  const [old, renamed] = [new ShardNames(table, from), new ShardNames(table, to)];
  const constraints = [...(table.constraints ?? []).filter((constraint) => hasOwnName(table, constraint)).map(({ name }) => name), ...(hasHash && table.partitionKey === null ? [hashConstraint] : [])];
  const indexes = (table.indexes ?? []).filter(({ ofConstraint }) => !ofConstraint);
  return [
    `ALTER TABLE ${old.sql} RENAME TO ${quoteIdentifier(renamed.name)}`,
    ...constraints.map((name) => `ALTER TABLE ${renamed.sql} RENAME CONSTRAINT ${old.part(name)} TO ${renamed.part(name)}`),
    ...(table.statistics ?? []).map((one) => `ALTER STATISTICS ${statisticsName(from, one)} RENAME TO ${renamed.part(one.name)}`),
    ...indexes.map(({ name }) => `ALTER INDEX ${old.index(name)} RENAME TO ${renamed.part(name)}`),
  ];
}

/** What a partition has from above is renamed there; see `isInTree` for NOT NULL. */
function hasOwnName(table: TableDefinition, { kind, inherited }: ConstraintDefinition): boolean {
  return !(kind === 'check' && inherited && table.partition) && !(kind === 'not_null' && (table.partition || table.partitionKey !== null));
}
