import type { ShardId } from '../../catalog/ids.ts';
import { quoteIdentifier, quoteLiteral } from '../../sql/identifiers.ts';
import { attachPartition } from '../render-shard.ts';
import type { ShardNames } from '../shard-names.ts';
import type { ConstraintDefinition } from '../table-definition.ts';
import type { TableChange } from './table-change.ts';

/** DETACH PARTITION: what the shard had from above under names of above gets those of its own. */
export function detachPartition({ before, after }: TableChange, shard: ShardNames, references: ReadonlyMap<number, ShardId>): string[] {
  if (before.partitionOf === null || after.partitionOf !== null) return [];
  const fromAbove = (before.constraints ?? []).filter(({ kind, inherited }) => kind === 'check' && inherited);
  return [
    `ALTER TABLE ${shard.referenced(before.partitionOf.table, references)} DETACH PARTITION ${shard.sql}`,
    ...fromAbove.map(({ name }) => `ALTER TABLE ${shard.sql} RENAME CONSTRAINT ${shard.constraint(name)} TO ${shard.part(name)}`),
    ...(before.partitionKey === null ? (before.constraints ?? []).flatMap((constraint) => renameNotNull(before, constraint, shard)) : []),
  ];
}

/** ATTACH PARTITION, when the shard has keys, indexes and foreign keys as the one above: it takes them. CHECK constraints must have the names from above. */
export function attachToParent({ before, after }: TableChange, shard: ShardNames, references: ReadonlyMap<number, ShardId>): string[] {
  if (before.partitionOf !== null || after.partitionOf === null) return [];
  const fromAbove = (after.constraints ?? []).filter(({ kind, inherited }) => kind === 'check' && inherited);
  return [
    ...fromAbove.map(({ name }) => `ALTER TABLE ${shard.sql} RENAME CONSTRAINT ${shard.part(name)} TO ${shard.constraint(name)}`),
    ...attachPartition(after, shard, references),
  ];
}

/** Whatever it is called: see `isInTree`. */
function renameNotNull({ columns }: TableChange['before'], { kind, name, columns: of }: ConstraintDefinition, shard: ShardNames): string[] {
  const column = columns.find(({ position }) => position === of?.[0]);
  if (kind !== 'not_null' || column === undefined) return [];
  return [`DO ${quoteLiteral(`DECLARE found pg_catalog.text; BEGIN
    SELECT conname INTO found FROM pg_catalog.pg_constraint WHERE conrelid = ${quoteLiteral(shard.sql)}::pg_catalog.regclass AND contype = 'n' AND conkey[1] =
      (SELECT attnum FROM pg_catalog.pg_attribute WHERE attrelid = conrelid AND attname = ${quoteLiteral(column.name)});
    IF found <> ${quoteLiteral(shard.called(name))} THEN EXECUTE pg_catalog.format('ALTER TABLE %s RENAME CONSTRAINT %I TO %s', ${quoteLiteral(shard.sql)}, found, ${quoteLiteral(quoteIdentifier(shard.called(name)))}); END IF;
  END`)}`];
}
