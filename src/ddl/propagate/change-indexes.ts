import { quoteIdentifier } from '../../sql/identifiers.ts';
import { optionSql } from '../option-sql.ts';
import { createIndex, indexSettings } from '../render-shard.ts';
import type { ShardNames } from '../shard-names.ts';
import type { IndexDefinition } from '../table-definition.ts';
import { optionName } from './change-columns.ts';
import { wentAbove } from './handed-down.ts';
import { isRemadeAbove } from './remade-indexes.ts';
import { matchIndexes, type TableChange } from './table-change.ts';

/** An index that was to be made CONCURRENTLY may be missing on some shards. */
export function dropIndexes(change: TableChange, shard: ShardNames): string[] {
  return matchIndexes(change).gone.filter((index) => !wentAbove(change, index)).map(({ name }) => `DROP INDEX IF EXISTS ${shard.index(name)}`);
}

/** An index of a constraint is renamed with it. */
export function renameIndexes(change: TableChange, shard: ShardNames): string[] {
  return matchIndexes(change).kept.filter(({ from, to }) => from.name !== to.name && !from.ofConstraint && !to.ofConstraint)
    .map(({ from, to }) => `ALTER INDEX ${shard.index(from.name)} RENAME TO ${shard.part(to.name)}`);
}

export function addIndexes(change: TableChange, shard: ShardNames): string[] {
  return matchIndexes(change).added.filter((index) => !isRemadeAbove(change, index)).flatMap((index) => [createIndex(shard, index), ...indexSettings(shard, index)]);
}

/** Storage options, statistics targets, and by which the table is clustered. */
export function changeIndexes(change: TableChange, shard: ShardNames): string[] {
  const { before, after } = change;
  const clusteredBefore = before.indexes?.some(({ clustered }) => clustered) === true;
  const clusteredAfter = after.indexes?.some(({ clustered }) => clustered) === true;
  return [
    ...(clusteredBefore && !clusteredAfter ? [`ALTER TABLE ${shard.sql} SET WITHOUT CLUSTER`] : []),
    ...matchIndexes(change).kept.flatMap(({ from, to }) => changedIndex(from, to, shard)),
    ...newConstraintIndexes(change).flatMap((index) => indexSettings(shard, index)),
  ];
}

/** Indexes that new constraints have made. */
function newConstraintIndexes({ before, after }: TableChange): readonly IndexDefinition[] {
  return (after.indexes ?? []).filter(({ ofConstraint, oid, name }) => ofConstraint && !(before.indexes ?? []).some((old) => old.oid === oid || old.name === name));
}

function changedIndex(from: IndexDefinition, to: IndexDefinition, shard: ShardNames): string[] {
  const alter = `ALTER INDEX ${shard.index(to.name)}`;
  const [old, now] = [from.options ?? [], to.options ?? []];
  const reset = old.map(optionName).filter((name) => !now.map(optionName).includes(name));
  const set = now.filter((option) => !old.includes(option));
  const targets = new Map([...(from.statistics ?? []).map(([place]) => [place, -1] as const), ...(to.statistics ?? [])]);
  const changed = [...targets].filter(([place, target]) => !(from.statistics ?? []).some(([p, t]) => p === place && t === target));
  return [
    ...(reset.length === 0 ? [] : [`${alter} RESET (${reset.map(quoteIdentifier).join(', ')})`]),
    ...(set.length === 0 ? [] : [`${alter} SET (${set.map(optionSql).join(', ')})`]),
    ...changed.map(([place, target]) => `${alter} ALTER COLUMN ${place} SET STATISTICS ${target}`),
    ...(to.clustered && !from.clustered ? [`ALTER TABLE ${shard.sql} CLUSTER ON ${shard.part(to.name)}`] : []),
  ];
}
